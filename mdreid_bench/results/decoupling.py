"""How alike the parts of an item are that a method keeps apart: what is stored with a run and with a training."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from mdreid_bench.results.stored_part import Line, SealedPart

Matrix = tuple[tuple[float, ...], ...]
Count = Annotated[int, Field(gt=0)]


class PartSimilarities(SealedPart):
    """The content of ``decoupling.json``; matrices are (P, P).

    Attributes:
        names: of the P parts.
        ideal: cosines that the method strives for.
        items: test items over which the cosines between the parts of one item were averaged.
        before: the mean cosines before the first epoch; None where the method was not trained here.
        after: those of the weights that were evaluated; None with a training, which has no end of its own.
    """

    names: tuple[Line, ...]
    ideal: Matrix
    items: Count
    before: Matrix | None = None
    after: Matrix | None = None

    @model_validator(mode="after")
    def _square(self) -> Self:
        for matrix in (self.ideal, self.before or self.ideal, self.after or self.ideal):
            if {len(self.names)} != {len(matrix), *map(len, matrix)}:
                raise ValueError("the matrices have not a row and a column for each part")
        return self


def distance(similarity: ArrayLike, ideal: ArrayLike) -> float:
    """Return the mean over all entries of (V - A)^2, with V the mean cosines and A the ideal, both (P, P).

    That is ROL in the paper's form, of the mean matrix and divided by the number of entries
    (docs/methods/mdreid.md, "Losses"): 0 for the ideal, 2/3 for six equal parts of three sensors.
    """
    return float(np.square(np.asarray(similarity) - np.asarray(ideal)).mean())


def in_lines(names: Sequence[str], similarity: NDArray[np.float64]) -> list[str]:
    """Return a matrix (P, P) as text, a line for each part."""
    room, rows = max(map(len, names)), zip(names, similarity, strict=True)
    return [f"{name:{room}}  {' '.join(f'{value:5.2f}' for value in row)}" for name, row in rows]
