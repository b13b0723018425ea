"""Feature fusion module: tokens of one sensor generated from those of the others, before the transformer."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor, nn

from baselines.mfrnet.card import MFRNetOptions
from baselines.mfrnet.experts import ShiftedLinear, SparseExperts
from protocols.modality import Modality, N, R, T

_FIRST = ((N, R), (T, R), (R, N))
_ORDER = (*_FIRST, (T, N), (R, T), (N, T))
"""Pairs (source, target) in the order in which the released code goes through them; it has a generator for each
half, and the second makes what other sensors need. The balance of a generator is that of its last pair
(docs/methods/mfrnet.md, "Losses")."""
_OWN = 0.5
"""Lambda, the share of a sensor's own tokens where there are others."""
_UNSCALED = R
"""The sensor whose weights are used as they are when it is alone (docs/methods/mfrnet.md, "Missing sensors")."""


@dataclass(frozen=True)
class Generated:
    """What the tokens of one sensor say of another.

    Attributes:
        tokens: (B, L, W).
        weight: (B,) before the softmax over the sources.
    """

    tokens: Tensor
    weight: Tensor


class Generation(nn.Module):
    """Two sparse mixtures of generators and a weight for each ordered pair (docs/methods/mfrnet.md, "FFM").

    Args:
        width: W of a token.
        sensors: of the dataset.
    """

    def __init__(self, width: int, sensors: Modality, options: MFRNetOptions) -> None:
        super().__init__()
        self.sensors = sensors
        others = [pair for pair in permutations(sensors, 2) if pair not in _ORDER]
        self.pairs = tuple(pair for pair in (*_ORDER, *others) if pair[0] in sensors and pair[1] in sensors)
        sizes = (width, round(4 * width / 3), round(width / 3), options.generators, options)
        used = dict.fromkeys(generator_of(*pair) for pair in self.pairs)
        self.generators = nn.ModuleDict({name: SparseExperts(*sizes, residual=False) for name in used})
        self.weights = nn.ModuleDict({pair_name(*pair): ShiftedLinear(width, 1) for pair in self.pairs})

    def forward(self, tokens: Mapping[Modality, Tensor]) -> tuple[dict[str, Generated], dict[str, Tensor]]:
        """Return what is generated from the sensors that are there, and the shares of experts.

        Args:
            tokens: (B, L, W) of each of them.

        Returns:
            By ``pair_name`` what was generated, and by ``generator_of`` the shares (B, 2, n) of its last pair.
        """
        made, shares = {}, {}
        for source, target in self.pairs:
            if source in tokens:
                name, generator = pair_name(source, target), generator_of(source, target)
                output, shares[generator] = self.generators[generator](tokens[source])
                made[name] = Generated(output, self.weights[name](tokens[source].mean(1))[:, 0])
        return made, shares

    def compose(
        self, tokens: Mapping[Modality, Tensor], made: Mapping[str, Generated], available: Modality
    ) -> dict[Modality, Tensor]:
        """Return what enters the transformer for every sensor of the dataset, (B, L, W), from the available ones."""
        return {target: self._compose(tokens, made, available, target) for target in self.sensors}

    def _compose(
        self, tokens: Mapping[Modality, Tensor], made: Mapping[str, Generated], available: Modality, target: Modality
    ) -> Tensor:
        given = [made[pair_name(source, target)] for source in available if source != target]
        if not given:
            return tokens[target]
        weights = torch.stack([one.weight for one in given], dim=1)
        if available != _UNSCALED:
            weights = weights.softmax(dim=1)
        parts = [one.tokens * weights[:, number, None, None] for number, one in enumerate(given)]
        generated = torch.stack(parts).sum(0)
        return generated + _OWN * tokens[target] if target in available else generated


def pair_name(source: Modality, target: Modality) -> str:
    """Return a name such as ``"R2N"``."""
    return f"{source}2{target}"


def generator_of(source: Modality, target: Modality) -> str:
    """Return which of the two generators makes tokens of ``target`` from those of ``source``."""
    return "first" if (source, target) in _FIRST else "second"
