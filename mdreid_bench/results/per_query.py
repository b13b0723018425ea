"""The values of every query of a cell, in one compressed file."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.archive import read_npz
from protocols.evaluation import PerQuery

_METRICS = tuple(field.name for field in fields(PerQuery))
_NAMES, _IDENTITIES = "names", "identities"
_COUNTS = frozenset({"positives", "tied_positives", "items", _IDENTITIES})


@dataclass(frozen=True, eq=False)
class QueryValues:
    """All nq queries of a cell, those without a valid positive included.

    Attributes:
        names: ``(nq,)`` unique name of each query image.
        identities: ``(nq,)`` identity of each query.
        metrics: each ``(nq,)``.
    """

    names: NDArray[np.str_]
    identities: NDArray[np.int64]
    metrics: PerQuery

    def write(self, path: Path) -> None:
        """Write atomically.

        Raises:
            ValueError: when the arrays differ in length.
            DataError: when the file system refuses.
        """
        arrays = {name: np.asarray(getattr(self.metrics, name)) for name in _METRICS}
        arrays |= {_NAMES: np.asarray(self.names, dtype=np.str_), _IDENTITIES: np.asarray(self.identities)}
        _check_lengths(arrays)
        atomic.write_npz(path, arrays)

    @classmethod
    def read(cls, path: Path) -> "QueryValues":
        """Read a file that :meth:`write` made; nothing in it is ever executed.

        Raises:
            DataError: when the file is missing, damaged or something else.
        """
        try:
            stored = read_npz(path)
            arrays = {name: stored[name] for name in (*_METRICS, _NAMES, _IDENTITIES)}
            _check_lengths(arrays)
            _check_kinds(arrays)
        except FileNotFoundError:
            raise DataError(f"There are no per-query values at {path}; run or score the cell again.") from None
        except (ValueError, KeyError):
            raise DataError(f"The per-query values {path} are damaged; delete them and run the cell again.") from None
        return cls(
            names=arrays[_NAMES],
            identities=arrays[_IDENTITIES],
            metrics=PerQuery(**{name: arrays[name] for name in _METRICS}),
        )


def _check_lengths(arrays: dict[str, NDArray[np.generic]]) -> None:
    shapes = {values.shape for values in arrays.values()}
    if len(shapes) != 1 or len(shapes.pop()) != 1:
        raise ValueError("the values of the queries differ in length")


def _check_kinds(arrays: dict[str, NDArray[np.generic]]) -> None:
    for name, values in arrays.items():
        if values.dtype.kind not in ("U" if name == _NAMES else "iu" if name in _COUNTS else "f"):
            raise ValueError(f"{name} of the queries are of the type {values.dtype}")
