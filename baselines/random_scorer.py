"""Random scorer: chance level, to check everything else against."""

from hashlib import blake2b
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.cards import RANDOM
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.method import DataFacts, Encoded, Images, Method
from protocols.modality import Modality

WIDTH = 64
_DIGEST_BYTES = 7  # fits a positive int64


class RandomScorer(Method):
    """A random direction for every item, drawn from a hash of the pixels of its available images.

    A method sees pixels alone, so equal items must get equal vectors; a hash gives similar images unrelated ones.
    Query and gallery sides of an any-to-any protocol see different sensors, hence unrelated directions even for one
    item. Scores are continuous: nothing ties but identical images.
    """

    card: ClassVar[MethodCard] = RANDOM

    def __init__(self) -> None:
        super().__init__()
        self.salt: Tensor
        self.register_buffer("salt", torch.randint(2**62, (1,)))

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "RandomScorer":
        """Build; the directions depend on the global torch seed."""
        return cls()

    def backbones(self) -> tuple[()]:
        """Return none: pixels are hashed."""
        return ()

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        """Return by sensor that is present, ``"R"`` and so on: a hash of each image, (B,) int64."""
        return {str(m): _digests(image) for m, image in images.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        """Return random unit vectors, (B, 64), that depend on the seed, the subset and the available images."""
        hashes = torch.stack([encoded[str(m)] for m in available], dim=1)
        start = (int(self.salt), available.value)
        draws = (np.random.default_rng([*start, *row]) for row in hashes.tolist())
        directions = np.stack([draw.standard_normal(WIDTH, dtype=np.float32) for draw in draws])
        return F.normalize(torch.from_numpy(directions).to(hashes.device), dim=1)


def _digests(images: Tensor) -> Tensor:
    rows = images.detach().float().cpu().numpy()
    values = [int.from_bytes(blake2b(row.tobytes(), digest_size=_DIGEST_BYTES).digest(), "big") for row in rows]
    return torch.tensor(values, dtype=torch.int64, device=images.device)
