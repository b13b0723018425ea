"""The base of everything that is stored as JSON, and the kinds of values in it."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from mdreid_bench.results.storage.place import read_sealed, write_sealed

_ROUNDING = 1e-9


def _snap(value: Any) -> Any:
    """Undo the rounding that takes the mean of perfect scores a hair beyond 0 or 1."""
    if isinstance(value, float) and -_ROUNDING < value < 1 + _ROUNDING:
        return min(max(value, 0.0), 1.0)
    return value


Fraction = Annotated[float, BeforeValidator(_snap), Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+@-]*$", max_length=80)]
"""A name that is safe as a part of a file name on every system."""
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=500)]
"""Text without control characters, so that no record can steer a terminal."""
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+@-]*$", max_length=250)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10,64}$")]


class StoredPart(BaseModel):
    """Base of the record and its parts: unknown fields, NaN and infinity are errors; fields are read-only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SealedPart(StoredPart):
    """Base of what has a file of its own beside a run or a training, which is bound to its place."""

    def write(self, path: Path) -> None:
        """Write atomically, with its place and a digest of the content.

        Raises:
            DataError: when the file system refuses.
        """
        write_sealed(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what was stored; None when there is nothing that can be believed."""
        try:
            return cls.model_validate(read_sealed(path))
        except (OSError, ValueError):
            return None
