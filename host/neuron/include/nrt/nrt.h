/* The Neuron Runtime's C interface, as far as its documentation describes it (nrt.h, nrt-developer-guide, Neuron 2.32).
 *
 * Part of gpsimd: written from the documented interface, so that programs compile on hosts without the Neuron SDK and run
 * there with gpsimd's EMULATED libnrt.so.1. Where the SDK is installed, its own headers in /opt/aws/neuron/include/nrt are
 * the truth; a test compares these with them.
 *
 * Every function that gives an NRT_STATUS gives NRT_UNINITIALIZED before nrt_init and NRT_CLOSED after nrt_close, except
 * those that count NeuronCores, which may be called at any time. Sizes and offsets are in bytes.
 */
#ifndef GPSIMD_NRT_H
#define GPSIMD_NRT_H

#include <stddef.h>
#include <stdint.h>

#include "nrt/nrt_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nrt_model nrt_model_t;
typedef struct nrt_tensor nrt_tensor_t;
typedef struct nrt_tensor_set nrt_tensor_set_t;

typedef enum {
    NRT_TENSOR_PLACEMENT_DEVICE = 0,  /* device memory (HBM) of a NeuronCore */
    NRT_TENSOR_PLACEMENT_HOST = 1,    /* host memory that the device reaches by DMA */
    NRT_TENSOR_PLACEMENT_VIRTUAL = 2  /* host memory as any other; a buffer that is attached is this */
} nrt_tensor_placement_t;

typedef enum {
    NRT_FRAMEWORK_TYPE_INVALID = 0,
    NRT_FRAMEWORK_TYPE_NO_FW = 1,
    NRT_FRAMEWORK_TYPE_TENSORFLOW = 2,
    NRT_FRAMEWORK_TYPE_PYTORCH = 3,
    NRT_FRAMEWORK_TYPE_MXNET = 4,
    NRT_FRAMEWORK_TYPE_PRECHECK = 5
} nrt_framework_type_t;

typedef enum {
    NRT_DTYPE_UNKNOWN = 0x0,
    NRT_DTYPE_INVALID = 0x0,
    NRT_DTYPE_UINT64 = 0x1,
    NRT_DTYPE_INT8 = 0x2,
    NRT_DTYPE_UINT8 = 0x3,
    NRT_DTYPE_INT16 = 0x4,
    NRT_DTYPE_UINT16 = 0x5,
    NRT_DTYPE_BFLOAT16 = 0x6,
    NRT_DTYPE_FLOAT16 = 0x7,
    NRT_DTYPE_INT32 = 0x8,
    NRT_DTYPE_UINT32 = 0x9,
    NRT_DTYPE_FLOAT32 = 0xA,
    NRT_DTYPE_FP32R = 0xB,
    NRT_DTYPE_INT64 = 0xC,
    NRT_DTYPE_FP8_E3 = 0xD,
    NRT_DTYPE_FP8_E4 = 0xE,
    NRT_DTYPE_FP8_E5 = 0xF
} nrt_dtype_t;

/* Once per process, before anything else. `framework` and the two versions name the caller, for the logs. */
NRT_STATUS nrt_init(nrt_framework_type_t framework, const char *fw_version, const char *fal_version);
/* Unloads what is loaded and gives the NeuronCores back. */
void nrt_close(void);

/* Loads a NEFF onto NeuronCore `vnc`, or onto one that the runtime chooses for -1. `vnc_count` is always -1. */
NRT_STATUS nrt_load(const void *neff_bytes, size_t size, int32_t vnc, int32_t vnc_count, nrt_model_t **model);
NRT_STATUS nrt_unload(nrt_model_t *model);
NRT_STATUS nrt_get_model_nc_count(const nrt_model_t *model, uint32_t *nc_count);
NRT_STATUS nrt_get_model_instance_count(nrt_model_t *model, uint32_t *instance_count);

NRT_STATUS nrt_tensor_allocate(nrt_tensor_placement_t placement, int vnc, size_t size, const char *name,
                               nrt_tensor_t **tensor);
/* Frees a tensor and makes the pointer null. */
void nrt_tensor_free(nrt_tensor_t **tensor);
NRT_STATUS nrt_tensor_read(const nrt_tensor_t *tensor, void *buf, size_t offset, size_t size);
NRT_STATUS nrt_tensor_write(nrt_tensor_t *tensor, const void *buf, size_t offset, size_t size);
NRT_STATUS nrt_tensor_copy(const nrt_tensor_t *src, size_t src_offset, nrt_tensor_t *dst, size_t dst_offset,
                           size_t size);
size_t nrt_tensor_get_size(const nrt_tensor_t *tensor);
/* A tensor without memory, until a buffer is attached. */
NRT_STATUS nrt_tensor_allocate_empty(const char *name, nrt_tensor_t **tensor);
/* The buffer stays the caller's, and has to outlive its use by the tensor. */
NRT_STATUS nrt_tensor_attach_buffer(nrt_tensor_t *tensor, void *buffer, size_t size);
/* A tensor that is part of another; it keeps the memory alive. */
NRT_STATUS nrt_tensor_allocate_slice(const nrt_tensor_t *source, size_t offset, size_t size, const char *name,
                                     nrt_tensor_t **slice);
/* The address of a tensor in host memory, or null. */
void *nrt_tensor_get_va(const nrt_tensor_t *tensor);

NRT_STATUS nrt_allocate_tensor_set(nrt_tensor_set_t **result);
/* Frees a set, not the tensors in it, and makes the pointer null. */
void nrt_destroy_tensor_set(nrt_tensor_set_t **set);
NRT_STATUS nrt_add_tensor_to_tensor_set(nrt_tensor_set_t *set, const char *name, nrt_tensor_t *tensor);
NRT_STATUS nrt_get_tensor_from_tensor_set(nrt_tensor_set_t *set, const char *name, nrt_tensor_t **tensor);

/* Runs a model once, or `count` times, and returns when it is done. */
NRT_STATUS nrt_execute(nrt_model_t *model, const nrt_tensor_set_t *in, nrt_tensor_set_t *out);
NRT_STATUS nrt_execute_repeat(nrt_model_t *model, const nrt_tensor_set_t *in, nrt_tensor_set_t *out, int count);

/* NeuronCores of the instance; those that this process may use; logical ones. */
NRT_STATUS nrt_get_total_nc_count(uint32_t *nc_count);
NRT_STATUS nrt_get_visible_nc_count(uint32_t *nc_count);
NRT_STATUS nrt_get_total_vnc_count(uint32_t *vnc_count);

#ifdef __cplusplus
}
#endif

/* The SDK's nrt.h does not include these two: a program that is to compile there, too, includes them itself. */
#include "nrt/nrt_experimental.h"
#include "nrt/nrt_version.h"

#endif
