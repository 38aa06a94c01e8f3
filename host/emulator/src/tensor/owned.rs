//! [`Tensor`]: a tensor that owns its memory.

use gpsimd_abi::DType;
use half::{bf16, f16};

use super::{Element, TensorError, TensorType, TensorView, TensorViewMut};

/// A tensor that owns its memory; what [`crate::Engine::call`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    ty: TensorType,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
enum Data {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
    I32(Vec<i32>),
    I16(Vec<i16>),
    I8(Vec<i8>),
    U8(Vec<u8>),
}

/// Does the same with the vector of every variant.
macro_rules! with_vector {
    ($data:expr, $vector:ident => $result:expr) => {
        match $data {
            Data::F32($vector) => $result,
            Data::Bf16($vector) => $result,
            Data::F16($vector) => $result,
            Data::I32($vector) => $result,
            Data::I16($vector) => $result,
            Data::I8($vector) => $result,
            Data::U8($vector) => $result,
        }
    };
}

impl Tensor {
    /// The elements of `data`, row-major, as a tensor of `shape`.
    ///
    /// # Errors
    /// When the shape has another number of elements, or more than 8 dimensions.
    pub fn from_vec<T: Element>(data: Vec<T>, shape: &[usize]) -> Result<Self, TensorError> {
        let ty = TensorView::new(&data, shape)?.ty();
        let mut tensor = Self::zeros(ty);
        tensor.as_mut_slice()?.copy_from_slice(&data);
        drop(data);
        Ok(tensor)
    }

    /// Zeros of type `ty`.
    pub fn zeros(ty: TensorType) -> Self {
        let data = match ty.dtype() {
            DType::F32 => Data::F32(vec![0.0; ty.len()]),
            DType::Bf16 => Data::Bf16(vec![bf16::ZERO; ty.len()]),
            DType::F16 => Data::F16(vec![f16::ZERO; ty.len()]),
            DType::I32 => Data::I32(vec![0; ty.len()]),
            DType::I16 => Data::I16(vec![0; ty.len()]),
            DType::I8 => Data::I8(vec![0; ty.len()]),
            DType::U8 => Data::U8(vec![0; ty.len()]),
        };
        Self { ty, data }
    }

    /// `bytes`, the elements row-major in the byte order of this host, as a tensor of type `ty`.
    ///
    /// # Errors
    /// When they are more or fewer than the type says.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Result<Self, TensorError> {
        if bytes.len() != ty.bytes() {
            let found = bytes.len() / ty.dtype().bytes();
            return Err(TensorError::Length { shape: ty.shape().to_vec(), expected: ty.len(), found });
        }
        let mut tensor = Self::zeros(ty);
        with_vector!(&mut tensor.data, data => bytemuck::cast_slice_mut(data).copy_from_slice(bytes));
        Ok(tensor)
    }

    /// `numbers`, row-major, as a tensor of type `ty`, with zeros for those that are missing: floats are rounded to nearest,
    /// integers cut off behind the point.
    pub fn of_numbers(ty: TensorType, numbers: impl IntoIterator<Item = f32>) -> Self {
        fn fill<T>(vector: &mut [T], numbers: impl IntoIterator<Item = f32>, element: impl Fn(f32) -> T) {
            vector.iter_mut().zip(numbers).for_each(|(to, number)| *to = element(number));
        }
        let mut tensor = Self::zeros(ty);
        match &mut tensor.data {
            Data::F32(vector) => fill(vector, numbers, |number| number),
            Data::Bf16(vector) => fill(vector, numbers, bf16::from_f32),
            Data::F16(vector) => fill(vector, numbers, f16::from_f32),
            Data::I32(vector) => fill(vector, numbers, |number| number as i32),
            Data::I16(vector) => fill(vector, numbers, |number| number as i16),
            Data::I8(vector) => fill(vector, numbers, |number| number as i8),
            Data::U8(vector) => fill(vector, numbers, |number| number as u8),
        }
        tensor
    }

    /// Dtype and shape.
    pub const fn ty(&self) -> TensorType {
        self.ty
    }

    /// The elements, row-major.
    ///
    /// # Errors
    /// [`TensorError::DType`] when the tensor's elements are not `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], TensorError> {
        self.expect::<T>()?;
        Ok(bytemuck::cast_slice(self.bytes()))
    }

    /// The elements, row-major, to write.
    ///
    /// # Errors
    /// [`TensorError::DType`] when the tensor's elements are not `T`.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], TensorError> {
        self.expect::<T>()?;
        Ok(with_vector!(&mut self.data, data => bytemuck::cast_slice_mut(data)))
    }

    /// The bytes of all elements: what "bit for bit the same" compares.
    pub fn bytes(&self) -> &[u8] {
        with_vector!(&self.data, data => bytemuck::cast_slice(data))
    }

    /// The bytes of all elements, to write: any bits are an element.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        with_vector!(&mut self.data, data => bytemuck::cast_slice_mut(data))
    }

    /// The tensor as an operand of a launch.
    pub fn view(&self) -> TensorView<'_> {
        // SAFETY: the vector holds `ty.len()` elements of the dtype and is borrowed as long as the view.
        unsafe { TensorView::from_raw(self.bytes().as_ptr(), self.ty) }
    }

    /// The tensor as the output of a launch.
    pub fn view_mut(&mut self) -> TensorViewMut<'_> {
        let data: *mut u8 = with_vector!(&mut self.data, data => data.as_mut_ptr().cast());
        // SAFETY: the vector holds `ty.len()` elements of the dtype and is borrowed mutably as long as the view.
        unsafe { TensorViewMut::from_raw(data, self.ty) }
    }

    fn expect<T: Element>(&self) -> Result<(), TensorError> {
        if self.ty.dtype() == T::DTYPE {
            Ok(())
        } else {
            Err(TensorError::DType { expected: T::DTYPE.name(), found: self.ty.dtype().name() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_of_the_bytes_of_another_is_that_one() {
        for dtype in DType::ALL {
            let ty = TensorType::new(dtype, &[3, 2]).unwrap();
            let tensor = Tensor::of_numbers(ty, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            // From an address that no element is aligned to.
            let shifted = [&[0], tensor.bytes()].concat();
            assert_eq!(Tensor::from_bytes(ty, &shifted[1..]).unwrap(), tensor);
            let mut written = Tensor::zeros(ty);
            written.bytes_mut().copy_from_slice(tensor.bytes());
            assert_eq!(written, tensor);
            let error = Tensor::from_bytes(ty, &shifted[1..=dtype.bytes()]).unwrap_err();
            assert_eq!(error.to_string(), "shape [3, 2] has 6 elements, the data has 1");
        }
    }
}
