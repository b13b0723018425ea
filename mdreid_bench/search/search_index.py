"""An index of a gallery on disk, searched by inner product with FAISS (optional extra ``search``).

::

    INDEX/
        vectors-<hash>.faiss   a FAISS index: of all items or, with a calibration, of those of one subset of sensors
        items-<hash>.npz       name and sensors of each item
        index.json             which trained method made it, the calibration, and the hashes of the others; it is
                               replaced when a new index is complete, and until then tells the files of the old one

With a calibration, the score of a query with the sensors Q and an item with G is the inner product times a factor
plus an offset, both of which depend on Q and G together. No single inner product ranks by that, as the factor is no
product of one for Q and one for G. So items are indexed by their subsets, each subset gives its k best by the inner
product, and the best of these by the standardised score are the k best of all: with ``Flat`` exactly as ``score``.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mdreid_bench.data.items import Items
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.run_facts import FolderName, Letters
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.archive import read_npz
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.storage.place import read_sealed, write_sealed
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.stored_part import Hash, StoredPart
from mdreid_bench.search.vectors import faiss_index, require_faiss, write_vectors
from protocols.calibration import UnknownPairError
from protocols.modality import Modality

FLAT = "Flat"
"""FAISS's own name of the exact index."""
_FACTS = "index.json"
_OWN = re.compile(r"(vectors|items)(-[0-9a-f]{32}|-new)?\.(faiss|npz)")
_LARGEST_TABLE = 8 << 30
_CHUNK = 10_000
"""Items added between two signs of progress."""


class IndexFile(StoredPart):
    """The content of ``index.json``.

    Attributes:
        run: folder name of the run whose method made the vectors.
        weights: SHA-256 of its weights; None for a method that does not train.
        vectors_hash: hash of the file of all vectors, which is named after it; None where there is one a subset.
        items_hash: likewise of the file of the items.
        by_subset: hashes of the files of vectors by the sensors of their items, where scores are calibrated.
        calibration: by which they are.
    """

    schema_version: Literal[3] = 3
    run: FolderName
    weights: Hash | None
    factory: str
    items: Annotated[int, Field(gt=0)]
    vectors_hash: Hash | None = None
    items_hash: Hash
    by_subset: dict[Letters, Hash] = Field(default_factory=dict)
    calibration: StoredCalibration | None = None

    @model_validator(mode="after")
    def _indexed(self) -> Self:
        if (self.vectors_hash is None) == (not self.by_subset) or bool(self.by_subset) != bool(self.calibration):
            raise ValueError("vectors are indexed all together or, with a calibration, by subset")
        return self

    @property
    def vectors_hashes(self) -> tuple[str, ...]:
        """The hashes of the files of the vectors."""
        return (self.vectors_hash,) if self.vectors_hash else tuple(self.by_subset.values())

    def paths(self, folder: Path) -> tuple[Path, ...]:
        """Return the files of the vectors, then that of the items."""
        vectors = (folder / f"vectors-{found}.faiss" for found in self.vectors_hashes)
        return (*vectors, folder / f"items-{self.items_hash}.npz")


@dataclass(frozen=True)
class Hit:
    """One found gallery item.

    Attributes:
        rank: from 1.
        score: inner product with the query.
    """

    rank: int
    name: str
    modalities: Modality
    score: float


@dataclass(frozen=True, eq=False)
class SearchIndex:
    """A gallery ready to be searched.

    Attributes:
        run: see :class:`IndexFile`, likewise ``weights`` and ``factory``.
        names: (n,) of the items.
        sensors: (n,) the ``Modality`` value of the sensors that saw each.
        parts: FAISS indexes, each with the rows (m,) of its items: one of all or, with a calibration, one a subset.
        calibration: what scores become; None leaves them as inner products.
    """

    run: str
    weights: str | None
    factory: str
    names: NDArray[np.str_]
    sensors: NDArray[np.uint8]
    parts: tuple[tuple[Any, NDArray[np.int64]], ...]
    calibration: StoredCalibration | None = None

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        items: Items,
        *,
        run: str,
        weights: str | None,
        factory: str = FLAT,
        probes: int | None = None,
        calibration: StoredCalibration | None = None,
        reporter: Reporter | None = None,
    ) -> "SearchIndex":
        """Index n vectors, (n, E), of n items; see :func:`faiss_index`.

        Raises:
            UsageError: when FAISS is not installed, or cannot make such an index of these vectors.
        """
        parts = []
        for rows in _rows_of_parts(items.sensors, calibration):
            own = vectors[rows] if calibration else vectors
            chunks = (own[start : start + _CHUNK] for start in range(0, len(own), _CHUNK))
            parts.append((faiss_index(chunks, own, len(own), factory, probes, reporter), rows))
        return cls(run, weights, factory, items.names, items.sensors, tuple(parts), calibration)

    def write(self, folder: Path) -> None:
        """Write to a folder, which is made; an index that is there stays until the new one is complete and read back.

        Raises:
            UsageError: when the folder holds something else.
            DataError: when the file system refuses, or the vectors were not written whole.
        """
        check_target(folder)
        with locked(folder / ".lock", f"the index {folder}", Silent()):
            clear(folder)
            items, hashes = folder / "items-new.npz", dict[str, str]()
            try:
                for index, rows in self.parts:
                    vectors = folder / "vectors-new.faiss"
                    with atomic.replacing(vectors) as temporary:
                        write_vectors(index, temporary, vectors)
                    found = content_hash(vectors)
                    vectors.rename(folder / f"vectors-{found}.faiss")
                    hashes[str(Modality(int(self.sensors[rows[0]])))] = found
                atomic.write_npz(items, {"names": self.names, "sensors": self.sensors})
                facts = IndexFile(
                    run=self.run,
                    weights=self.weights,
                    factory=self.factory,
                    items=len(self.names),
                    vectors_hash=None if self.calibration else next(iter(hashes.values())),
                    items_hash=content_hash(items),
                    by_subset=hashes if self.calibration else {},
                    calibration=self.calibration,
                )
                items.rename(facts.paths(folder)[-1])
                write_sealed(folder / _FACTS, facts.model_dump(mode="json"), depth=1)
            except OSError as error:
                raise DataError(f"Cannot write the index {folder} ({error.strerror}); the old one is kept.") from None
            finally:
                _forget_others(folder)

    @classmethod
    def read(cls, folder: Path) -> "SearchIndex":
        """Read what :meth:`write` wrote.

        Raises:
            UsageError: when FAISS is not installed.
            DataError: when the folder holds no complete index.
        """
        faiss = require_faiss()
        try:
            facts = IndexFile.model_validate(read_sealed(folder / _FACTS, depth=1))
            *vectors_files, items_file = facts.paths(folder)
            # FAISS would read damaged vectors without noticing.
            if [*map(content_hash, (*vectors_files, items_file))] != [*facts.vectors_hashes, facts.items_hash]:
                raise ValueError("a hash does not match")
            stored = read_npz(items_file, _LARGEST_TABLE)
            names, sensors = stored["names"], stored["sensors"]
            if not len(names) == len(sensors) == facts.items:
                raise ValueError("the parts differ in length")
            rows = _rows_of_parts(sensors, facts.calibration)
            parts = [*zip(map(faiss.read_index, map(str, vectors_files)), rows, strict=True)]
            if any(index.ntotal != len(own) for index, own in parts):
                raise ValueError("the parts differ in length")
            if sensors.dtype != np.uint8 or not sensors.all() or np.any(sensors & ~np.uint8((~Modality(0)).value)):
                raise ValueError("an item has no sensors or unknown ones")
        except FileNotFoundError:
            raise DataError(f"There is no complete index in {folder}; make one with 'mdreid-bench index'.") from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            raise DataError(f"The index in {folder} is damaged; make it again with 'mdreid-bench index'.") from None
        return cls(facts.run, facts.weights, facts.factory, names, sensors, tuple(parts), facts.calibration)

    def search(self, query: NDArray[np.float32], k: int, sensors: Modality | None = None) -> list[Hit]:
        """Return the k items with the highest score, best first; of equal ones, the earlier name first.

        The query is (E,), from these sensors, which a calibration asks for. A gallery that has fewer items gives all.

        Raises:
            DataError: when the calibration does not know how these sensors score with those of an item.
        """
        calibration = None if self.calibration is None else self.calibration.calibration
        candidates: list[tuple[float, int]] = []
        for index, own in self.parts:
            found, places = index.search(query[None].astype(np.float32), min(k, len(own)))
            scores = found[0]
            if calibration is not None and sensors is not None:
                subset = Modality(int(self.sensors[own[0]]))
                scores = calibration.standardised(scores, sensors, subset)
                if np.isnan(scores).any():
                    raise DataError(f"{UnknownPairError(sensors, subset)}; make the index with --calibration none.")
            candidates += [(-float(s), int(own[p])) for s, p in zip(scores, places[0], strict=True) if p >= 0]
        return [
            Hit(rank, str(self.names[row]), Modality(int(self.sensors[row])), -negated)
            for rank, (negated, row) in enumerate(sorted(candidates)[:k], start=1)
        ]


def _rows_of_parts(sensors: NDArray[np.uint8], calibration: StoredCalibration | None) -> list[NDArray[np.int64]]:
    """Return the rows of items that are indexed together: all or, with a calibration, those of a subset."""
    if calibration is None:
        return [np.arange(len(sensors))]
    return [np.flatnonzero(sensors == code) for code in np.unique(sensors)]


def check_target(folder: Path) -> None:
    """Make sure that an index may be written to a folder.

    Raises:
        UsageError: when it holds something else.
    """
    if not folder.exists() or (folder / _FACTS).exists():
        return
    if any(not path.name.startswith(".") and not _OWN.fullmatch(path.name) for path in folder.iterdir()):
        raise UsageError(
            f"OUT, the last argument, must be new or an index, and {folder} holds something else; name another."
        )


def _forget_others(folder: Path) -> None:
    """Remove the files that the index in a folder does not name."""
    try:
        kept = IndexFile.model_validate(read_sealed(folder / _FACTS, depth=1)).paths(folder)
    except FileNotFoundError:
        kept = None
    except (OSError, ValueError):
        return
    with suppress(OSError):
        for path in folder.iterdir():
            if _OWN.fullmatch(path.name) and path not in (kept or ()):
                path.unlink()
