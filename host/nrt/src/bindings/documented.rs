#[repr(C)]
#[derive(Default)]
pub struct __IncompleteArrayField<T>(::std::marker::PhantomData<T>, [T; 0]);
impl<T> __IncompleteArrayField<T> {
    #[inline]
    pub const fn new() -> Self {
        __IncompleteArrayField(::std::marker::PhantomData, [])
    }
    #[inline]
    pub fn as_ptr(&self) -> *const T {
        self as *const _ as *const T
    }
    #[inline]
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self as *mut _ as *mut T
    }
    #[inline]
    pub unsafe fn as_slice(&self, len: usize) -> &[T] {
        unsafe { ::std::slice::from_raw_parts(self.as_ptr(), len) }
    }
    #[inline]
    pub unsafe fn as_mut_slice(&mut self, len: usize) -> &mut [T] {
        unsafe { ::std::slice::from_raw_parts_mut(self.as_mut_ptr(), len) }
    }
}
impl<T> ::std::fmt::Debug for __IncompleteArrayField<T> {
    fn fmt(&self, fmt: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        fmt.write_str("__IncompleteArrayField")
    }
}
pub const NRT_TENSOR_NAME_MAX: u32 = 256;
pub const RT_VERSION_DETAIL_LEN: u32 = 128;
pub const NRT_SUCCESS: NRT_STATUS = 0;
pub const NRT_FAILURE: NRT_STATUS = 1;
pub const NRT_INVALID: NRT_STATUS = 2;
pub const NRT_INVALID_HANDLE: NRT_STATUS = 3;
pub const NRT_RESOURCE: NRT_STATUS = 4;
pub const NRT_TIMEOUT: NRT_STATUS = 5;
pub const NRT_HW_ERROR: NRT_STATUS = 6;
pub const NRT_QUEUE_FULL: NRT_STATUS = 7;
pub const NRT_LOAD_NOT_ENOUGH_NC: NRT_STATUS = 9;
pub const NRT_UNSUPPORTED_NEFF_VERSION: NRT_STATUS = 10;
pub const NRT_FAIL_HOST_MEM_ALLOC: NRT_STATUS = 11;
pub const NRT_UNINITIALIZED: NRT_STATUS = 13;
pub const NRT_CLOSED: NRT_STATUS = 14;
pub const NRT_QUEUE_EMPTY: NRT_STATUS = 15;
pub const NRT_EXEC_UNIT_UNRECOVERABLE: NRT_STATUS = 101;
pub const NRT_EXEC_BAD_INPUT: NRT_STATUS = 1002;
pub const NRT_EXEC_COMPLETED_WITH_NUM_ERR: NRT_STATUS = 1003;
pub const NRT_EXEC_COMPLETED_WITH_ERR: NRT_STATUS = 1004;
pub const NRT_EXEC_NC_BUSY: NRT_STATUS = 1005;
pub const NRT_EXEC_OOB: NRT_STATUS = 1006;
pub const NRT_COLL_PENDING: NRT_STATUS = 1100;
pub const NRT_EXEC_HW_ERR_COLLECTIVES: NRT_STATUS = 1200;
pub const NRT_EXEC_HW_ERR_HBM_UE: NRT_STATUS = 1201;
pub const NRT_EXEC_HW_ERR_NC_UE: NRT_STATUS = 1202;
pub const NRT_EXEC_HW_ERR_DMA_ABORT: NRT_STATUS = 1203;
pub const NRT_EXEC_SW_NQ_OVERFLOW: NRT_STATUS = 1204;
pub const NRT_EXEC_HW_ERR_REPAIRABLE_HBM_UE: NRT_STATUS = 1205;
pub const NRT_NETWORK_PROXY_FAILURE: NRT_STATUS = 1206;
pub type NRT_STATUS = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nrt_model {
    _unused: [u8; 0],
}
pub type nrt_model_t = nrt_model;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nrt_tensor {
    _unused: [u8; 0],
}
pub type nrt_tensor_t = nrt_tensor;
pub type nrt_tensor_set_t = ::std::os::raw::c_void;
pub const NRT_TENSOR_PLACEMENT_DEVICE: nrt_tensor_placement_t = 0;
pub const NRT_TENSOR_PLACEMENT_HOST: nrt_tensor_placement_t = 1;
pub const NRT_TENSOR_PLACEMENT_VIRTUAL: nrt_tensor_placement_t = 2;
pub type nrt_tensor_placement_t = ::std::os::raw::c_uint;
pub const NRT_FRAMEWORK_TYPE_INVALID: nrt_framework_type_t = 0;
pub const NRT_FRAMEWORK_TYPE_NO_FW: nrt_framework_type_t = 1;
pub const NRT_FRAMEWORK_TYPE_TENSORFLOW: nrt_framework_type_t = 2;
pub const NRT_FRAMEWORK_TYPE_PYTORCH: nrt_framework_type_t = 3;
pub const NRT_FRAMEWORK_TYPE_MXNET: nrt_framework_type_t = 4;
pub const NRT_FRAMEWORK_TYPE_PRECHECK: nrt_framework_type_t = 5;
pub type nrt_framework_type_t = ::std::os::raw::c_uint;
pub const NRT_DTYPE_UNKNOWN: nrt_dtype_t = 0;
pub const NRT_DTYPE_INVALID: nrt_dtype_t = 0;
pub const NRT_DTYPE_UINT64: nrt_dtype_t = 1;
pub const NRT_DTYPE_INT8: nrt_dtype_t = 2;
pub const NRT_DTYPE_UINT8: nrt_dtype_t = 3;
pub const NRT_DTYPE_INT16: nrt_dtype_t = 4;
pub const NRT_DTYPE_UINT16: nrt_dtype_t = 5;
pub const NRT_DTYPE_BFLOAT16: nrt_dtype_t = 6;
pub const NRT_DTYPE_FLOAT16: nrt_dtype_t = 7;
pub const NRT_DTYPE_INT32: nrt_dtype_t = 8;
pub const NRT_DTYPE_UINT32: nrt_dtype_t = 9;
pub const NRT_DTYPE_FLOAT32: nrt_dtype_t = 10;
pub const NRT_DTYPE_FP32R: nrt_dtype_t = 11;
pub const NRT_DTYPE_INT64: nrt_dtype_t = 12;
pub const NRT_DTYPE_FP8_E3: nrt_dtype_t = 13;
pub const NRT_DTYPE_FP8_E4: nrt_dtype_t = 14;
pub const NRT_DTYPE_FP8_E5: nrt_dtype_t = 15;
pub type nrt_dtype_t = ::std::os::raw::c_uint;
pub const NRT_TENSOR_USAGE_INPUT: nrt_tensor_usage_t = 0;
pub const NRT_TENSOR_USAGE_OUTPUT: nrt_tensor_usage_t = 1;
pub type nrt_tensor_usage_t = ::std::os::raw::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nrt_tensor_info {
    pub name: [::std::os::raw::c_char; 256usize],
    pub usage: nrt_tensor_usage_t,
    pub size: usize,
    pub dtype: nrt_dtype_t,
    pub shape: *mut u32,
    pub ndim: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nrt_tensor_info"][::std::mem::size_of::<nrt_tensor_info>() - 296usize];
    ["Alignment of nrt_tensor_info"][::std::mem::align_of::<nrt_tensor_info>() - 8usize];
    [
        "Offset of field: nrt_tensor_info::name",
    ][::std::mem::offset_of!(nrt_tensor_info, name) - 0usize];
    [
        "Offset of field: nrt_tensor_info::usage",
    ][::std::mem::offset_of!(nrt_tensor_info, usage) - 256usize];
    [
        "Offset of field: nrt_tensor_info::size",
    ][::std::mem::offset_of!(nrt_tensor_info, size) - 264usize];
    [
        "Offset of field: nrt_tensor_info::dtype",
    ][::std::mem::offset_of!(nrt_tensor_info, dtype) - 272usize];
    [
        "Offset of field: nrt_tensor_info::shape",
    ][::std::mem::offset_of!(nrt_tensor_info, shape) - 280usize];
    [
        "Offset of field: nrt_tensor_info::ndim",
    ][::std::mem::offset_of!(nrt_tensor_info, ndim) - 288usize];
};
pub type nrt_tensor_info_t = nrt_tensor_info;
#[repr(C)]
#[derive(Debug)]
pub struct nrt_tensor_info_array {
    pub tensor_count: u64,
    pub tensor_array: __IncompleteArrayField<nrt_tensor_info_t>,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    [
        "Size of nrt_tensor_info_array",
    ][::std::mem::size_of::<nrt_tensor_info_array>() - 8usize];
    [
        "Alignment of nrt_tensor_info_array",
    ][::std::mem::align_of::<nrt_tensor_info_array>() - 8usize];
    [
        "Offset of field: nrt_tensor_info_array::tensor_count",
    ][::std::mem::offset_of!(nrt_tensor_info_array, tensor_count) - 0usize];
    [
        "Offset of field: nrt_tensor_info_array::tensor_array",
    ][::std::mem::offset_of!(nrt_tensor_info_array, tensor_array) - 8usize];
};
pub type nrt_tensor_info_array_t = nrt_tensor_info_array;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct nrt_version {
    pub rt_major: u64,
    pub rt_minor: u64,
    pub rt_patch: u64,
    pub rt_maintenance: u64,
    pub rt_detail: [::std::os::raw::c_char; 128usize],
    pub git_hash: [::std::os::raw::c_char; 64usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of nrt_version"][::std::mem::size_of::<nrt_version>() - 224usize];
    ["Alignment of nrt_version"][::std::mem::align_of::<nrt_version>() - 8usize];
    [
        "Offset of field: nrt_version::rt_major",
    ][::std::mem::offset_of!(nrt_version, rt_major) - 0usize];
    [
        "Offset of field: nrt_version::rt_minor",
    ][::std::mem::offset_of!(nrt_version, rt_minor) - 8usize];
    [
        "Offset of field: nrt_version::rt_patch",
    ][::std::mem::offset_of!(nrt_version, rt_patch) - 16usize];
    [
        "Offset of field: nrt_version::rt_maintenance",
    ][::std::mem::offset_of!(nrt_version, rt_maintenance) - 24usize];
    [
        "Offset of field: nrt_version::rt_detail",
    ][::std::mem::offset_of!(nrt_version, rt_detail) - 32usize];
    [
        "Offset of field: nrt_version::git_hash",
    ][::std::mem::offset_of!(nrt_version, git_hash) - 160usize];
};
pub type nrt_version_t = nrt_version;
pub struct Functions {
    __library: ::libloading::Library,
    pub nrt_init: unsafe extern "C" fn(
        framework: nrt_framework_type_t,
        fw_version: *const ::std::os::raw::c_char,
        fal_version: *const ::std::os::raw::c_char,
    ) -> NRT_STATUS,
    pub nrt_close: unsafe extern "C" fn(),
    pub nrt_load: unsafe extern "C" fn(
        neff_bytes: *const ::std::os::raw::c_void,
        size: usize,
        vnc: i32,
        vnc_count: i32,
        model: *mut *mut nrt_model_t,
    ) -> NRT_STATUS,
    pub nrt_unload: unsafe extern "C" fn(model: *mut nrt_model_t) -> NRT_STATUS,
    pub nrt_get_model_nc_count: unsafe extern "C" fn(
        model: *const nrt_model_t,
        nc_count: *mut u32,
    ) -> NRT_STATUS,
    pub nrt_get_model_instance_count: unsafe extern "C" fn(
        model: *mut nrt_model_t,
        instance_count: *mut u32,
    ) -> NRT_STATUS,
    pub nrt_tensor_allocate: unsafe extern "C" fn(
        placement: nrt_tensor_placement_t,
        vnc: ::std::os::raw::c_int,
        size: usize,
        name: *const ::std::os::raw::c_char,
        tensor: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS,
    pub nrt_tensor_free: unsafe extern "C" fn(tensor: *mut *mut nrt_tensor_t),
    pub nrt_tensor_read: unsafe extern "C" fn(
        tensor: *const nrt_tensor_t,
        buf: *mut ::std::os::raw::c_void,
        offset: usize,
        size: usize,
    ) -> NRT_STATUS,
    pub nrt_tensor_write: unsafe extern "C" fn(
        tensor: *mut nrt_tensor_t,
        buf: *const ::std::os::raw::c_void,
        offset: usize,
        size: usize,
    ) -> NRT_STATUS,
    pub nrt_tensor_copy: unsafe extern "C" fn(
        src: *const nrt_tensor_t,
        src_offset: usize,
        dst: *mut nrt_tensor_t,
        dst_offset: usize,
        size: usize,
    ) -> NRT_STATUS,
    pub nrt_tensor_allocate_empty: unsafe extern "C" fn(
        name: *const ::std::os::raw::c_char,
        tensor: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS,
    pub nrt_tensor_attach_buffer: unsafe extern "C" fn(
        tensor: *mut nrt_tensor_t,
        buffer: *mut ::std::os::raw::c_void,
        size: usize,
    ) -> NRT_STATUS,
    pub nrt_tensor_allocate_slice: unsafe extern "C" fn(
        source: *const nrt_tensor_t,
        offset: usize,
        size: usize,
        name: *const ::std::os::raw::c_char,
        slice: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS,
    pub nrt_allocate_tensor_set: unsafe extern "C" fn(
        result: *mut *mut nrt_tensor_set_t,
    ) -> NRT_STATUS,
    pub nrt_destroy_tensor_set: unsafe extern "C" fn(set: *mut *mut nrt_tensor_set_t),
    pub nrt_add_tensor_to_tensor_set: unsafe extern "C" fn(
        set: *mut nrt_tensor_set_t,
        name: *const ::std::os::raw::c_char,
        tensor: *mut nrt_tensor_t,
    ) -> NRT_STATUS,
    pub nrt_execute: unsafe extern "C" fn(
        model: *mut nrt_model_t,
        in_: *const nrt_tensor_set_t,
        out: *mut nrt_tensor_set_t,
    ) -> NRT_STATUS,
    pub nrt_execute_repeat: unsafe extern "C" fn(
        model: *mut nrt_model_t,
        in_: *const nrt_tensor_set_t,
        out: *mut nrt_tensor_set_t,
        count: ::std::os::raw::c_int,
    ) -> NRT_STATUS,
    pub nrt_get_total_nc_count: unsafe extern "C" fn(nc_count: *mut u32) -> NRT_STATUS,
    pub nrt_get_visible_nc_count: unsafe extern "C" fn(nc_count: *mut u32) -> NRT_STATUS,
    pub nrt_get_model_tensor_info: unsafe extern "C" fn(
        model: *mut nrt_model_t,
        tensor_info: *mut *mut nrt_tensor_info_array_t,
    ) -> NRT_STATUS,
    pub nrt_free_model_tensor_info: unsafe extern "C" fn(
        tensor_info: *mut nrt_tensor_info_array_t,
    ) -> NRT_STATUS,
    pub nrt_get_version: unsafe extern "C" fn(
        ver: *mut nrt_version_t,
        size: usize,
    ) -> NRT_STATUS,
}
impl Functions {
    pub unsafe fn new<P>(path: P) -> Result<Self, ::libloading::Error>
    where
        P: AsRef<::std::ffi::OsStr>,
    {
        let library = unsafe { ::libloading::Library::new(path.as_ref()) }?;
        unsafe { Self::from_library(library) }
    }
    pub unsafe fn from_library<L>(library: L) -> Result<Self, ::libloading::Error>
    where
        L: Into<::libloading::Library>,
    {
        let __library = library.into();
        let nrt_init = unsafe { __library.get(b"nrt_init\0") }.map(|sym| *sym)?;
        let nrt_close = unsafe { __library.get(b"nrt_close\0") }.map(|sym| *sym)?;
        let nrt_load = unsafe { __library.get(b"nrt_load\0") }.map(|sym| *sym)?;
        let nrt_unload = unsafe { __library.get(b"nrt_unload\0") }.map(|sym| *sym)?;
        let nrt_get_model_nc_count = unsafe {
            __library.get(b"nrt_get_model_nc_count\0")
        }
            .map(|sym| *sym)?;
        let nrt_get_model_instance_count = unsafe {
            __library.get(b"nrt_get_model_instance_count\0")
        }
            .map(|sym| *sym)?;
        let nrt_tensor_allocate = unsafe { __library.get(b"nrt_tensor_allocate\0") }
            .map(|sym| *sym)?;
        let nrt_tensor_free = unsafe { __library.get(b"nrt_tensor_free\0") }
            .map(|sym| *sym)?;
        let nrt_tensor_read = unsafe { __library.get(b"nrt_tensor_read\0") }
            .map(|sym| *sym)?;
        let nrt_tensor_write = unsafe { __library.get(b"nrt_tensor_write\0") }
            .map(|sym| *sym)?;
        let nrt_tensor_copy = unsafe { __library.get(b"nrt_tensor_copy\0") }
            .map(|sym| *sym)?;
        let nrt_tensor_allocate_empty = unsafe {
            __library.get(b"nrt_tensor_allocate_empty\0")
        }
            .map(|sym| *sym)?;
        let nrt_tensor_attach_buffer = unsafe {
            __library.get(b"nrt_tensor_attach_buffer\0")
        }
            .map(|sym| *sym)?;
        let nrt_tensor_allocate_slice = unsafe {
            __library.get(b"nrt_tensor_allocate_slice\0")
        }
            .map(|sym| *sym)?;
        let nrt_allocate_tensor_set = unsafe {
            __library.get(b"nrt_allocate_tensor_set\0")
        }
            .map(|sym| *sym)?;
        let nrt_destroy_tensor_set = unsafe {
            __library.get(b"nrt_destroy_tensor_set\0")
        }
            .map(|sym| *sym)?;
        let nrt_add_tensor_to_tensor_set = unsafe {
            __library.get(b"nrt_add_tensor_to_tensor_set\0")
        }
            .map(|sym| *sym)?;
        let nrt_execute = unsafe { __library.get(b"nrt_execute\0") }.map(|sym| *sym)?;
        let nrt_execute_repeat = unsafe { __library.get(b"nrt_execute_repeat\0") }
            .map(|sym| *sym)?;
        let nrt_get_total_nc_count = unsafe {
            __library.get(b"nrt_get_total_nc_count\0")
        }
            .map(|sym| *sym)?;
        let nrt_get_visible_nc_count = unsafe {
            __library.get(b"nrt_get_visible_nc_count\0")
        }
            .map(|sym| *sym)?;
        let nrt_get_model_tensor_info = unsafe {
            __library.get(b"nrt_get_model_tensor_info\0")
        }
            .map(|sym| *sym)?;
        let nrt_free_model_tensor_info = unsafe {
            __library.get(b"nrt_free_model_tensor_info\0")
        }
            .map(|sym| *sym)?;
        let nrt_get_version = unsafe { __library.get(b"nrt_get_version\0") }
            .map(|sym| *sym)?;
        Ok(Functions {
            __library,
            nrt_init,
            nrt_close,
            nrt_load,
            nrt_unload,
            nrt_get_model_nc_count,
            nrt_get_model_instance_count,
            nrt_tensor_allocate,
            nrt_tensor_free,
            nrt_tensor_read,
            nrt_tensor_write,
            nrt_tensor_copy,
            nrt_tensor_allocate_empty,
            nrt_tensor_attach_buffer,
            nrt_tensor_allocate_slice,
            nrt_allocate_tensor_set,
            nrt_destroy_tensor_set,
            nrt_add_tensor_to_tensor_set,
            nrt_execute,
            nrt_execute_repeat,
            nrt_get_total_nc_count,
            nrt_get_visible_nc_count,
            nrt_get_model_tensor_info,
            nrt_free_model_tensor_info,
            nrt_get_version,
        })
    }
    pub unsafe fn nrt_init(
        &self,
        framework: nrt_framework_type_t,
        fw_version: *const ::std::os::raw::c_char,
        fal_version: *const ::std::os::raw::c_char,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_init)(framework, fw_version, fal_version) }
    }
    pub unsafe fn nrt_close(&self) {
        unsafe { (self.nrt_close)() }
    }
    pub unsafe fn nrt_load(
        &self,
        neff_bytes: *const ::std::os::raw::c_void,
        size: usize,
        vnc: i32,
        vnc_count: i32,
        model: *mut *mut nrt_model_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_load)(neff_bytes, size, vnc, vnc_count, model) }
    }
    pub unsafe fn nrt_unload(&self, model: *mut nrt_model_t) -> NRT_STATUS {
        unsafe { (self.nrt_unload)(model) }
    }
    pub unsafe fn nrt_get_model_nc_count(
        &self,
        model: *const nrt_model_t,
        nc_count: *mut u32,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_get_model_nc_count)(model, nc_count) }
    }
    pub unsafe fn nrt_get_model_instance_count(
        &self,
        model: *mut nrt_model_t,
        instance_count: *mut u32,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_get_model_instance_count)(model, instance_count) }
    }
    pub unsafe fn nrt_tensor_allocate(
        &self,
        placement: nrt_tensor_placement_t,
        vnc: ::std::os::raw::c_int,
        size: usize,
        name: *const ::std::os::raw::c_char,
        tensor: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_allocate)(placement, vnc, size, name, tensor) }
    }
    pub unsafe fn nrt_tensor_free(&self, tensor: *mut *mut nrt_tensor_t) {
        unsafe { (self.nrt_tensor_free)(tensor) }
    }
    pub unsafe fn nrt_tensor_read(
        &self,
        tensor: *const nrt_tensor_t,
        buf: *mut ::std::os::raw::c_void,
        offset: usize,
        size: usize,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_read)(tensor, buf, offset, size) }
    }
    pub unsafe fn nrt_tensor_write(
        &self,
        tensor: *mut nrt_tensor_t,
        buf: *const ::std::os::raw::c_void,
        offset: usize,
        size: usize,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_write)(tensor, buf, offset, size) }
    }
    pub unsafe fn nrt_tensor_copy(
        &self,
        src: *const nrt_tensor_t,
        src_offset: usize,
        dst: *mut nrt_tensor_t,
        dst_offset: usize,
        size: usize,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_copy)(src, src_offset, dst, dst_offset, size) }
    }
    pub unsafe fn nrt_tensor_allocate_empty(
        &self,
        name: *const ::std::os::raw::c_char,
        tensor: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_allocate_empty)(name, tensor) }
    }
    pub unsafe fn nrt_tensor_attach_buffer(
        &self,
        tensor: *mut nrt_tensor_t,
        buffer: *mut ::std::os::raw::c_void,
        size: usize,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_attach_buffer)(tensor, buffer, size) }
    }
    pub unsafe fn nrt_tensor_allocate_slice(
        &self,
        source: *const nrt_tensor_t,
        offset: usize,
        size: usize,
        name: *const ::std::os::raw::c_char,
        slice: *mut *mut nrt_tensor_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_tensor_allocate_slice)(source, offset, size, name, slice) }
    }
    pub unsafe fn nrt_allocate_tensor_set(
        &self,
        result: *mut *mut nrt_tensor_set_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_allocate_tensor_set)(result) }
    }
    pub unsafe fn nrt_destroy_tensor_set(&self, set: *mut *mut nrt_tensor_set_t) {
        unsafe { (self.nrt_destroy_tensor_set)(set) }
    }
    pub unsafe fn nrt_add_tensor_to_tensor_set(
        &self,
        set: *mut nrt_tensor_set_t,
        name: *const ::std::os::raw::c_char,
        tensor: *mut nrt_tensor_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_add_tensor_to_tensor_set)(set, name, tensor) }
    }
    pub unsafe fn nrt_execute(
        &self,
        model: *mut nrt_model_t,
        in_: *const nrt_tensor_set_t,
        out: *mut nrt_tensor_set_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_execute)(model, in_, out) }
    }
    pub unsafe fn nrt_execute_repeat(
        &self,
        model: *mut nrt_model_t,
        in_: *const nrt_tensor_set_t,
        out: *mut nrt_tensor_set_t,
        count: ::std::os::raw::c_int,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_execute_repeat)(model, in_, out, count) }
    }
    pub unsafe fn nrt_get_total_nc_count(&self, nc_count: *mut u32) -> NRT_STATUS {
        unsafe { (self.nrt_get_total_nc_count)(nc_count) }
    }
    pub unsafe fn nrt_get_visible_nc_count(&self, nc_count: *mut u32) -> NRT_STATUS {
        unsafe { (self.nrt_get_visible_nc_count)(nc_count) }
    }
    pub unsafe fn nrt_get_model_tensor_info(
        &self,
        model: *mut nrt_model_t,
        tensor_info: *mut *mut nrt_tensor_info_array_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_get_model_tensor_info)(model, tensor_info) }
    }
    pub unsafe fn nrt_free_model_tensor_info(
        &self,
        tensor_info: *mut nrt_tensor_info_array_t,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_free_model_tensor_info)(tensor_info) }
    }
    pub unsafe fn nrt_get_version(
        &self,
        ver: *mut nrt_version_t,
        size: usize,
    ) -> NRT_STATUS {
        unsafe { (self.nrt_get_version)(ver, size) }
    }
}
pub(crate) const NAMES: [&str; 24] = [
    "nrt_init",
    "nrt_close",
    "nrt_load",
    "nrt_unload",
    "nrt_get_model_nc_count",
    "nrt_get_model_instance_count",
    "nrt_get_model_tensor_info",
    "nrt_free_model_tensor_info",
    "nrt_tensor_allocate",
    "nrt_tensor_free",
    "nrt_tensor_read",
    "nrt_tensor_write",
    "nrt_tensor_copy",
    "nrt_tensor_allocate_empty",
    "nrt_tensor_attach_buffer",
    "nrt_tensor_allocate_slice",
    "nrt_allocate_tensor_set",
    "nrt_destroy_tensor_set",
    "nrt_add_tensor_to_tensor_set",
    "nrt_execute",
    "nrt_execute_repeat",
    "nrt_get_total_nc_count",
    "nrt_get_visible_nc_count",
    "nrt_get_version",
];
