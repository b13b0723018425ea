"""Stored test embeddings and the labels needed to score them, with neither model nor images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.config.schema import PRECISIONS, Precision
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.archive import DamagedArchiveError, read_npz
from mdreid_bench.results.storage.atomic import write_npz
from mdreid_bench.results.storage.hashes import content_hash
from protocols.exclusion import Exclusion, Labels
from protocols.modality import SUBSETS, Modality
from protocols.protocol import Side
from protocols.suites import Setting

_LABELS = ("identity", "camera", "scene")
_HASH = "hash_"
_ARRAYS = 10
"""Arrays in the table apart from the hashes."""


@dataclass(frozen=True, eq=False)
class TestItems:
    """The n distinct test triplets of a dataset.

    Attributes:
        names: (n,) unique names.
        labels: of the n triplets.
        query: rows of the queries.
        gallery: rows of the gallery items.
        exclusion: which gallery items a query must not see.
        test_fingerprint: content hash of the test set that they are.
        limit: the limit that made it smaller than the full one, else None.
        precision: numeric type that the embeddings were computed in.
        hashes: of the files of the matrices that were written with the table, by subset.
    """

    names: NDArray[np.str_]
    labels: Labels
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    exclusion: Exclusion
    test_fingerprint: str
    limit: int | None
    precision: Precision = "fp32"
    hashes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, index: DatasetIndex, precision: Precision = "fp32") -> "TestItems":
        """Take what scoring needs from an index."""
        test, rule = index.test, index.card.exclusion
        facts = (rule, index.test_fingerprint, index.limit, precision)
        return cls(test.names, test.labels, test.query, test.gallery, *facts)

    def rows(self, side: Side) -> NDArray[np.int64]:
        """Return the rows of one side."""
        return self.query if side == "query" else self.gallery


@dataclass(frozen=True)
class EmbeddingFolder:
    """Seven float32 matrices, one per subset, and the table of their rows, which is written last.

    Attributes:
        path: the folder.
    """

    path: Path

    def matrix(self, subset: Modality) -> Path:
        """Return the file of a subset's matrix, (n, E)."""
        return self.path / f"{subset}.npy"

    @property
    def items_file(self) -> Path:
        """The table of items; its presence says that the matrices are complete."""
        return self.path / "items.npz"

    def write_items(self, items: TestItems) -> None:
        """Write the table of items and the hashes of the matrices, atomically.

        Raises:
            DataError: when the file system refuses.
        """
        arrays = {name: getattr(items.labels, name) for name in _LABELS}
        arrays |= {"names": items.names, "query": items.query, "gallery": items.gallery}
        arrays |= {"exclusion": np.array(str(items.exclusion)), "limit": np.array(items.limit or 0)}
        arrays |= {"test_fingerprint": np.array(items.test_fingerprint), "precision": np.array(items.precision)}
        if all(self.matrix(subset).exists() for subset in SUBSETS):
            arrays |= {_HASH + str(subset): np.array(content_hash(self.matrix(subset))) for subset in SUBSETS}
        write_npz(self.items_file, arrays)

    def read_items(self) -> TestItems:
        """Read the table of items.

        Raises:
            DataError: when it is missing or damaged.
        """
        try:
            stored = read_npz(self.items_file)
            if len(stored) not in (_ARRAYS, _ARRAYS + len(SUBSETS)):
                raise DamagedArchiveError("arrays are missing")
            hashes = {str(s): str(stored[_HASH + str(s)]) for s in SUBSETS} if len(stored) > _ARRAYS else {}
            _check_table(stored)
            return TestItems(
                stored["names"].astype(np.str_),
                Labels(*(stored[name].astype(np.int64) for name in _LABELS)),
                stored["query"].astype(np.int64),
                stored["gallery"].astype(np.int64),
                Exclusion.parse(str(stored["exclusion"])),
                str(stored["test_fingerprint"]),
                int(stored["limit"]) or None,
                PRECISIONS[PRECISIONS.index(str(stored["precision"]))],
                hashes,
            )
        except FileNotFoundError:
            raise DataError(f"There are no stored embeddings in {self.path}; run the cell first.") from None
        except (DamagedArchiveError, ValueError, KeyError, TypeError):
            raise self._damaged(self.items_file) from None

    def vectors(self, items: TestItems, setting: Setting, side: Side) -> NDArray[np.float32]:
        """Return the embeddings of one side under a setting, (number of rows, E).

        Every item takes its row from the matrix of its own subset, so a gallery of mixed availability is nothing
        special.

        Raises:
            DataError: when a matrix is missing or damaged.
        """
        rows = items.rows(side)
        names: Sequence[str] = items.names[rows].tolist()
        codes = setting.subsets(side, names)
        present = np.unique(codes)
        if len(present) == 1:
            return _take(self.load(Modality(int(present[0])), items), rows)
        width = self.load(Modality(int(present[0])), items).shape[1]
        result = np.empty((len(rows), width), dtype=np.float32)
        for code in present:
            chosen = codes == code
            result[chosen] = self.load(Modality(int(code)), items)[rows[chosen]]
        return result

    def load(self, subset: Modality, items: TestItems) -> NDArray[np.float32]:
        """Return the matrix of a subset, (n, E), mapped from its file; a file that was changed is refused.

        Raises:
            DataError: when it is missing or damaged.
        """
        path = self.matrix(subset)
        try:
            if items.hashes.get(str(subset)) not in (None, content_hash(path)):
                raise self._damaged(path)
            matrix: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise self._damaged(path) from None
        if matrix.ndim != 2 or len(matrix) != len(items.names) or matrix.dtype != np.float32:
            raise self._damaged(path)
        return matrix

    def _damaged(self, path: Path) -> DataError:
        return DataError(f"The stored embeddings {path} are missing or damaged; delete {self.path} and run again.")


def _check_table(stored: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a table whose columns do not go together or whose sides are not rows of it."""
    count = stored["names"].shape
    columns, sides = [stored[name] for name in _LABELS], [stored["query"], stored["gallery"]]
    if len(count) != 1 or any(column.shape != count for column in columns):
        raise DamagedArchiveError("the columns differ in length")
    if any(values.ndim != 1 or values.dtype.kind not in "iu" for values in (*columns, *sides)):
        raise DamagedArchiveError("labels and rows are whole numbers")
    if any(len(rows) and not 0 <= rows.min() <= rows.max() < count[0] for rows in sides):
        raise DamagedArchiveError("a side has rows that are not there")


def _take(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return rows of a memory-mapped matrix; those that follow each other, as in a whole gallery, are not copied."""
    if len(rows) and np.all(np.diff(rows) == 1):
        return matrix[rows[0] : rows[-1] + 1]
    return matrix[rows]
