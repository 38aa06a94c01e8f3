"""In which number format a model computes: f32, or bf16 where the CPU multiplies matrices of it.

bf16 is f32 with 8 significant bits instead of 24. Weights and activations are bf16; oneDNN and PyTorch accumulate
products, layer norms and softmax in f32. The head, the last layer, stays in f32: its logits would otherwise have 8 bits
as well, and reviews with near scores the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

AUTO, F32, BF16 = DTYPES = ("auto", "f32", "bf16")
# As `torch.cpu.get_capabilities` names them: products of bf16 in x86's vectors and tiles, and in ARM's.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def resolve(name: str) -> str:
    """F32 or BF16; `AUTO` is BF16 where the CPU has it."""
    if name != AUTO:
        return name
    return BF16 if has_bf16() else F32


def has_bf16() -> bool:
    """Whether the CPU has instructions that multiply bf16. Without them bf16 works too, and is slower than f32."""
    import torch

    # Of PyTorch 2.10; of x86 only, before.
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in INSTRUCTIONS)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def convert(model: torch.nn.Module, name: str) -> torch.nn.Module:
    """An f32 `model` with its weights in `name`, F32 or BF16, in place."""
    import torch

    if name == F32:
        return model
    model.bfloat16()
    heads = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    if heads:
        heads[-1].float()
        heads[-1].register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    return model
