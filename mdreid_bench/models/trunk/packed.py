"""The parts of a trunk for bf16 on a CPU: weights are laid out once, and what follows a product is done within it.

Each gives what the plain part gives, rounded less often. docs/half-precision.md says what every step brings, and what
else was tried.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdreid_bench.models.trunk.blocks import is_plain, split_heads
from mdreid_bench.models.trunk.trunk import Trunk
from mdreid_bench.processes.device import cpu_words

_OPERATIONS = ("_linear_pointwise", "_reorder_linear_weight")
_ACTIVATIONS = {nn.SiLU: "swish", nn.GELU: "gelu"}
"""What oneDNN calls the activations that it can compute within a product."""
_ROWS = 1560
"""Tokens of a product that weights are laid out for; with others it is right too."""


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Tell whether weights can be packed: in bf16, on a CPU with instructions for it that oneDNN knows to use."""
    return (
        device.type == "cpu"
        and dtype == torch.bfloat16
        and not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_words())
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS)
    )


@torch.no_grad()
def pack(module: nn.Module) -> None:
    """Pack a plain block or the patches of a trunk; leave other modules, and parts that do not suit, as they are."""
    part: Any = module
    if is_plain(module):
        part.attn.packed = PackedAttention(part.attn)
        if type(getattr(part.mlp, "gelu", None)) in _ACTIVATIONS:
            part.mlp = PackedMLP(part.mlp)
    if isinstance(module, Trunk) and _is_apart(module.patch):
        part.patch = PackedPatches(module.patch)


class PackedLinear(nn.Module):
    """x W' + b and an activation by one operation of oneDNN.

    Args:
        weight: (out, in).
        bias: (out,), or None.
        activation: "none" or one of oneDNN's.
        algorithm: how the activation is computed.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, activation: str = "none", algorithm: str = "none"
    ) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16().contiguous(), _ROWS)
        self.bias = None if bias is None else bias.bfloat16()
        self.activation, self.algorithm = activation, algorithm

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out) of (..., in), both bf16."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self.weight, self.bias, self.activation, [], self.algorithm
        )
        return output


class PackedMLP(nn.Module):
    """The MLP of a block, its activation within the first product."""

    def __init__(self, mlp: Any) -> None:
        super().__init__()
        algorithm = getattr(mlp.gelu, "approximate", "none")
        self.c_fc = PackedLinear(mlp.c_fc.weight, mlp.c_fc.bias, _ACTIVATIONS[type(mlp.gelu)], algorithm)
        self.c_proj = PackedLinear(mlp.c_proj.weight, mlp.c_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (..., W) of (..., W)."""
        output: Tensor = self.c_proj(self.c_fc(tokens))
        return output


class PackedAttention(nn.Module):
    """Self-attention, the scale 1 / sqrt(d) of its scores in the weights.

    With matrix instructions (AMX), torch's fused attention is taken. Without, its products are too small to be fast,
    and all heads of all images are multiplied at once, the scores in bf16.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        width, self.heads = attention.embed_dim, attention.num_heads
        scale = torch.ones(3 * width)
        scale[:width] = (width // self.heads) ** -0.5
        self.projection = (attention.in_proj_weight * scale[:, None]).bfloat16(), attention.in_proj_bias * scale
        self.packed: dict[tuple[int, int], PackedLinear] = {}
        self.output = PackedLinear(attention.out_proj.weight, attention.out_proj.bias)
        self.fused = "amx_bf16" in cpu_words()

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Return what some tokens (B, Q, W), or the same, read from all (B, L, W): (B, Q, W)."""
        if queries is tokens:
            query, key, value = self._project(tokens, 0, 3)
        else:
            (query,), (key, value) = self._project(queries, 0, 1), self._project(tokens, 1, 3)
        if self.fused:
            mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        else:
            mixed = (query @ key.transpose(-1, -2)).softmax(dim=-1) @ value
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output

    def _project(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Return queries (0), keys (1) and values (2), those asked for, as (kinds, B, heads, L, W / heads)."""
        if (first, last) not in self.packed:
            rows = slice(first * tokens.shape[-1], last * tokens.shape[-1])
            weight, bias = self.projection
            self.packed[first, last] = PackedLinear(weight[rows], bias[rows])
        return split_heads(self.packed[first, last](tokens), last - first, self.heads)


class PackedPatches(nn.Module):
    """The convolution that makes tokens of patches that do not overlap, as one product."""

    def __init__(self, patch: Any) -> None:
        super().__init__()
        self.kernel_size: tuple[int, int] = patch.kernel_size
        self.stride = self.kernel_size
        self.linear = PackedLinear(patch.weight.flatten(1), patch.bias)
        self.weight = self.linear.weight

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, W, rows, columns) of images (B, 3, H, W); what does not fill a patch is left out."""
        (count, kinds), (height, width) = images.shape[:2], self.kernel_size
        rows, columns = images.shape[2] // height, images.shape[3] // width
        images = images[..., : rows * height, : columns * width]
        patches = images.reshape(count, kinds, rows, height, columns, width).permute(0, 2, 4, 1, 3, 5)
        tokens: Tensor = self.linear(patches.flatten(3).flatten(1, 2))
        return tokens.transpose(1, 2).view(count, -1, rows, columns)


def _is_apart(patch: Any) -> bool:
    return bool(patch.stride == patch.kernel_size and patch.padding in ((0, 0), "valid") and patch.groups == 1)
