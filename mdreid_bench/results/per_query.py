"""The values of every query of a cell, in one compressed file that belongs to one record."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.errors import DataError
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.archive import read_npz
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.place import PLACE, NotOfThisPlaceError, check_place, place_of
from protocols.arrays import Values
from protocols.evaluation import PerQuery, values_over_trials

_METRICS = tuple(field.name for field in fields(PerQuery))
_ADDED = frozenset({"rank20"})
"""Metrics that older files lack."""
_NAMES, _IDENTITIES, _TRIALS = "names", "identities", "trial"
_COUNTS = frozenset({"positives", "tied_positives", "items", _IDENTITIES, _TRIALS})
_DEPTH = 3
_LARGEST = 256 << 20
"""Bytes of all arrays; half a million queries have half as many."""
_AGAIN = "run or score the cell again, with 'mdreid-bench score --force' where it is stored already"


@dataclass(frozen=True, eq=False)
class QueryValues:
    """All nq queries of a cell, those without a valid positive included; of several trials, one after the other.

    Attributes:
        names: ``(nq,)`` name of each query image, unique within a trial.
        identities: ``(nq,)`` identity of each query.
        trials: ``(nq,)`` number of the trial, from 0.
        metrics: each ``(nq,)``.
    """

    names: NDArray[np.str_]
    identities: NDArray[np.int64]
    trials: NDArray[np.int64]
    metrics: PerQuery

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """The row in which each of the different queries appears first, ascending."""
        return np.sort(np.unique(self.names, return_index=True)[1])

    def by_query(self, values: Values) -> Values:
        """Average values over the trials in which each of the different queries is valid, in the order of ``first``.

        Values are ``(nq,)``, NaN where a query has no valid positive.
        """
        _, first, group = np.unique(self.names, return_index=True, return_inverse=True)
        place = np.argsort(np.argsort(first))[group]
        table = np.full((int(self.trials.max(initial=0)) + 1, len(first)), np.nan)
        table[self.trials, place] = values
        return values_over_trials(list(table))

    def write(self, path: Path) -> str:
        """Write atomically, with its place, and return the digest of the file, which the record must name.

        Raises:
            ValueError: when the arrays differ in length.
            DataError: when the file system refuses.
        """
        arrays = {name: np.asarray(getattr(self.metrics, name)) for name in _METRICS}
        arrays |= {_NAMES: np.asarray(self.names, dtype=np.str_), _IDENTITIES: np.asarray(self.identities)}
        arrays[_TRIALS] = np.asarray(self.trials)
        _check_lengths(arrays)
        atomic.write_npz(path, arrays | {PLACE: np.array(place_of(path, _DEPTH))})
        return content_hash(path)

    @classmethod
    def read(cls, path: Path, digest: str | None) -> "QueryValues":
        """Read a file that :meth:`write` made; nothing in it is ever executed.

        Its record says the ``digest``, None when it names no such file.

        Raises:
            DataError: when the file is missing, damaged, something else, or not the one that the record names.
        """
        try:
            if digest is None or content_hash(path) != digest:
                raise DataError(f"The per-query values {path} are not those of the record beside them; {_AGAIN}.")
            stored = read_npz(path, _LARGEST)
            check_place(path, _DEPTH, str(stored[PLACE]))
            stored = dict.fromkeys(_ADDED, np.full(len(stored[_NAMES]), np.nan)) | stored
            arrays = {name: stored[name] for name in (*_METRICS, _NAMES, _IDENTITIES, _TRIALS)}
            _check_lengths(arrays)
            _check_kinds(arrays)
        except FileNotFoundError:
            raise DataError(f"There are no per-query values at {path}; {_AGAIN}.") from None
        except NotOfThisPlaceError as error:
            raise DataError(f"The file of per-query values {path} {error}; {_AGAIN}.") from None
        except OSError as error:
            raise DataError(f"The per-query values {path} cannot be read ({error.strerror}); {_AGAIN}.") from None
        except (ValueError, KeyError):
            raise DataError(f"The per-query values {path} are damaged; {_AGAIN}.") from None
        return cls(
            names=arrays[_NAMES],
            identities=arrays[_IDENTITIES],
            trials=arrays[_TRIALS],
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
