"""PyTorch's dtypes and the vendor's, which descriptors name."""

import torch

DTYPE_NAMES = {
    torch.float32: "f32",
    torch.bfloat16: "bf16",
    torch.float16: "f16",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
}
DTYPES = {name: dtype for dtype, name in DTYPE_NAMES.items()}

# What has no dtype on the device arrives in another. Results of the same type parameter come back as they were.
NARROWED = {torch.int64: torch.int32, torch.bool: torch.uint8}
NARROW_NAMES = {DTYPE_NAMES[dtype] for dtype in NARROWED.values()}

# What an output comes back as where its op says so, whatever the operands are.
RETURNED = {"int64": torch.int64, "bool": torch.bool}
