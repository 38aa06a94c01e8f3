"""Boxes and images."""

from __future__ import annotations

import torch

from gpsimd_torch.functional.sorting import argsort
from gpsimd_torch.ops import load_library


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices of the boxes that no box of a greater score covers, in the order of scores, in int64.

    As `torchvision.ops.nms`: `boxes` [N, 4] are x1, y1, x2 and y2 with x1 < x2 and y1 < y2, in f32, bf16 or f16 and
    computed in f32, `scores` [N] of any dtype of the cores. The box with the greatest score, of equals the first, is
    kept, and removes those with an intersection over union of more than `iou_threshold`; then the next of those left.
    There is a bit of TCM for each box: on a device about 50000 boxes have room.

    Raises `ValueError` when shapes do not go together.
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"`boxes` has shape {tuple(boxes.shape)}, expected (N, 4)")
    if scores.shape != boxes.shape[:1]:
        raise ValueError(f"`scores` has shape {tuple(scores.shape)}, expected ({boxes.shape[0]},)")
    load_library("sampling_ops")
    order = argsort(scores, descending=True)
    kept, count = torch.ops.sampling_ops.nms(boxes.detach()[order].T.contiguous(), iou_threshold)
    return order[kept[: int(count)].long()]


def grid_sample(
    input: torch.Tensor,
    grid: torch.Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> torch.Tensor:
    """Return `input` [N, C, H, W] at the points of `grid` [N, h, w, 2], [N, C, h, w], by bilinear interpolation.

    As `torch.nn.functional.grid_sample`: a point is x and y, from -1 to 1 over the image, between the centres of its
    outer pixels if `align_corners`, otherwise between their outer edges. Outside of the image is 0, or with
    `padding_mode="border"` what is nearest in it. NaN in `grid` is -1. Both are of one dtype, f32, bf16 or f16, and
    computed in f32. The gradient of `input` is added in the order of the points, whatever the number of cores.

    Raises `NotImplementedError` for another `mode` or `padding_mode`.
    """
    if mode != "bilinear":
        raise NotImplementedError(f'the mode is "{mode}", expected "bilinear"')
    if padding_mode not in ("zeros", "border"):
        raise NotImplementedError(f'the padding mode is "{padding_mode}", expected "zeros" or "border"')
    load_library("sampling_ops")
    return torch.ops.sampling_ops.grid_sample(input, grid, bool(align_corners), padding_mode == "border")
