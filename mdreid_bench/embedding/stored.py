"""Stored test embeddings and the items that they are of: enough to score, with neither model nor images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.config.schema import PRECISIONS, Precision
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.archive import DamagedArchiveError, read_npz
from mdreid_bench.results.storage.atomic import write_npz
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.place import PLACE, NotOfThisPlaceError, check_place, place_of
from mdreid_bench.results.trained import TrainingFolder
from protocols.exclusion import Exclusion, Labels
from protocols.modality import Modality, subsets
from protocols.suites import Setting

_LABELS = ("identity", "camera", "scene")
_HASH, _THREADS = "hash_", "threads_"
_DEPTH = 4
"""Place of the table: run, scope, embeddings, file."""


@dataclass(frozen=True, eq=False)
class StoredItems:
    """The n distinct test items of a dataset, and where their embeddings come from.

    Attributes:
        items: names, labels, sensors and roles; the images are not stored.
        sensors: of the dataset; each of its subsets has a matrix.
        exclusion: which gallery items a query must not see.
        test_fingerprint: content hash of the test set that they are.
        limit: the limit that made it smaller than the full one, else None.
        precision: numeric type that the embeddings were computed in.
        weights: digest of the weights that they were computed with; empty where nobody tells.
        trained: hash of the file of trained weights in the same results folder; empty where nothing was trained.
        threads: of PyTorch, by phase, that they and the weights were computed with, where known.
        hashes: of the files of the matrices that were written with the table, by subset.
    """

    items: Items
    sensors: Modality
    exclusion: Exclusion
    test_fingerprint: str
    limit: int | None
    precision: Precision = "fp32"
    weights: str = ""
    trained: str = ""
    threads: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        index: DatasetIndex,
        precision: Precision = "fp32",
        weights: str = "",
        trained: str = "",
        threads: Mapping[str, int] | None = None,
    ) -> "StoredItems":
        """Take what scoring needs from an index."""
        facts = (index.sensors, index.card.exclusion, index.test_fingerprint, index.limit)
        return cls(index.test, *facts, precision, weights, trained, threads or {})

    def exclusion_under(self, setting: Setting) -> Exclusion:
        """Return which gallery items a query must not see under a setting, by the cameras of all test items."""
        return setting.exclusion(self.exclusion, np.unique(self.items.labels.camera))


@dataclass(frozen=True)
class EmbeddingFolder:
    """A float32 matrix for each subset of the dataset's sensors, and the table of their rows, written last."""

    path: Path

    def matrix(self, subset: Modality) -> Path:
        """Return the file of a subset's matrix, (n, E)."""
        return self.path / f"{subset}.npy"

    @property
    def items_file(self) -> Path:
        """The table of items; its presence says that the matrices are complete."""
        return self.path / "items.npz"

    @property
    def lock(self) -> Path:
        """Lock of the process that provides the embeddings."""
        return self.path / ".lock"

    @property
    def parts(self) -> Path:
        """The folder of the parts of embeddings, until matrices and table are written."""
        return self.path / "parts"

    def write_items(self, stored: StoredItems) -> None:
        """Write the table of items with its place and the hashes of the matrices, atomically.

        Raises:
            DataError: when a matrix is missing, or the file system refuses.
        """
        items, arrays = stored.items, dict[str, NDArray[Any]]()
        for subset in subsets(stored.sensors):
            try:
                arrays[_HASH + str(subset)] = np.array(content_hash(self.matrix(subset)))
            except OSError:
                raise self._damaged(self.matrix(subset)) from None
        arrays |= {name: getattr(items.labels, name) for name in _LABELS}
        arrays |= {"names": items.names, "item_sensors": items.sensors, "roles": items.roles}
        facts = ("sensors", "exclusion", "test_fingerprint", "precision", "weights", "trained")
        arrays |= {name: np.array(str(getattr(stored, name))) for name in facts}
        arrays |= {_THREADS + phase: np.array(number) for phase, number in stored.threads.items()}
        arrays |= {"limit": np.array(stored.limit or 0), PLACE: np.array(place_of(self.items_file, _DEPTH))}
        write_npz(self.items_file, arrays)

    def read_items(self) -> StoredItems:
        """Read the table of items.

        Raises:
            DataError: when it is missing, damaged or that of another run or limit.
        """
        try:
            stored = read_npz(self.items_file)
            check_place(self.items_file, _DEPTH, str(stored[PLACE]))
            sensors = Modality.parse(str(stored["sensors"]))
            _check_table(stored, sensors)
            labels = Labels(*(stored[name].astype(np.int64) for name in _LABELS))
            return StoredItems(
                Items(stored["names"].astype(np.str_), labels, stored["item_sensors"], stored["roles"]),
                sensors,
                Exclusion.parse(str(stored["exclusion"])),
                str(stored["test_fingerprint"]),
                int(stored["limit"]) or None,
                PRECISIONS[PRECISIONS.index(str(stored["precision"]))],
                str(stored["weights"]),
                str(stored["trained"]),
                {name.removeprefix(_THREADS): int(stored[name]) for name in stored if name.startswith(_THREADS)},
                {str(s): str(stored[_HASH + str(s)]) for s in subsets(sensors)},
            )
        except FileNotFoundError:
            raise DataError(f"There are no stored embeddings in {self.path}; run the cell first.") from None
        except NotOfThisPlaceError as error:
            raise DataError(f"The table {self.items_file} {error}; move {self.path} away and run again.") from None
        except OSError as error:
            raise DataError(f"{self.items_file} cannot be read ({error.strerror}); make it readable.") from None
        except (DamagedArchiveError, ValueError, KeyError, TypeError):
            raise self._damaged(self.items_file) from None

    def vectors(
        self, stored: StoredItems, rows: NDArray[np.int64], sensors: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Return the embeddings of some rows, (number of rows, E), each from the matrix of the row's sensors.

        So a gallery of mixed availability is nothing special.

        Raises:
            DataError: when a matrix is missing or damaged, or there is none for some sensors.
        """
        present = np.unique(sensors)
        if len(present) == 1:
            return _take(self.load(Modality(int(present[0])), stored), rows)
        width = self.load(Modality(int(present[0])), stored).shape[1] if len(present) else 0
        result = np.empty((len(rows), width), dtype=np.float32)
        for code in present:
            chosen = sensors == code
            result[chosen] = self.load(Modality(int(code)), stored)[rows[chosen]]
        return result

    def load(self, subset: Modality, stored: StoredItems) -> NDArray[np.float32]:
        """Return the matrix of a subset, (n, E), mapped from its file; that of another table is refused.

        Raises:
            DataError: when it is missing, damaged or another's.
        """
        path = self.matrix(subset)
        try:
            if stored.hashes.get(str(subset)) != content_hash(path):
                raise DataError(
                    f"The stored embeddings {path} are not those that belong to {self.items_file}; "
                    f"put them back, or move {self.path} away and run again."
                )
            matrix: NDArray[np.float32] = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError, EOFError):
            raise self._damaged(path) from None
        if matrix.ndim != 2 or len(matrix) != len(stored.items) or matrix.dtype != np.float32:
            raise self._damaged(path)
        return matrix

    def check_training(self, stored: StoredItems, training: str | None) -> None:
        """Refuse embeddings by other weights than those that lie in the same results folder; they may be gone.

        Two trainings of one key need not end with the same weights, for example on different machines.

        Args:
            stored: the table.
            training: name of the folder of trained weights, as the facts of the run say.

        Raises:
            DataError: when the weights there are others.
        """
        if training is None or not stored.trained:
            return
        weights = TrainingFolder(self.path.absolute().parents[3] / "trained" / training).weights
        if weights.is_file() and content_hash(weights) != stored.trained:
            raise DataError(
                f"The stored embeddings {self.path} were not made with the weights {weights}; "
                f"put the right ones there, or move {self.path} away and run again."
            )

    def check_corrupted(self, stored: StoredItems, clean: StoredItems) -> None:
        """Refuse embeddings of corrupted images that cannot stand beside those of the images as they are.

        Raises:
            DataError: when they are of other items or by other weights, or were computed in another precision.
        """
        alike = ("test_fingerprint", "limit", "weights", "precision")
        if any(getattr(stored, name) != getattr(clean, name) for name in alike):
            raise DataError(
                f"The stored embeddings {self.path} do not go with those of the images as they are, which have other "
                f"items, weights or precision; move {self.path} away and run again."
            )

    def _damaged(self, path: Path) -> DataError:
        return DataError(f"The stored embeddings {path} are missing or damaged; move {self.path} away and run again.")


def _check_table(stored: Mapping[str, NDArray[Any]], sensors: Modality) -> None:
    """Refuse a table whose columns do not go together."""
    count, columns = stored["names"].shape, [stored[name] for name in (*_LABELS, "item_sensors", "roles")]
    if len(count) != 1 or any(column.shape != count for column in columns):
        raise DamagedArchiveError("the columns differ in length")
    if any(column.dtype.kind not in "iu" for column in columns[: len(_LABELS)]):
        raise DamagedArchiveError("labels are whole numbers")
    if any(column.dtype != np.uint8 for column in columns[len(_LABELS) :]):
        raise DamagedArchiveError("sensors and roles are bytes")
    if np.any(stored["item_sensors"] & ~np.uint8(sensors.value)):
        raise DamagedArchiveError("an item has sensors that the dataset lacks")


def _take(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return rows of a memory-mapped matrix; those that follow each other, as in a whole gallery, are not copied."""
    if len(rows) and np.all(np.diff(rows) == 1):
        return matrix[rows[0] : rows[-1] + 1]
    return matrix[rows]
