"""A copy of a method that only embeds: in the precision asked for, compiled if asked for."""

import copy
from typing import Any

import torch
from torch import nn

from mdreid_bench.models.method import Method
from mdreid_bench.models.trunk.blocks import is_plain
from mdreid_bench.models.trunk.packed import can_pack, pack

_QUICK = 1.702
"""QuickGELU is x * sigmoid(1.702 x)."""


def inference_copy(method: Method, device: torch.device, dtype: torch.dtype, *, compiled: bool = False) -> Method:
    """Return a method in evaluation mode, whose weights are converted once and not at every call.

    QuickGELU becomes SiLU, for which there is one fused operation: x sigmoid(1.702 x) = SiLU(1.702 x) / 1.702, and
    both factors go into the weights before and after it, while they are still in single precision. In bf16, a
    CPU that has instructions for it gets packed weights.

    Args:
        method: stays as it is.
        device: of the copy.
        dtype: of its weights; images may stay in single precision.
        compiled: compile the backbones at their first use.
    """
    copied = copy.deepcopy(method).to(device).eval().requires_grad_(False)
    packed = not compiled and can_pack(device, dtype)
    for module in list(copied.modules()):
        if is_plain(module):
            _fuse_activation(module)
        if packed:
            pack(module)
    copied = copied.to(dtype)
    if compiled:
        for backbone in copied.backbones():
            backbone.compile()
    return copied


@torch.no_grad()
def _fuse_activation(block: Any) -> None:
    from open_clip.transformer import QuickGELU

    if not isinstance(getattr(block.mlp, "gelu", None), QuickGELU):
        return
    block.mlp.c_fc.weight.mul_(_QUICK)
    block.mlp.c_fc.bias.mul_(_QUICK)
    block.mlp.c_proj.weight.div_(_QUICK)
    block.mlp.gelu = nn.SiLU(inplace=True)
