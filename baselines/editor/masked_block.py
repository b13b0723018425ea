"""A transformer block that neither reads nor writes the tokens that were not selected."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedBlock(nn.Module):
    """Pre-norm transformer block under a token mask, for tokens of size W; no linear layer has a bias.

    See docs/methods/editor.md, "Hierarchical masked aggregation". Masking the keys by -65504, as the released code
    does, and by minus infinity is the same here, because the class token is always selected.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width, bias=False)
        self.expand = nn.Linear(width, 4 * width, bias=False)
        self.contract = nn.Linear(4 * width, width, bias=False)
        for layer in (self.qkv, self.projection, self.expand, self.contract):
            nn.init.trunc_normal_(layer.weight, std=0.02)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return tokens of the same shape.

        Args:
            tokens: (B, L, W), 0 where not selected.
            mask: (B, L) bool, True for at least one token of every item.
        """
        kept = mask.unsqueeze(2).to(tokens.dtype)
        tokens = tokens + self._attend(self.norm_attention(tokens) * kept, mask) * kept
        hidden = F.gelu(self.expand(self.norm_mlp(tokens) * kept))
        result: Tensor = tokens + self.contract(hidden)
        return result

    def _attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        query, key, value = torch.unbind(self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        result: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return result
