"""How scores of training items of different identities are distributed, as stored with a run and in an index."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator

from mdreid_bench.errors import DataError
from mdreid_bench.results.stored_part import Count, Line, SealedPart
from protocols.calibration import Calibration
from protocols.protocol import Protocol

MeanAndSpread = tuple[float, Annotated[float, Field(gt=0)]]


class StoredCalibration(SealedPart):
    """The content of ``calibration.json``.

    Attributes:
        weights: digest of the weights that the training items were embedded with.
        items: how many training items there were.
        pairs: such as ``R-to-NT`` -> mean and standard deviation of the scores of different identities.
    """

    weights: Line
    items: Count
    pairs: dict[str, MeanAndSpread]

    @field_validator("pairs")
    @classmethod
    def _named(cls, pairs: dict[str, MeanAndSpread]) -> dict[str, MeanAndSpread]:
        for name in pairs:
            if str(Protocol.parse(name)) != name:  # a ValueError for what names no pair of subsets
                raise ValueError(f"{name!r} is no pair of subsets")
        return pairs

    @classmethod
    def of(cls, calibration: Calibration, weights: str, items: int) -> Self:
        """Take what was measured."""
        pairs = {str(Protocol(*pair)): values for pair, values in calibration.pairs.items()}
        return cls(weights=weights, items=items, pairs=pairs)

    @property
    def calibration(self) -> Calibration:
        """What was measured, for scores."""
        named = {Protocol.parse(name): values for name, values in self.pairs.items()}
        return Calibration.of({(pair.query, pair.gallery): values for pair, values in named.items()})

    @classmethod
    def required(cls, path: Path, weights: str) -> "StoredCalibration":
        """Read what was stored for these weights.

        Raises:
            DataError: when there is none that can be believed, or it was made with others.
        """
        found = cls.read(path)
        if found is None or found.weights != weights:
            what = f"There is no {path}" if found is None else f"{path} is of other weights"
            way_out = (
                "the run's own 'mdreid-bench run' makes it, with --calibration standardised, from training images"
            )
            raise DataError(f"{what}; {way_out}.")
        return found
