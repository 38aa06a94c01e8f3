//! [`Kernel`]: a kernel function as its object file defines it.

use std::path::PathBuf;

use cpp_demangle::Symbol;
use object::{Object, ObjectSymbol};

use super::error::HostBuildError;
use super::workspace::file;

/// A kernel function: what the adapter declares and calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) name: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter of a kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// The name of its type in symbols.
    symbol: &'static str,
    /// Its type in the adapter.
    pub(super) cpp: &'static str,
    pub(super) passes: Passes,
}

/// What is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    Tensor,
    /// A number, computed from an f32 as this type.
    Number(&'static str),
}

/// Every parameter that a kernel function may have. The vendor documents tensors, `double` and `Scalar`; its build script passes
/// the others, too.
const PARAMETERS: [Parameter; 11] = [
    tensor("torch::gpsimd_emulated::Tensor const&", "const torch::Tensor &"),
    tensor("torch::gpsimd_emulated::Tensor&", "torch::Tensor &"),
    tensor("torch::gpsimd_emulated::Tensor", "torch::Tensor"),
    number("double", "double", "double"),
    number("float", "float", "float"),
    number("int", "int", "int"),
    number("long", "long", "long"),
    number("long long", "long long", "long long"),
    number("bool", "bool", "bool"),
    number("c10::gpsimd_emulated::Scalar", "torch::Scalar", "double"),
    number("c10::gpsimd_emulated::Scalar const&", "const torch::Scalar &", "double"),
];

const fn tensor(symbol: &'static str, cpp: &'static str) -> Parameter {
    Parameter { symbol, cpp, passes: Passes::Tensor }
}

const fn number(symbol: &'static str, cpp: &'static str, from: &'static str) -> Parameter {
    Parameter { symbol, cpp, passes: Passes::Number(from) }
}

impl Kernel {
    /// A kernel function of a generated package: every operand is a tensor.
    pub(super) fn of_tensors(name: &str, tensors: usize) -> Self {
        Self { name: name.into(), parameters: vec![PARAMETERS[0]; tensors] }
    }

    /// The declared types of the parameters, with commas between them.
    pub(super) fn declared(&self) -> String {
        self.parameters.iter().map(|parameter| parameter.cpp).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn takes_numbers(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.passes != Passes::Tensor)
    }
}

/// The functions that object files define in the global namespace: names, and types of parameters as in symbols.
pub(super) struct Functions(Vec<(String, Vec<String>)>);

impl Functions {
    /// Those of `objects`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn of(objects: &[PathBuf]) -> Result<Self, HostBuildError> {
        let mut functions = Vec::new();
        for path in objects {
            let bytes = std::fs::read(path).map_err(|error| file("read", path, error))?;
            // What is not an object file, such as the bitcode of `-flto`, defines nothing that can be seen.
            let Ok(object) = object::File::parse(&*bytes) else { continue };
            let defined = object.symbols().filter(|symbol| symbol.is_definition() && symbol.is_global());
            functions.extend(defined.filter_map(|symbol| function(symbol.name().ok()?)));
        }
        Ok(Self(functions))
    }

    /// The function called `name` that takes tensors where `operands` has `t`, and numbers elsewhere.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn kernel(&self, name: &str, operands: &str) -> Result<Kernel, String> {
        let all: Vec<_> = self.0.iter().filter(|(function, _)| function == name).map(|(_, types)| types).collect();
        if all.is_empty() {
            return Err(format!(
                "no source defines `torch::Tensor {name}(...)` in the global namespace (`static` functions are not seen)"
            ));
        }
        let mut problems = Vec::new();
        for types in all {
            match parameters(types) {
                Ok(parameters) if fits(&parameters, operands) => return Ok(Kernel { name: name.into(), parameters }),
                Ok(parameters) => {
                    let found = Kernel { name: name.into(), parameters }.declared();
                    problems.push(format!("`{name}({found})` does not take what its shape function takes: {}", listed(operands)));
                }
                Err(unknown) => problems.push(format!(
                    "`{name}` takes `{unknown}`: parameters are torch::Tensor (or a reference to one), double, float, int64_t, \
                     int, bool or torch::Scalar"
                )),
            }
        }
        Err(problems.join("; "))
    }
}

/// Name and types of the parameters of a function in the global namespace.
fn function(symbol: &str) -> Option<(String, Vec<String>)> {
    // Apple's symbols have one more `_`.
    let symbol = symbol.strip_prefix('_').filter(|rest| rest.starts_with("_Z")).unwrap_or(symbol);
    let text = Symbol::new(symbol).ok()?.demangle().ok()?;
    let (name, types) = text.strip_suffix(')')?.split_once('(')?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let types = if matches!(types, "" | "void") { Vec::new() } else { types.split(", ").map(str::to_owned).collect() };
    is_plain.then(|| (name.to_owned(), types))
}

/// The parameters of these types, or the first type that is none of a parameter.
fn parameters(types: &[String]) -> Result<Vec<Parameter>, &str> {
    let parameter = |name: &String| PARAMETERS.iter().find(|parameter| parameter.symbol == *name).copied();
    types.iter().map(|name| parameter(name).ok_or(name.as_str())).collect()
}

fn fits(parameters: &[Parameter], operands: &str) -> bool {
    let is_tensor = parameters.iter().map(|parameter| parameter.passes == Passes::Tensor);
    is_tensor.eq(operands.chars().map(|code| code == 't'))
}

/// "a tensor, a number".
fn listed(operands: &str) -> String {
    let names = operands.chars().map(|code| if code == 't' { "a tensor" } else { "a number" });
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() { "nothing".into() } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENSOR: &str = "N5torch15gpsimd_emulated6TensorE";

    fn functions(symbols: &[String]) -> Functions {
        Functions(symbols.iter().filter_map(|symbol| function(symbol)).collect())
    }

    #[test]
    fn a_kernel_function_is_known_by_its_symbol() {
        let all = functions(&[
            format!("_Z4reluRK{TENSOR}"),
            format!("__Z5scaleR{TENSOR}dRKN3c1015gpsimd_emulated6ScalarE"),
            format!("_Z4copy{TENSOR}l"),
            format!("_ZN1a5innerERK{TENSOR}"),
            "_Z7nothingv".into(),
            "not_mangled".into(),
        ]);
        let declared = |name, operands| all.kernel(name, operands).map(|kernel| kernel.declared());
        assert_eq!(declared("relu", "t").unwrap(), "const torch::Tensor &");
        assert_eq!(declared("scale", "tnn").unwrap(), "torch::Tensor &, double, const torch::Scalar &");
        assert_eq!(declared("copy", "tn").unwrap(), "torch::Tensor, long");
        assert_eq!(declared("nothing", "").unwrap(), "");
        for other in ["inner", "a::inner", "not_mangled"] {
            assert!(declared(other, "t").unwrap_err().starts_with("no source defines"), "{other}");
        }
        insta::assert_snapshot!(declared("relu", "tn").unwrap_err(), @"`relu(const torch::Tensor &)` does not take what its shape function takes: a tensor, a number");
    }

    #[test]
    fn of_several_functions_the_one_that_fits_is_taken() {
        let all = functions(&[
            format!("_Z1fRK{TENSOR}"),
            format!("_Z1fRK{TENSOR}S3_"),
            format!("_Z1gRK{TENSOR}St6vectorIfE"),
        ]);
        assert_eq!(all.kernel("f", "tt").unwrap().parameters.len(), 2);
        assert_eq!(all.kernel("f", "ttt").unwrap_err().matches("does not take").count(), 2);
        assert!(all.kernel("g", "tn").unwrap_err().contains("takes `std::vector<float>`"));
    }
}
