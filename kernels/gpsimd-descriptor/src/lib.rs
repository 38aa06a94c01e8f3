//! The descriptor of an op library: what the library says about itself, so that nothing is declared twice.
//! `#[custom_op]` writes it as JSON, hosts read it with [`LibraryDescriptor::parse`]. And the vendor's [`limits`],
//! which the macros, the code generator and the emulator verify.

pub mod limits;
pub mod packing;

use gpsimd_abi::{DType, MAX_OUTPUTS, TCM_ALIGN};
use serde::{Deserialize, Serialize};

use crate::limits::TCM_POOL_BYTES;

/// Name of the custom section of a kernel image that holds the library's descriptor (JSON, UTF-8).
pub const IMAGE_SECTION: &str = "gpsimd.descriptor";

/// Name of the exported global of a kernel image that is the address of the pool's size in bytes, a u32.
pub const POOL_BYTES_EXPORT: &str = "gpsimd.pool_bytes";

/// The environment variable that says, while crates are compiled, that one of them is the op library that is built. Which one,
/// [`library_variable`] says: the crates that it takes ops from may have an `op_library!` of their own, whose symbols would be
/// there a second time, and are left out.
pub const LIBRARY_VARIABLE: &str = "GPSIMD_LIBRARY";

/// The environment variable that says that the crate `library`, a library target, is the op library that is built. A variable
/// for each crate: cargo compiles a crate again when a variable changes that it asks for, and all but one need not be.
pub fn library_variable(library: &str) -> String {
    format!("{LIBRARY_VARIABLE}_{library}")
}

/// The variables to set, and to what, while `library` is built.
pub fn library_variables(library: &str) -> [(String, &'static str); 2] {
    [(LIBRARY_VARIABLE.to_owned(), "1"), (library_variable(library), "1")]
}

/// An op library: its name and the ops that ship together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryDescriptor {
    /// Name, as in `torch.ops.<name>`.
    pub name: String,
    /// Version of the crate that holds the kernels.
    pub version: String,
    /// Bytes of a core's TCM that its kernels have for buffers on the device, a multiple of [`TCM_ALIGN`]. A kernel
    /// image keeps its stack and constants in TCM, too, so that it has fewer than the [`TCM_POOL_BYTES`] that are there
    /// unless a library says so: C++ ops allocate from all of them, and an op package takes all of them for the whole
    /// image.
    #[serde(default = "pool_bytes")]
    pub tcm_bytes: u32,
    /// The ops, in the order of the library's table.
    pub ops: Vec<OpDescriptor>,
}

fn pool_bytes() -> u32 {
    TCM_POOL_BYTES as u32
}

/// An op: operands, outputs, and how it is differentiated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpDescriptor {
    /// Name, as in `torch.ops.<library>.<name>`.
    pub name: String,
    /// The doc comment of the kernel.
    pub doc: String,
    /// The kernel's type parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<TypeParameter>,
    /// Operands in the order of the kernel's parameters.
    pub operands: Vec<OperandDescriptor>,
    /// The outputs; at least one.
    pub outputs: Vec<OutputDescriptor>,
    /// The second phase, of an op with two: its outputs are the op's, and the outputs here a workspace between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// How gradients of operands follow from those of the outputs; of two phases, those of the second.
    pub gradients: Vec<Gradient>,
    /// What computes the same in f64, of operands and outputs in f64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Source file of the kernel.
    pub file: String,
}

/// An operand of an op.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperandDescriptor {
    /// Name of the kernel's parameter.
    pub name: String,
    /// What is passed.
    pub kind: OperandKind,
}

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperandKind {
    /// A tensor.
    Tensor(ElementType),
    /// A number, packed with the others into the tensor `params`, as bits in an i32.
    Scalar(ScalarType),
    /// A number that the shape function sees: on the device, the length of a tensor.
    Size,
}

/// Type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalarType {
    /// IEEE 754 binary32.
    F32,
    /// Signed, 32 bit.
    I32,
    /// Unsigned, 32 bit.
    U32,
    /// 0 or 1.
    Bool,
}

impl ScalarType {
    /// The type's name in Rust.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::Bool => "bool",
        }
    }
}

/// A type parameter of a kernel, which has a version for each of its types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeParameter {
    /// Its name in the source.
    pub name: String,
    /// What it may be; never empty.
    #[serde(with = "dtype_names")]
    pub dtypes: Vec<DType>,
}

/// Element type of an operand or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementType {
    /// The type parameter of this index: the same dtype for all that say so.
    Parameter(usize),
    /// Any dtype, whatever the others have: the op looks for itself. For C++ ops.
    Any,
    /// This dtype always.
    #[serde(untagged, with = "dtype_name")]
    Fixed(DType),
}

/// The names of dtypes, for a message: "f32, bf16 or f16".
pub fn any_of(dtypes: &[DType]) -> String {
    let names: Vec<_> = dtypes.iter().map(|dtype| dtype.name()).collect();
    match names.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        names => names.concat(),
    }
}

/// A dtype by its name.
mod dtype_name {
    use gpsimd_abi::DType;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn find(name: &str) -> Result<DType, String> {
        let known = DType::ALL.map(DType::name).join(", ");
        let found = DType::ALL.into_iter().find(|dtype| dtype.name() == name);
        found.ok_or_else(|| format!("unknown dtype `{name}`, expected one of {known}"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(dtype: &DType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(dtype.name())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<DType, D::Error> {
        find(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Dtypes by their names.
mod dtype_names {
    use gpsimd_abi::DType;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(dtypes: &[DType], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(dtypes.iter().map(|dtype| dtype.name()))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<DType>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().map(|name| super::dtype_name::find(name)).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

/// An output tensor of an op.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputDescriptor {
    /// Name of the kernel's parameter.
    pub name: String,
    /// Its element type.
    pub element: ElementType,
    /// Name of the tensor operand that it replaces, so that a CPU updates that in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What PyTorch gets in its place; none for a tensor of its own dtype.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnedType>,
}

/// What computes the same as an op, with more digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    /// A Python function, `module:function`.
    Python(String),
    /// A Rust function of the crate, which the native library has.
    Rust {
        /// Its path there.
        rust: String,
        /// How far a float may be from it, of its own size and of the largest; unless given, what its type rounds to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tolerance: Option<(f64, f64)>,
    },
}

impl Reference {
    /// The function.
    pub fn name(&self) -> &str {
        match self {
            Self::Python(name) | Self::Rust { rust: name, .. } => name,
        }
    }
}

/// The second launch of an op: cores see there what all of them wrote in the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// The op that is launched, of the same library, which has one phase.
    pub op: String,
    /// What it is launched on, in the order of its operands: outputs of the first phase and operands, by name.
    pub arguments: Vec<String>,
}

/// A dtype that only hosts have, of an output that the cores compute in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnedType {
    /// `torch.int64`, of an i32.
    Int64,
    /// `torch.bool`, of a u8: whether it is not 0.
    Bool,
}

/// "The gradient with respect to `operands` is `formula`", summed over the dimensions that broadcast. Of an op with as
/// many outputs as there are operands, each is the gradient of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gradient {
    /// Tensor operands that it is the gradient of.
    pub operands: Vec<String>,
    /// What it is.
    #[serde(flatten)]
    pub formula: Formula,
    /// Elements of the operands for which it is meant not to be the derivative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<Exception>,
}

/// Elements for which a declared gradient is meant not to be the derivative of what the op computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Which.
    #[serde(flatten)]
    pub elements: Excepted,
    /// Why, in words.
    pub reason: String,
}

/// Which elements an [`Exception`] is of. A closed list, of which every one leaves the others of a tensor to be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excepted {
    /// Those whose index, the element of this i32 operand at the same place, comes again later in its row, along the last
    /// dimension: what is set at indices is overwritten there.
    Overwritten(String),
    /// The row, along the first dimension, whose number is this i32 or u32 scalar; none where there is no such row.
    Row(String),
}

impl Excepted {
    /// The operand that says which.
    pub fn operand(&self) -> &str {
        match self {
            Self::Overwritten(operand) | Self::Row(operand) => operand,
        }
    }

    /// Whether an operand of this kind can say which.
    pub const fn takes(&self, kind: OperandKind) -> bool {
        match self {
            Self::Overwritten(_) => matches!(kind, OperandKind::Tensor(ElementType::Fixed(DType::I32))),
            Self::Row(_) => matches!(kind, OperandKind::Scalar(ScalarType::I32 | ScalarType::U32)),
        }
    }

    /// What kind of operand says which.
    pub const fn expected(&self) -> &'static str {
        match self {
            Self::Overwritten(_) => "tensor operand of i32",
            Self::Row(_) => "scalar of i32 or u32",
        }
    }
}

/// What a gradient is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Formula {
    /// What an op computes.
    Op {
        /// The op, of the same library.
        op: String,
        /// What it is called with.
        arguments: Vec<GradientArgument>,
    },
    /// A tensor as it is: the gradient of an output. No other is one.
    Value {
        /// A [`GradientArgument::Grad`].
        value: GradientArgument,
    },
}

/// What a gradient is computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GradientArgument {
    /// The gradient of the output of this name: `grad` in the source, or `grad(name)`.
    Grad(String),
    /// The output of this name.
    Output(String),
    /// An operand of the op.
    Operand(String),
    /// The other value of a bool operand: `!name` in the source.
    Not(String),
    /// A number.
    Number(f64),
}

/// Why a descriptor is not valid.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorError {
    /// Not JSON of this form.
    #[error("the descriptor does not parse: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A name that is not an identifier, or taken twice.
    #[error("{what} name `{name}` {problem}")]
    Name {
        /// "library", "op", "type parameter" or "operand".
        what: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A pool that a core does not have.
    #[error("the descriptor says {found} bytes of TCM, expected a multiple of {TCM_ALIGN} up to {TCM_POOL_BYTES}")]
    TcmBytes {
        /// What it says.
        found: u32,
    },
    /// A type parameter that stands for nothing.
    #[error("op `{op}`: its type parameter `{parameter}` has no dtype, expected at least one")]
    NoDTypes {
        /// The op.
        op: String,
        /// The parameter.
        parameter: String,
    },
    /// The index of a type parameter that the op does not have.
    #[error("op `{op}` refers to type parameter {index}, and has {count}")]
    TypeParameter {
        /// The op that refers.
        op: String,
        /// What it refers to.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// No output, or more than a launch has room for.
    #[error("op `{op}` has {found} outputs, expected 1 to {MAX_OUTPUTS}")]
    Outputs {
        /// The op.
        op: String,
        /// How many it has.
        found: usize,
    },
    /// A second phase that has one itself, or is the op.
    #[error("op `{op}`: its second phase is `{then}`, expected an op of one phase")]
    Phases {
        /// The op.
        op: String,
        /// Its second phase.
        then: String,
    },
    /// A first phase that replaces an operand: what is between the phases is nobody's.
    #[error("op `{op}` has two phases, and the first replaces `{operand}`; only ops of one phase replace operands")]
    PhaseReplaces {
        /// The op.
        op: String,
        /// What it replaces.
        operand: String,
    },
    /// A second phase that is given something else than it takes.
    #[error("op `{op}`: its second phase gets `{argument}` for operand number {operand}, which is of another kind")]
    PhaseArgument {
        /// The op.
        op: String,
        /// What is passed.
        argument: String,
        /// To which operand, counted from 1.
        operand: usize,
    },
    /// `grad` of an op whose second phase has several outputs.
    #[error("op `{op}`: its gradient uses `grad`, and its second phase has several outputs: say whose, `grad(output)`")]
    UnnamedGradient {
        /// The op.
        op: String,
    },
    /// Several gradients that are the outputs of an op with another number of them.
    #[error(
        "op `{op}`: its gradient is of {operands} operands, and `{called}` has {outputs} outputs, expected 1 or {operands}"
    )]
    GradientOutputs {
        /// The op that refers.
        op: String,
        /// The op it calls.
        called: String,
        /// Operands that it is the gradient of.
        operands: usize,
        /// Outputs of the called op.
        outputs: usize,
    },
    /// A reference to something the descriptor does not have.
    #[error("op `{op}` refers to `{name}`, which is no {what}")]
    Dangling {
        /// The op that refers.
        op: String,
        /// What it refers to.
        name: String,
        /// "tensor operand", "op", ...
        what: &'static str,
    },
    /// The gradient is a tensor or a number that does not depend on the gradient of the output.
    #[error("op `{op}`: its gradient is {found:?}, expected the gradient of the output, or an op")]
    Constant {
        /// The op that refers.
        op: String,
        /// What it says.
        found: GradientArgument,
    },
    /// The gradient calls an op with the wrong number of arguments.
    #[error("op `{op}`: its gradient calls `{called}` with {found} arguments, expected {expected}")]
    Arguments {
        /// The op that refers.
        op: String,
        /// The op it calls.
        called: String,
        /// How many the called op has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
}

impl LibraryDescriptor {
    /// Parses and verifies a descriptor.
    ///
    /// # Errors
    /// When it is not JSON of this form, a name is not an identifier or not unique, a reference leads nowhere, or no
    /// core has as much TCM.
    pub fn parse(json: &[u8]) -> Result<Self, DescriptorError> {
        let mut library: Self = serde_json::from_slice(json)?;
        library.name_gradients();
        check_name("library", &library.name, [])?;
        let found = library.tcm_bytes;
        if found == 0 || found as usize > TCM_POOL_BYTES || !(found as usize).is_multiple_of(TCM_ALIGN) {
            return Err(DescriptorError::TcmBytes { found });
        }
        for (i, op) in library.ops.iter().enumerate() {
            check_name("op", &op.name, library.ops[..i].iter().map(|other| other.name.as_str()))?;
            op.check(&library)?;
        }
        Ok(library)
    }

    /// `grad` in the source of an op of two phases is the gradient of the one output of the second, whose name only the
    /// library knows.
    fn name_gradients(&mut self) {
        let only = |op: &OpDescriptor| match self.outputs_of(op) {
            [output] => Some(output.name.clone()),
            _ => None,
        };
        let names: Vec<_> = self.ops.iter().map(only).collect();
        for (op, name) in self.ops.iter_mut().zip(names) {
            let Some(name) = name.filter(|_| op.then.is_some()) else { continue };
            let unnamed = |argument: &&mut GradientArgument| *argument == &GradientArgument::Grad(String::new());
            for gradient in &mut op.gradients {
                let arguments = match &mut gradient.formula {
                    Formula::Op { arguments, .. } => &mut arguments[..],
                    Formula::Value { value } => std::slice::from_mut(value),
                };
                arguments.iter_mut().filter(unnamed).for_each(|grad| *grad = GradientArgument::Grad(name.clone()));
            }
        }
    }

    /// The outputs of an op of this library: of two phases, those of the second.
    pub fn outputs_of<'a>(&'a self, op: &'a OpDescriptor) -> &'a [OutputDescriptor] {
        let last = op.then.as_ref().and_then(|then| self.op(&then.op)).unwrap_or(op);
        &last.outputs
    }

    /// The op called `name`.
    pub fn op(&self, name: &str) -> Option<&OpDescriptor> {
        self.ops.iter().find(|op| op.name == name)
    }
}

impl OpDescriptor {
    /// Tensor operands in order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, ElementType)> {
        self.operands.iter().filter_map(|operand| match operand.kind {
            OperandKind::Tensor(element) => Some((operand.name.as_str(), element)),
            OperandKind::Scalar(_) | OperandKind::Size => None,
        })
    }

    /// Scalar operands in the order in which `params` holds them.
    pub fn scalars(&self) -> impl Iterator<Item = (&str, ScalarType)> {
        self.operands.iter().filter_map(|operand| match operand.kind {
            OperandKind::Scalar(ty) => Some((operand.name.as_str(), ty)),
            OperandKind::Tensor(_) | OperandKind::Size => None,
        })
    }

    /// Names of the sizes in order.
    pub fn sizes(&self) -> impl Iterator<Item = &str> {
        self.operands.iter().filter(|operand| operand.kind == OperandKind::Size).map(|operand| operand.name.as_str())
    }

    /// What is passed beside the tensors, in order: scalars and sizes.
    pub fn scalar_kinds(&self) -> impl Iterator<Item = OperandKind> {
        self.operands.iter().map(|operand| operand.kind).filter(|kind| !matches!(kind, OperandKind::Tensor(_)))
    }

    /// Names of what travels as tensors to a launch: the tensor operands, the sizes, `params` if there are scalars.
    pub fn launch_operands(&self) -> impl Iterator<Item = &str> {
        let params = self.scalars().next().map(|_| "params");
        self.tensors().map(|(name, _)| name).chain(self.sizes()).chain(params)
    }

    /// Whether an output replaces an operand.
    pub fn replaces_any(&self) -> bool {
        self.outputs.iter().any(|output| output.replaces.is_some())
    }

    /// The dtypes that an operand or output of this op may have.
    pub fn accepted(&self, element: ElementType) -> &[DType] {
        const ALL: &[DType] = &DType::ALL;
        match element {
            ElementType::Parameter(index) => self.types.get(index).map_or(&[], |parameter| &parameter.dtypes),
            ElementType::Any => ALL,
            ElementType::Fixed(dtype) => ALL.chunks(1).find(|one| one[0] == dtype).unwrap_or(ALL),
        }
    }

    /// The dtype of each type parameter in a launch on operands of these dtypes: that of the first operand that has it.
    pub fn resolve(&self, operands: &[DType]) -> Vec<Option<DType>> {
        let mut resolved = vec![None; self.types.len()];
        for ((_, element), &dtype) in self.tensors().zip(operands) {
            if let ElementType::Parameter(index) = element {
                resolved[index].get_or_insert(dtype);
            }
        }
        resolved
    }

    /// Index among the tensor operands of the one that output `output` replaces.
    pub fn replaced_tensor(&self, output: usize) -> Option<usize> {
        let replaced = self.outputs.get(output)?.replaces.as_deref()?;
        self.tensors().position(|(name, _)| name == replaced)
    }

    fn check(&self, library: &LibraryDescriptor) -> Result<(), DescriptorError> {
        for (i, parameter) in self.types.iter().enumerate() {
            check_name("type parameter", &parameter.name, self.types[..i].iter().map(|other| other.name.as_str()))?;
            if parameter.dtypes.is_empty() {
                return Err(DescriptorError::NoDTypes { op: self.name.clone(), parameter: parameter.name.clone() });
            }
        }
        let elements = self.tensors().map(|(_, element)| element);
        for element in elements.chain(self.outputs.iter().map(|output| output.element)) {
            if let ElementType::Parameter(index) = element
                && index >= self.types.len()
            {
                let (op, count) = (self.name.clone(), self.types.len());
                return Err(DescriptorError::TypeParameter { op, index, count });
            }
        }
        for (i, operand) in self.operands.iter().enumerate() {
            check_name("operand", &operand.name, self.operands[..i].iter().map(|other| other.name.as_str()))?;
        }
        if self.outputs.is_empty() || self.outputs.len() > MAX_OUTPUTS {
            return Err(DescriptorError::Outputs { op: self.name.clone(), found: self.outputs.len() });
        }
        let dangling = |name: &str, what| DescriptorError::Dangling { op: self.name.clone(), name: name.into(), what };
        let is_tensor = |name: &str| self.tensors().any(|(tensor, _)| tensor == name);
        self.check_then(library)?;
        let returned = library.outputs_of(self);
        let is_output = |name: &str| returned.iter().any(|output| output.name == name);
        for (i, output) in self.outputs.iter().enumerate() {
            let others = self.outputs[..i].iter().map(|other| other.name.as_str());
            check_name("output", &output.name, self.operands.iter().map(|other| other.name.as_str()).chain(others))?;
            let Some(replaced) = &output.replaces else { continue };
            if !is_tensor(replaced) {
                return Err(dangling(replaced, "tensor operand"));
            }
            if self.outputs[..i].iter().any(|other| other.replaces.as_ref() == Some(replaced)) {
                return Err(DescriptorError::Name { what: "replaced operand", name: replaced.clone(), problem: TWICE });
            }
        }
        for gradient in &self.gradients {
            if let Some(name) = gradient.operands.iter().find(|name| !is_tensor(name)) {
                return Err(dangling(name, "tensor operand"));
            }
            if let Some(Exception { elements, .. }) = &gradient.except
                && !self.operands.iter().any(|it| it.name == elements.operand() && elements.takes(it.kind))
            {
                return Err(dangling(elements.operand(), elements.expected()));
            }
            let used = match &gradient.formula {
                Formula::Op { arguments, .. } => &arguments[..],
                Formula::Value { value } => std::slice::from_ref(value),
            };
            if self.then.is_some() && used.contains(&GradientArgument::Grad(String::new())) {
                return Err(DescriptorError::UnnamedGradient { op: self.name.clone() });
            }
            let (op, arguments) = match &gradient.formula {
                Formula::Op { op, arguments } => (op, arguments),
                Formula::Value { value: GradientArgument::Grad(name) } if is_output(name) => continue,
                Formula::Value { value: GradientArgument::Grad(name) } => return Err(dangling(name, "output")),
                Formula::Value { value } => {
                    return Err(DescriptorError::Constant { op: self.name.clone(), found: value.clone() });
                }
            };
            let called = library.op(op).ok_or_else(|| dangling(op, "op of the library"))?;
            if called.operands.len() != arguments.len() {
                return Err(DescriptorError::Arguments {
                    op: self.name.clone(),
                    called: called.name.clone(),
                    expected: called.operands.len(),
                    found: arguments.len(),
                });
            }
            let outputs = library.outputs_of(called).len();
            if outputs != 1 && outputs != gradient.operands.len() {
                let (op, called, operands) = (self.name.clone(), called.name.clone(), gradient.operands.len());
                return Err(DescriptorError::GradientOutputs { op, called, operands, outputs });
            }
            for argument in arguments {
                match argument {
                    GradientArgument::Operand(name) | GradientArgument::Not(name)
                        if !self.operands.iter().any(|operand| operand.name == *name) =>
                    {
                        return Err(dangling(name, "operand"));
                    }
                    GradientArgument::Grad(name) | GradientArgument::Output(name) if !is_output(name) => {
                        return Err(dangling(name, "output"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

const TWICE: &str = "is taken twice";

impl OpDescriptor {
    /// Whether the second phase is there, has one phase itself, and gets what it takes.
    fn check_then(&self, library: &LibraryDescriptor) -> Result<(), DescriptorError> {
        let Some(Then { op: name, arguments }) = &self.then else { return Ok(()) };
        let dangling = |name: &str, what| DescriptorError::Dangling { op: self.name.clone(), name: name.into(), what };
        let then = library.op(name).ok_or_else(|| dangling(name, "op of the library"))?;
        if then.then.is_some() || then.name == self.name {
            return Err(DescriptorError::Phases { op: self.name.clone(), then: name.clone() });
        }
        if let Some(operand) = self.outputs.iter().find_map(|output| output.replaces.clone()) {
            return Err(DescriptorError::PhaseReplaces { op: self.name.clone(), operand });
        }
        if then.operands.len() != arguments.len() {
            let (op, called) = (self.name.clone(), name.clone());
            let (expected, found) = (then.operands.len(), arguments.len());
            return Err(DescriptorError::Arguments { op, called, expected, found });
        }
        for (number, (operand, argument)) in then.operands.iter().zip(arguments).enumerate() {
            let is_output = self.outputs.iter().any(|output| output.name == *argument);
            let passed = self.operands.iter().find(|other| other.name == *argument);
            let fits = match (operand.kind, passed) {
                (OperandKind::Tensor(_), Some(passed)) => matches!(passed.kind, OperandKind::Tensor(_)),
                (OperandKind::Tensor(_), None) if is_output => true,
                (kind, Some(passed)) => kind == passed.kind,
                (_, None) if is_output => false,
                (_, None) => return Err(dangling(argument, "operand or output")),
            };
            if !fits {
                let (op, argument) = (self.name.clone(), argument.clone());
                return Err(DescriptorError::PhaseArgument { op, argument, operand: number + 1 });
            }
        }
        Ok(())
    }
}

fn check_name<'a>(
    what: &'static str,
    name: &str,
    taken: impl IntoIterator<Item = &'a str>,
) -> Result<(), DescriptorError> {
    let error = |problem| Err(DescriptorError::Name { what, name: name.into(), problem });
    let mut characters = name.chars();
    let first_fits = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first_fits || !characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return error("is not an identifier (ASCII letters, digits and _, not starting with a digit)");
    }
    if taken.into_iter().any(|other| other == name) {
        return error(TWICE);
    }
    Ok(())
}
