"""Token permutation module: class tokens read the patches of one sensor after the other."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from protocols.modality import Modality


def steps(sensors: Modality) -> tuple[Mapping[Modality, Modality], ...]:
    """Return for every step whose patches the class token of each sensor reads (docs/methods/top-reid.md).

    For R, N, T: first N, T, R, then T, R, N, then its own; so for any n sensors in n steps.
    """
    ring = tuple(sensors)
    count = len(ring)
    return tuple({m: ring[(place + step) % count] for place, m in enumerate(ring)} for step in (*range(1, count), 0))


class RotationBlock(nn.Module):
    """Cross attention of one class token over patches, then an MLP, both with a residual on the class token.

    Queries and keys come from normalised tokens, values from the patches as they are. With a single query per item,
    keys and values need not be computed for every patch: <Wq q, Wk y> = <Wk^T Wq q, y> and sum a Wv y = Wv (sum a y),
    which is the same product in another order.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_keys, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.projection = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, token: Tensor, patches: Tensor) -> Tensor:
        """Return the class token (B, W) after reading the patches (B, P, W)."""
        token = token + self._attend(self.norm_query(token), patches)
        result: Tensor = token + self.mlp(self.norm_mlp(token))
        return result

    def _attend(self, token: Tensor, patches: Tensor) -> Tensor:
        width = token.shape[1]
        split = (self.heads, width // self.heads)
        query = self.query(token).view(len(token), *split)
        probe = torch.einsum("bhd,hdw->bhw", query, self.key.weight.view(*split, width))
        weights = (probe @ self.norm_keys(patches).transpose(1, 2) / split[1] ** 0.5).softmax(-1)
        mixed = torch.einsum("bhw,hdw->bhd", weights @ patches, self.value.weight.view(*split, width))
        result: Tensor = self.projection(mixed.flatten(1))
        return result


class TokenPermutation(nn.Module):
    """Rotation blocks, one a step, each shared by the sensors; patches are never changed."""

    def __init__(self, width: int, heads: int, sensors: Modality) -> None:
        super().__init__()
        self.steps = steps(sensors)
        self.blocks = nn.ModuleList(RotationBlock(width, heads) for _ in self.steps)

    def forward(self, tokens: Mapping[Modality, Tensor]) -> Tensor:
        """Return the class tokens after the last step, [R | N | T], (B, n W), of tokens (B, 1 + P, W) by sensor."""
        classes = torch.cat([tokens[m][:, 0] for m in self.steps[0]])
        for block, reads in zip(self.blocks, self.steps, strict=True):
            classes = block(classes, torch.cat([tokens[read][:, 1:] for read in reads.values()]))
        return torch.cat(classes.chunk(len(self.steps)), dim=1)
