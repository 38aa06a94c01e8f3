"""Ops of the bundled libraries as functions with PyTorch's names and arguments.

An op takes what its kernel takes: every number, a seed as a tensor. These functions have PyTorch's defaults, and draw
seeds from PyTorch's generators.
"""

from gpsimd_torch.functional.activations import gelu as gelu
from gpsimd_torch.functional.activations import silu as silu
from gpsimd_torch.functional.embeddings import rotary_embedding as rotary_embedding
from gpsimd_torch.functional.experts import PermutedTokens as PermutedTokens
from gpsimd_torch.functional.experts import moe_permute as moe_permute
from gpsimd_torch.functional.experts import moe_unpermute as moe_unpermute
from gpsimd_torch.functional.indexing import bincount as bincount
from gpsimd_torch.functional.indexing import gather as gather
from gpsimd_torch.functional.indexing import index_add as index_add
from gpsimd_torch.functional.indexing import one_hot as one_hot
from gpsimd_torch.functional.indexing import scatter as scatter
from gpsimd_torch.functional.indexing import scatter_add as scatter_add
from gpsimd_torch.functional.losses import cross_entropy as cross_entropy
from gpsimd_torch.functional.normalisation import layer_norm as layer_norm
from gpsimd_torch.functional.normalisation import rms_norm as rms_norm
from gpsimd_torch.functional.quantisation import dequantise_int8 as dequantise_int8
from gpsimd_torch.functional.quantisation import quantise_int8 as quantise_int8
from gpsimd_torch.functional.random import dropout as dropout
from gpsimd_torch.functional.sampling import multinomial as multinomial
from gpsimd_torch.functional.sampling import top_p as top_p
from gpsimd_torch.functional.scans import cumprod as cumprod
from gpsimd_torch.functional.scans import cumsum as cumsum
from gpsimd_torch.functional.searching import bucketize as bucketize
from gpsimd_torch.functional.searching import searchsorted as searchsorted
from gpsimd_torch.functional.selection import argmax as argmax
from gpsimd_torch.functional.selection import argmin as argmin
from gpsimd_torch.functional.selection import masked_select as masked_select
from gpsimd_torch.functional.selection import nonzero as nonzero
from gpsimd_torch.functional.selection import topk as topk
from gpsimd_torch.functional.selection import unique as unique
from gpsimd_torch.functional.selection import unique_consecutive as unique_consecutive
from gpsimd_torch.functional.sorting import argsort as argsort
from gpsimd_torch.functional.sorting import sort as sort
from gpsimd_torch.functional.vision import grid_sample as grid_sample
from gpsimd_torch.functional.vision import nms as nms
