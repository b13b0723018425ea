"""How vectors with a block for each sensor are compared when the two sides have different sensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdreid_bench.models.card import Vectors
from protocols.modality import Modality
from protocols.protocol import Protocol
from protocols.suites import Setting


@dataclass(frozen=True)
class CommonSensors:
    """Compares the blocks of the sensors that both sides have; without such, the mean of each side's blocks.

    The paper studies equal sensors on both sides alone (docs/methods/man.md, "Missing sensors"). Where sensors differ
    from item to item, vectors are compared as they are, with zeros for absent sensors: two items without a common
    sensor have the similarity 0.

    Attributes:
        sensors: of the dataset.
    """

    sensors: Modality

    def __call__(self, setting: Setting, query: Vectors, gallery: Vectors) -> tuple[Vectors, Vectors]:
        """Return the vectors whose inner product is the cosine of what is compared.

        Args:
            setting: under which the two sides meet.
            query: (nq, n D), a block of D values for each of the n sensors, zeros for absent ones.
            gallery: (ng, n D), likewise.
        """
        if not isinstance(setting, Protocol):
            return query, gallery
        common = setting.query & setting.gallery
        return self._compared(query, common), self._compared(gallery, common)

    def _compared(self, vectors: Vectors, common: Modality) -> Vectors:
        blocks = vectors.reshape(len(vectors), len(self.sensors), -1)
        chosen = [place for place, sensor in enumerate(self.sensors) if sensor in common]
        kept = blocks[:, chosen].reshape(len(vectors), -1) if chosen else blocks.sum(axis=1)
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        result: Vectors = np.divide(kept, lengths, where=lengths > 0, out=np.zeros_like(kept))
        return result


def common_sensors(options: Mapping[str, Any], sensors: Modality) -> CommonSensors:
    """Compare the sensors that both sides have, whatever the options."""
    return CommonSensors(sensors)
