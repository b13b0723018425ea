"""Transformer blocks of open_clip, computed for no more tokens than are needed."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def is_plain(block: nn.Module) -> bool:
    """Tell whether a block is pre-norm with torch's own attention, all of whose parts are known here."""
    attention: Any = getattr(block, "attn", None)
    parts = ("ln_1", "ls_1", "ln_2", "ls_2", "mlp")
    return (
        isinstance(attention, nn.MultiheadAttention)
        and attention.in_proj_bias is not None
        and attention.dropout == 0
        and all(hasattr(block, part) for part in parts)
    )


def run_block(block: Any, tokens: Tensor, keep: int | None = None) -> Tensor:
    """Return the first ``keep`` tokens after a block, or all of them.

    Tokens that are not kept are read by the attention of those that are; their own queries, outputs and MLP are not
    computed. ``tokens`` are overwritten when no gradient is recorded.

    Args:
        block: of open_clip; any other than a plain one is computed for all tokens.
        tokens: (B, L, W).
        keep: how many, counted from the first.
    """
    if not is_plain(block):
        everything: Tensor = block(tokens)
        return everything[:, :keep]
    tokens = add_attention(block, tokens, keep)
    return add(tokens, block.ls_2(block.mlp(block.ln_2(tokens))))


def add_attention(block: Any, tokens: Tensor, keep: int | None = None) -> Tensor:
    """Return the first ``keep`` tokens (B, L, W) after the attention of a plain block, or all; see ``run_block``."""
    normed = block.ln_1(tokens)
    if keep is None:
        attended = attend(block.attn, normed)
    else:
        tokens, attended = tokens[:, :keep], attend_from(block.attn, normed[:, :keep], normed)
    return add(tokens, block.ls_1(attended))


def attend(attention: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """Return the self-attention of all tokens, (B, L, W)."""
    if hasattr(attention, "packed"):
        return _packed(attention, tokens, tokens)
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    return _mix(attention, *split_heads(projected, 3, attention.num_heads))


def attend_from(attention: nn.MultiheadAttention, queries: Tensor, tokens: Tensor) -> Tensor:
    """Return what some tokens (B, Q, W) read from all (B, L, W) by self-attention, (B, Q, W)."""
    if hasattr(attention, "packed"):
        return _packed(attention, queries, tokens)
    width = attention.embed_dim
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = split_heads(F.linear(queries, weight[:width], bias[:width]), 1, attention.num_heads)
    others = split_heads(F.linear(tokens, weight[width:], bias[width:]), 2, attention.num_heads)
    return _mix(attention, *query, *others)


def split_heads(projected: Tensor, kinds: int, heads: int) -> Tensor:
    """Take (B, L, kinds * W) apart into (kinds, B, heads, L, W / heads)."""
    return projected.view(*projected.shape[:2], kinds, heads, -1).permute(2, 0, 3, 1, 4)


def _packed(attention: Any, queries: Tensor, tokens: Tensor) -> Tensor:
    """Let the packed weights of an inference copy do it."""
    attended: Tensor = attention.packed(queries, tokens)
    return attended


def _mix(attention: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mixed = F.scaled_dot_product_attention(query, key, value)
    return F.linear(mixed.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias)


def add(tokens: Tensor, branch: Tensor) -> Tensor:
    """Return the sum, in the memory of ``tokens`` when no gradient is recorded."""
    return tokens + branch if torch.is_grad_enabled() else tokens.add_(branch)
