//! [`Replay`]: the file of one launch, to run it again.
//!
//! It is a safetensors file: the tensor operands by their names, and in its metadata, under [`KEY`], JSON that says the rest.
//! The book's page "Replay files" has the format.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use gpsimd_emulator::gpsimd_descriptor::{LibraryDescriptor, OpDescriptor};
use gpsimd_emulator::{DType, OpLibrary, Scalar, Tensor, TensorError, TensorType};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};
use serde::{Deserialize, Serialize};

use super::setting::Setting;
use crate::files;
use crate::operands::{Operands, scalar_names};

/// The key of the metadata.
pub const KEY: &str = "gpsimd";

/// Version of the format that is written, and the newest that is read.
pub const FORMAT: u32 = 1;

/// Most bytes of a file that is read.
const MAX_BYTES: u64 = 4 << 30;

/// A launch that can be run again, and what was found with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The op library.
    pub library: String,
    /// Its version.
    pub version: String,
    /// The op.
    pub op: String,
    /// Tensor operands by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Scalars and sizes by name.
    pub scalars: BTreeMap<String, Scalar>,
    /// How it was launched: once, or twice with results that were compared.
    pub settings: Vec<Setting>,
    /// What judged the result; `cargo gpsimd replay` asks it again.
    pub judge: String,
    /// What was found, in words.
    pub finding: String,
}

/// Why a file is not a replay file, or not one for this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is too large to be one.
    #[error("it has {found} bytes, a replay file has at most {MAX_BYTES}")]
    Large {
        /// Its bytes.
        found: u64,
    },
    /// It is not a safetensors file, or a broken one.
    #[error("it is not a whole safetensors file: {0}")]
    Safetensors(#[from] SafeTensorError),
    /// A safetensors file of something else.
    #[error("its metadata has no `{KEY}`: `cargo gpsimd check` writes replay files")]
    NoMetadata,
    /// What is under the key is not what it must be.
    #[error("the metadata `{KEY}` is not that of a replay file: {0}")]
    Metadata(#[from] serde_json::Error),
    /// Of a version that is not known.
    #[error("its format is {found}, this version of cargo-gpsimd reads up to {FORMAT}: install a newer one")]
    Format {
        /// The format.
        found: u32,
    },
    /// An element type that no op takes.
    #[error("tensor `{tensor}` has elements of type {found}, expected one of {}", DType::ALL.map(DType::name).join(", "))]
    ElementType {
        /// The tensor.
        tensor: String,
        /// Its type in the file.
        found: String,
    },
    /// A shape that no tensor has here.
    #[error("tensor `{tensor}`: {source}")]
    Tensor {
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        source: TensorError,
    },
    /// A scalar that is there twice.
    #[error("scalar `{0}` is there twice")]
    Twice(String),
    /// An f32 that is not written as one.
    #[error("scalar `{scalar}` is `{found}`, expected an f32 as text, such as \"0.125\" or \"inf\"")]
    Number {
        /// The scalar.
        scalar: String,
        /// Its text.
        found: String,
    },
    /// A setting that no engine has.
    #[error("a setting has {0}")]
    Setting(String),
    /// Another number of settings than one or two.
    #[error("it has {0} settings, expected 1, or 2 that were compared")]
    Settings(usize),
    /// It is another library's.
    #[error("it is of op library `{found}`, this one is `{expected}`: go to that library's folder, or name it with -p")]
    Library {
        /// The library that is here.
        expected: String,
        /// That of the file.
        found: String,
    },
    /// The library has no such op.
    #[error("{0}")]
    Op(#[from] gpsimd_emulator::UnknownOp),
    /// The op takes other operands.
    #[error("op `{op}` {problem}: the file is of another version of it")]
    Operands {
        /// The op.
        op: String,
        /// What does not fit.
        problem: String,
    },
}

/// The JSON.
#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    library: String,
    version: String,
    op: String,
    scalars: Vec<Named>,
    settings: Vec<Setting>,
    judge: String,
    finding: String,
}

/// What every version of the JSON has.
#[derive(Deserialize)]
struct AnyMetadata {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    value: Value,
}

/// A scalar; an f32 as text, for what JSON has no numbers for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    F32(String),
    I32(i32),
    U32(u32),
    Bool(bool),
    Size(usize),
}

impl Replay {
    /// The launch of `op` on `operands`.
    pub fn new(library: &LibraryDescriptor, op: &OpDescriptor, operands: &Operands) -> Self {
        let tensors = op.tensors().map(|(name, _)| name.to_owned()).zip(operands.tensors.iter().cloned());
        let scalars = scalar_names(op).map(str::to_owned).zip(operands.scalars.iter().copied());
        Self {
            library: library.name.clone(),
            version: library.version.clone(),
            op: op.name.clone(),
            tensors: tensors.collect(),
            scalars: scalars.collect(),
            settings: vec![Setting::REFERENCE],
            judge: String::new(),
            finding: String::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is not a replay file of a version that is known.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        Self::parse(&read(path)?)
    }

    /// Reads what is in a file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &[u8]) -> Result<Self, ReplayError> {
        let (_, header) = SafeTensors::read_metadata(file)?;
        let json = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or(ReplayError::NoMetadata)?;
        // Before what another version may have in other places.
        let AnyMetadata { format: found } = serde_json::from_str(json)?;
        if found == 0 || found > FORMAT {
            return Err(ReplayError::Format { found });
        }
        let metadata: Metadata = serde_json::from_str(json)?;
        let tensors = tensors(file)?;
        let mut scalars = BTreeMap::new();
        for Named { name, value } in metadata.scalars {
            let scalar = scalar(&name, value)?;
            if scalars.insert(name.clone(), scalar).is_some() {
                return Err(ReplayError::Twice(name));
            }
        }
        if !(1..=2).contains(&metadata.settings.len()) {
            return Err(ReplayError::Settings(metadata.settings.len()));
        }
        if let Some(problem) = metadata.settings.iter().find_map(Setting::problem) {
            return Err(ReplayError::Setting(problem));
        }
        let Metadata { library, version, op, settings, judge, finding, .. } = metadata;
        Ok(Self { library, version, op, tensors, scalars, settings, judge, finding })
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// None for tensors that fit in memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReplayError> {
        let value = |scalar: &Scalar| match *scalar {
            Scalar::F32(value) => Value::F32(format!("{value:?}")),
            Scalar::I32(value) => Value::I32(value),
            Scalar::U32(value) => Value::U32(value),
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Size(value) => Value::Size(value),
        };
        let scalars = self.scalars.iter().map(|(name, scalar)| Named { name: name.clone(), value: value(scalar) });
        let metadata = Metadata {
            format: FORMAT,
            library: self.library.clone(),
            version: self.version.clone(),
            op: self.op.clone(),
            scalars: scalars.collect(),
            settings: self.settings.clone(),
            judge: self.judge.clone(),
            finding: self.finding.clone(),
        };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&metadata)?)]);
        let mut views = Vec::new();
        for (name, tensor) in &self.tensors {
            let shape = tensor.ty().shape().to_vec();
            views.push((name, TensorView::new(file_dtype(tensor.ty().dtype()), shape, tensor.bytes())?));
        }
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = self.to_bytes()?;
        files::replace(path, |file| file.write_all(&bytes))
    }

    /// The operands in the order of the op, which the library here may have in another version.
    ///
    /// # Errors
    /// When the file is of another library, which has no such op, or the op takes operands of other names or types.
    pub fn operands(&self, library: &OpLibrary) -> Result<Operands, ReplayError> {
        if library.name() != self.library {
            return Err(ReplayError::Library { expected: library.name().to_owned(), found: self.library.clone() });
        }
        let op = library.op(&self.op)?;
        let refuse = |problem: String| ReplayError::Operands { op: self.op.clone(), problem };
        let expected: Vec<_> = op.descriptor().tensors().map(|(name, _)| name).collect();
        let tensors = in_order("tensor", &expected, &self.tensors).map_err(refuse)?;
        let expected: Vec<_> = scalar_names(op.descriptor()).collect();
        let scalars = in_order("scalar", &expected, &self.scalars).map_err(refuse)?;
        Ok(Operands { tensors, scalars })
    }
}

/// The tensors of a safetensors file that are an op's, in its order.
///
/// # Errors
/// When it cannot be read, or has not the tensors that the op takes, and no others.
pub(crate) fn operands_in(path: &Path, op: &OpDescriptor) -> anyhow::Result<Vec<Tensor>> {
    let file = || format!("cannot take operands from {}", path.display());
    let tensors = read(path).and_then(|file| tensors(&file)).with_context(file)?;
    let expected: Vec<_> = op.tensors().map(|(name, _)| name).collect();
    let found = in_order("tensor", &expected, &tensors);
    found.map_err(|problem| anyhow!("op `{}` {problem}", op.name)).with_context(file)
}

/// What is in a file, if it is not too large.
fn read(path: &Path) -> Result<Vec<u8>, ReplayError> {
    let found = std::fs::metadata(path)?.len();
    if found > MAX_BYTES {
        return Err(ReplayError::Large { found });
    }
    Ok(std::fs::read(path)?)
}

fn tensors(file: &[u8]) -> Result<BTreeMap<String, Tensor>, ReplayError> {
    let tensors = SafeTensors::deserialize(file)?;
    tensors.iter().map(|(name, view)| Ok((name.to_owned(), tensor(name, &view)?))).collect()
}

/// The values of the names that are expected, no more and no fewer.
fn in_order<T: Clone>(what: &str, expected: &[&str], found: &BTreeMap<String, T>) -> Result<Vec<T>, String> {
    if let Some(unknown) = found.keys().find(|name| !expected.contains(&name.as_str())) {
        return Err(format!("has no {what} `{unknown}`"));
    }
    let value = |name: &&str| found.get(*name).cloned().ok_or_else(|| format!("takes a {what} `{name}`, found none"));
    expected.iter().map(value).collect()
}

fn scalar(name: &str, value: Value) -> Result<Scalar, ReplayError> {
    Ok(match value {
        Value::F32(text) => match text.parse() {
            Ok(number) => Scalar::F32(number),
            Err(_) => return Err(ReplayError::Number { scalar: name.to_owned(), found: text }),
        },
        Value::I32(value) => Scalar::I32(value),
        Value::U32(value) => Scalar::U32(value),
        Value::Bool(value) => Scalar::Bool(value),
        Value::Size(value) => Scalar::Size(value),
    })
}

fn tensor(name: &str, view: &TensorView<'_>) -> Result<Tensor, ReplayError> {
    let dtype = DType::ALL.into_iter().find(|dtype| file_dtype(*dtype) == view.dtype());
    let dtype =
        dtype.ok_or_else(|| ReplayError::ElementType { tensor: name.to_owned(), found: view.dtype().to_string() })?;
    let of_tensor = |source| ReplayError::Tensor { tensor: name.to_owned(), source };
    let ty = TensorType::new(dtype, view.shape()).map_err(of_tensor)?;
    Tensor::from_bytes(ty, view.data()).map_err(of_tensor)
}

/// What safetensors files call an element type.
pub(crate) const fn file_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::Bf16 => Dtype::BF16,
        DType::F16 => Dtype::F16,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U8 => Dtype::U8,
    }
}
