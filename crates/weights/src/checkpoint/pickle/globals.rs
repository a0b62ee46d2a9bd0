//! The names a checkpoint's pickle may ask for, and what stands for each here. None of them is ever imported or run.

/// What stands for a global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Global {
    /// `torch._utils._rebuild_tensor_v2`: a view of a storage.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: its first argument, a tensor.
    RebuildParameter,
    /// A dictionary.
    Dict,
    /// A type of storage.
    Storage(ElementType),
    /// Plain data that no tensor of the model is made of; what is built with it is [`super::Object::Opaque`].
    Inert,
}

/// What a storage's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum ElementType {
    F64,
    F32,
    F16,
    Bf16,
    /// Anything that a weight is not, with its PyTorch name and bytes.
    Other(&'static str, usize),
}

impl ElementType {
    pub(in super::super) fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_, bytes) => bytes,
        }
    }

    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::Other(name, _) => name,
        }
    }
}

/// `None` for every name that is not on the list.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    use ElementType::{Bf16, F16, F32, F64, Other};
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
            Global::RebuildParameter
        }
        ("collections", "OrderedDict" | "defaultdict" | "Counter") | ("builtins", "dict") => {
            Global::Dict
        }
        ("torch", "DoubleStorage") => Global::Storage(F64),
        ("torch", "FloatStorage") => Global::Storage(F32),
        ("torch", "HalfStorage") => Global::Storage(F16),
        ("torch", "BFloat16Storage") => Global::Storage(Bf16),
        ("torch", "LongStorage") => Global::Storage(Other("int64", 8)),
        ("torch", "IntStorage") => Global::Storage(Other("int32", 4)),
        ("torch", "ShortStorage") => Global::Storage(Other("int16", 2)),
        ("torch", "CharStorage") => Global::Storage(Other("int8", 1)),
        ("torch", "ByteStorage") => Global::Storage(Other("uint8", 1)),
        ("torch", "BoolStorage") => Global::Storage(Other("bool", 1)),
        ("torch", "ComplexFloatStorage") => Global::Storage(Other("complex64", 8)),
        ("torch", "ComplexDoubleStorage") => Global::Storage(Other("complex128", 16)),
        _ if is_inert(module, name) => Global::Inert,
        _ => return None,
    })
}

/// Types of settings, counters and random states beside the weights of a training checkpoint.
fn is_inert(module: &str, name: &str) -> bool {
    const TORCH: [&str; 17] = [
        "Size",
        "device",
        "dtype",
        "float64",
        "float32",
        "float16",
        "bfloat16",
        "double",
        "float",
        "half",
        "int64",
        "int32",
        "int16",
        "int8",
        "uint8",
        "bool",
        "complex64",
    ];
    // Some by their names in Python 2, which protocol 2 keeps.
    const BUILTINS: [&str; 11] = [
        "set",
        "frozenset",
        "list",
        "tuple",
        "int",
        "long",
        "float",
        "str",
        "unicode",
        "bool",
        "complex",
    ];
    match module {
        "torch" => TORCH.contains(&name),
        "builtins" | "__builtin__" => BUILTINS.contains(&name),
        "numpy" => ["dtype", "ndarray"].contains(&name),
        "numpy.core.multiarray" | "numpy._core.multiarray" => {
            ["scalar", "_reconstruct"].contains(&name)
        }
        "numpy.dtypes" => name.ends_with("DType"),
        "_codecs" => name == "encode",
        "argparse" => name == "Namespace",
        "types" => name == "SimpleNamespace",
        "pathlib" => ["PosixPath", "PurePosixPath", "WindowsPath", "Path"].contains(&name),
        "datetime" => ["datetime", "date", "timedelta"].contains(&name),
        _ => false,
    }
}
