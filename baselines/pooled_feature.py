"""One vector for an image from its class token and the mean of its patches."""

import torch
from torch import Tensor, nn


class PooledFeature(nn.Module):
    """QuickGELU(Linear(LayerNorm([class | mean of the patches]))), as MFRNet and DeMo have it for each sensor.

    Args:
        width: D, size of a token and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(2 * width), nn.Linear(2 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, D) of the tokens (B, 1 + P, D) of an image, class token first."""
        joined = self.linear(self.norm(torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)))
        return quick_gelu(joined)


def quick_gelu(values: Tensor) -> Tensor:
    """Return x sigmoid(1.702 x), the activation that OpenAI trained CLIP with."""
    return values * torch.sigmoid(1.702 * values)
