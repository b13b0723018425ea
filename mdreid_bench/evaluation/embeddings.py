"""Stored test embeddings and the labels needed to score them, with neither model nor images."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import DataError
from mdreid_bench.results.atomic import write_npz
from protocols.exclusion import Exclusion, Labels
from protocols.modality import Modality
from protocols.protocol import Side
from protocols.suites import Setting

_LABELS = ("identity", "camera", "scene")


@dataclass(frozen=True, eq=False)
class TestItems:
    """The n distinct test triplets of a dataset.

    Attributes:
        names: (n,) unique names.
        labels: of the n triplets.
        query: rows of the queries.
        gallery: rows of the gallery items.
        exclusion: which gallery items a query must not see.
    """

    names: NDArray[np.str_]
    labels: Labels
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    exclusion: Exclusion

    @classmethod
    def of(cls, index: DatasetIndex) -> "TestItems":
        """Take what scoring needs from an index."""
        columns = (index.test[name].to_numpy(np.int64, copy=True) for name in _LABELS)
        names = index.test["name"].to_numpy(object).astype(np.str_)
        return cls(names, Labels(*columns), index.query, index.gallery, index.card.exclusion)

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
        """Write the table of items, atomically."""
        arrays = {name: getattr(items.labels, name) for name in _LABELS}
        arrays |= {"names": items.names, "query": items.query, "gallery": items.gallery}
        write_npz(self.items_file, arrays | {"exclusion": np.array(str(items.exclusion))})

    def read_items(self) -> TestItems:
        """Read the table of items.

        Raises:
            DataError: when it is missing or damaged.
        """
        try:
            with np.load(self.items_file, allow_pickle=False) as stored:
                labels = Labels(*(stored[name] for name in _LABELS))
                exclusion = Exclusion(str(stored["exclusion"]))
                return TestItems(stored["names"], labels, stored["query"], stored["gallery"], exclusion)
        except FileNotFoundError:
            raise DataError(f"There are no stored embeddings in {self.path}; run the cell first.") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
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
            return self._load(Modality(int(present[0])), len(items.names))[rows]
        width = self._load(Modality(int(present[0])), len(items.names)).shape[1]
        result = np.empty((len(rows), width), dtype=np.float32)
        for code in present:
            chosen = codes == code
            result[chosen] = self._load(Modality(int(code)), len(items.names))[rows[chosen]]
        return result

    def _load(self, subset: Modality, count: int) -> NDArray[np.float32]:
        path = self.matrix(subset)
        try:
            matrix: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise self._damaged(path) from None
        if matrix.ndim != 2 or len(matrix) != count or matrix.dtype != np.float32:
            raise self._damaged(path)
        return matrix

    def _damaged(self, path: Path) -> DataError:
        return DataError(f"The stored embeddings {path} are missing or damaged; delete {self.path} and run again.")
