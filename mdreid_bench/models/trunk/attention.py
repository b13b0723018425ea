"""What the output tokens of a vision transformer attend to, watched from outside while it works."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mdreid_bench.models.trunk.blocks import is_plain
from mdreid_bench.models.trunk.trunk import Trunk

TOKENS = ("class token", "shared token")
"""The leading tokens of a trunk, in their order; the first is MDReID's specific token."""


def is_watchable(trunk: nn.Module) -> bool:
    """Tell whether a backbone is a vision transformer whose last block is plain."""
    return isinstance(trunk, Trunk) and is_plain(trunk.blocks[-1])


@dataclass(frozen=True)
class Watched:
    """What went through a trunk while it was watched, pass by pass.

    Attributes:
        images: (b, 3, H, W) that were cut into patches.
        attention: (b, k, L) float32: what the k leading tokens attend to among all L tokens in the last block, the
            mean over its heads. Rows sum to 1.
    """

    images: list[Tensor] = field(default_factory=list)
    attention: list[Tensor] = field(default_factory=list)

    def of(self, image: Tensor) -> Tensor | None:
        """Return the attention (k, L) in one image (3, H, W); None where others than images came by too."""
        rows = [row for one in self.attention for row in one]
        seen = [row for one in self.images for row in one]
        found = [row for row, own in zip(rows, seen, strict=False) if torch.equal(own, image.to(own.dtype))]
        return found[0] if found and len(rows) == len(seen) else None


@contextmanager
def watched(trunk: Trunk) -> Iterator[Watched]:
    """Watch a trunk from outside while the block runs, whatever the method does with it."""
    found, block = Watched(), trunk.blocks[-1]
    attention: Any = block.attn
    hooks = [
        trunk.patch.register_forward_pre_hook(lambda module, images: found.images.append(images[0])),
        block.ln_1.register_forward_hook(
            lambda module, inputs, tokens: found.attention.append(attention_from(attention, tokens, trunk.leading))
        ),
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attention_from(attention: nn.MultiheadAttention, tokens: Tensor, leading: int) -> Tensor:
    """Return what the first tokens attend to, (B, leading, L): softmax(q k' / sqrt(d)), the mean over the heads.

    Args:
        attention: of a plain block.
        tokens: (B, L, W), as they go into it.
        leading: how many tokens to ask.
    """
    width, heads = attention.embed_dim, attention.num_heads
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = F.linear(tokens[:, :leading], weight[:width], bias[:width])
    key = F.linear(tokens, weight[width : 2 * width], bias[width : 2 * width])
    query, key = (x.view(*x.shape[:2], heads, -1).transpose(1, 2).float() for x in (query, key))
    rows: Tensor = (query @ key.transpose(-1, -2) / (width // heads) ** 0.5).softmax(dim=-1)
    return rows.mean(dim=1)
