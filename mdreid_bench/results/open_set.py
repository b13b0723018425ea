"""The figures of an open set: how many queries of enrolled identities are found, at how many false alarms."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from mdreid_bench.results.stored_part import Count, Fraction, StoredPart
from protocols.open_set import FARS, RANKS, SHARE, OpenSetRates

Matrix = tuple[tuple[Fraction, ...], ...]
Extent = tuple[Count, Count]
"""The fewest and the most."""


class OpenSet(StoredPart):
    """DIR as means over splits; matrices have a row for each rank and a column for each FAR.

    Attributes:
        splits: draws of the enrolled identities, with the seeds from 0 on.
        share: of the identities that are asked for which is enrolled.
        mean: over the splits; with several trials, each split is the mean over them.
        spread: sample standard deviation over the splits.
        chance: what independent random scores reach in expectation.
        mated: probes of enrolled identities in a split.
        strangers: probes of the others in a split.
    """

    splits: Annotated[int, Field(gt=1)]
    share: Fraction = SHARE
    ranks: tuple[Annotated[int, Field(gt=0)], ...] = RANKS
    far: tuple[Fraction, ...] = FARS
    mean: Matrix
    spread: Matrix
    chance: Matrix
    mated: Extent
    strangers: Extent

    @classmethod
    def of(cls, trials: Sequence[OpenSetRates]) -> Self:
        """Average what was measured at the usual ranks and targets, in at least one trial."""
        by_split = np.mean([trial.dir for trial in trials], axis=0)
        counts = {name: np.stack([getattr(trial, name) for trial in trials]) for name in ("mated", "strangers")}
        matrices = {
            "mean": by_split.mean(axis=0),
            "spread": by_split.std(axis=0, ddof=1),
            "chance": np.mean([trial.chance for trial in trials], axis=(0, 1)),
        }
        extents = {name: (int(found.min()), int(found.max())) for name, found in counts.items()}
        return cls.model_validate({"splits": len(by_split)} | {n: m.tolist() for n, m in matrices.items()} | extents)

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        shape = len(self.ranks), {len(self.far)}
        if any((len(m), {*map(len, m)}) != shape for m in (self.mean, self.spread, self.chance)):
            raise ValueError("the matrices have not a row for each rank and a column for each FAR")
        return self

    def at(self, name: str, rank: int, far: float) -> float:
        """Return an entry of ``mean``, ``spread`` or ``chance``.

        Raises:
            ValueError: for a rank or a FAR that was not measured.
        """
        return float(getattr(self, name)[self.ranks.index(rank)][self.far.index(far)])

    def allows_none(self, far: float) -> bool:
        """Tell whether, in a split, a FAR allows fewer than one false alarm."""
        return self.strangers[0] * far < 1
