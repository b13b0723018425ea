"""The released code's comparison of MDReID's vectors, which looks at the sensors of both sides."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdreid_bench.errors import UsageError
from mdreid_bench.models.card import Vectors
from protocols.modality import Modality
from protocols.protocol import Protocol
from protocols.suites import Setting


@dataclass(frozen=True)
class ReleasedPairing:
    """Puts blocks of query and gallery opposite each other as the released code does.

    See docs/methods/mdreid.md, "Inference and similarity". The specific vectors of the sensors that both sides have
    are compared with each other; all others are dropped. The shared vectors of each side, in the order R, N, T, are
    compared position by position, the shorter list being filled up with its last vector. Each side is then normalised
    as a whole. For equal subsets that is the cosine of the concatenations.

    Where sensors stand at the same place in the two lists, or have nothing in common, this is what the released code
    computes: for all matched settings and the paper's four mismatched ones. Elsewhere that code compares specific
    vectors of different sensors, fills up with specific vectors, drops those of common sensors, or fails.

    Attributes:
        sensors: of the dataset.
        specific: whether specific vectors take part.
        shared: whether shared ones do.
    """

    sensors: Modality
    specific: bool = True
    shared: bool = True

    def __call__(self, setting: Setting, query: Vectors, gallery: Vectors) -> tuple[Vectors, Vectors]:
        """Return vectors whose inner product is the released similarity.

        Args:
            setting: under which the two sides meet.
            query: (nq, E) stored with ``similarity=released``: blocks sp_R, sp_N, sp_T, sh_R, sh_N, sh_T of equal
                width, or those of the kind that takes part, zeros for absent sensors. Their scale plays no part.
            gallery: (ng, E), likewise.

        Raises:
            UsageError: for a setting in which sensors differ from item to item.
        """
        if not isinstance(setting, Protocol):
            raise UsageError(
                f"{setting} cannot be scored with options.similarity=released, which compares one subset of sensors "
                "with one other; use options.similarity=paper."
            )
        return (
            self._laid_out(query, setting.query, setting.gallery),
            self._laid_out(gallery, setting.gallery, setting.query),
        )

    def _laid_out(self, vectors: Vectors, own: Modality, other: Modality) -> Vectors:
        """Return the blocks of one side in the order in which they are compared, (n, E'), of unit length."""
        kinds = self.specific + self.shared
        blocks = np.split(vectors, kinds * len(self.sensors), axis=1)
        chosen: list[Vectors] = []
        if self.specific:
            chosen += [block for m, block in zip(self.sensors, blocks, strict=False) if m in own & other]
        if self.shared:
            present = [block for m, block in zip(self.sensors, blocks[-len(self.sensors) :], strict=True) if m in own]
            chosen += present + [present[-1]] * (len(other) - len(present))
        if not chosen:
            return np.zeros((len(vectors), 1), dtype=np.float32)
        joined = np.concatenate(chosen, axis=1)
        lengths = np.linalg.norm(joined, axis=1, keepdims=True)
        result: Vectors = np.divide(joined, lengths, where=lengths > 0, out=np.zeros_like(joined))
        return result


def released_pairing(options: Mapping[str, Any], sensors: Modality) -> ReleasedPairing | None:
    """Return the pairing that MDReID's options in a record ask for; None where the inner product says it all."""
    if options.get("similarity") != "released":
        return None
    kept = options.get("components", "both")
    return ReleasedPairing(sensors, specific=kept != "shared", shared=kept != "specific")
