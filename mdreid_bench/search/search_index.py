"""An index of a gallery on disk, searched by inner product with FAISS (optional extra ``search``).

::

    INDEX/
        vectors-<hash>.faiss   the FAISS index
        items-<hash>.npz       name and sensors of each item
        index.json             which trained method made it, and the hashes of the other two; it is replaced when a
                               new index is complete, and until then tells the files of the old one
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mdreid_bench.data.items import Items
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.results.run_facts import FolderName
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.archive import read_npz
from mdreid_bench.results.storage.hashes import content_hash
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.storage.place import read_sealed, write_sealed
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.stored_part import Hash, StoredPart
from protocols.arrays import FloatArray
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
        vectors_hash: hash of the file of the vectors, which is named after it.
        items_hash: likewise of the file of the items.
    """

    schema_version: Literal[3] = 3
    run: FolderName
    weights: Hash | None
    factory: str
    items: Annotated[int, Field(gt=0)]
    vectors_hash: Hash
    items_hash: Hash

    def paths(self, folder: Path) -> tuple[Path, Path]:
        """Return the files of the vectors and of the items."""
        return folder / f"vectors-{self.vectors_hash}.faiss", folder / f"items-{self.items_hash}.npz"


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
    """

    run: str
    weights: str | None
    factory: str
    names: NDArray[np.str_]
    sensors: NDArray[np.uint8]
    vectors: Any

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
        reporter: Reporter | None = None,
    ) -> "SearchIndex":
        """Index n vectors, (n, E), of n items; see :func:`faiss_index`.

        Raises:
            UsageError: when FAISS is not installed, or cannot make such an index of these vectors.
        """
        chunks = (vectors[start : start + _CHUNK] for start in range(0, len(vectors), _CHUNK))
        index = faiss_index(chunks, vectors, len(vectors), factory, probes, reporter)
        return cls(run, weights, factory, items.names, items.sensors, index)

    def write(self, folder: Path) -> None:
        """Write to a folder, which is made; an index that is there stays until the new one is complete and read back.

        Raises:
            UsageError: when the folder holds something else.
            DataError: when the file system refuses, or the vectors were not written whole.
        """
        check_target(folder)
        with locked(folder / ".lock", f"the index {folder}", Silent()):
            clear(folder)
            vectors, items = folder / "vectors-new.faiss", folder / "items-new.npz"
            try:
                with atomic.replacing(vectors) as temporary:
                    self._write_vectors(temporary, vectors)
                atomic.write_npz(items, {"names": self.names, "sensors": self.sensors})
                facts = IndexFile(
                    run=self.run,
                    weights=self.weights,
                    factory=self.factory,
                    items=len(self.names),
                    vectors_hash=content_hash(vectors),
                    items_hash=content_hash(items),
                )
                for new, path in zip((vectors, items), facts.paths(folder), strict=True):
                    new.rename(path)
                write_sealed(folder / _FACTS, facts.model_dump(mode="json"), depth=1)
            except OSError as error:
                raise DataError(f"Cannot write the index {folder} ({error.strerror}); the old one is kept.") from None
            finally:
                _forget_others(folder)

    def _write_vectors(self, temporary: Path, path: Path) -> None:
        """Write the FAISS index and read it back: FAISS does not say when the disk is full as it closes a file."""
        faiss = require_faiss()
        try:
            faiss.write_index(self.vectors, str(temporary))
            written = faiss.read_index(str(temporary))
            complete = written.ntotal == self.vectors.ntotal and written.d == self.vectors.d
        except RuntimeError:
            complete = False
        if not complete:
            raise DataError(f"{path} was not written whole; make room or choose a folder that can be written.")

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
            vectors_file, items_file = facts.paths(folder)
            # FAISS would read damaged vectors without noticing.
            if (content_hash(vectors_file), content_hash(items_file)) != (facts.vectors_hash, facts.items_hash):
                raise ValueError("a hash does not match")
            stored = read_npz(items_file, _LARGEST_TABLE)
            names, sensors = stored["names"], stored["sensors"]
            vectors = faiss.read_index(str(vectors_file))
            if not len(names) == len(sensors) == vectors.ntotal == facts.items:
                raise ValueError("the parts differ in length")
            if sensors.dtype != np.uint8 or not sensors.all() or np.any(sensors & ~np.uint8((~Modality(0)).value)):
                raise ValueError("an item has no sensors or unknown ones")
        except FileNotFoundError:
            raise DataError(f"There is no complete index in {folder}; make one with 'mdreid-bench index'.") from None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            raise DataError(f"The index in {folder} is damaged; make it again with 'mdreid-bench index'.") from None
        return cls(facts.run, facts.weights, facts.factory, names, sensors, vectors)

    def search(self, query: NDArray[np.float32], k: int) -> list[Hit]:
        """Return the k items with the highest inner product, best first; of equal ones, the earlier name first.

        The query is (E,). A gallery that has fewer items gives all.
        """
        scores, rows = self.vectors.search(query[None].astype(np.float32), min(k, len(self.names)))
        found = sorted((-float(s), int(row)) for s, row in zip(scores[0], rows[0], strict=True) if row >= 0)
        return [
            Hit(rank, str(self.names[row]), Modality(int(self.sensors[row])), -negated)
            for rank, (negated, row) in enumerate(found, start=1)
        ]


def faiss_index(
    blocks: Iterable[FloatArray],
    sample: FloatArray,
    count: int,
    factory: str,
    probes: int | None = None,
    reporter: Reporter | None = None,
) -> Any:
    """Return a FAISS index of ``count`` vectors; every ``factory`` but ``Flat`` may trade exactness for speed.

    Args:
        blocks: the vectors, (b, E) each.
        sample: (s, E), to train an index that must be trained.
        count: how many vectors there are.
        factory: FAISS's name of the index, such as ``IVF1024,PQ64``.
        probes: lists of an inverted file (IVF) that a query looks into; FAISS's own number, 1, where it is not said.
        reporter: shows the progress.

    Raises:
        UsageError: when FAISS is not installed, or cannot make such an index.
    """
    faiss = require_faiss()
    try:
        index = faiss.index_factory(sample.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(np.ascontiguousarray(sample, dtype=np.float32))
        with (reporter or Silent()).track("indexing", count) as step:
            for block in blocks:
                index.add(np.ascontiguousarray(block, dtype=np.float32))
                step(len(block))
        if probes is not None:
            faiss.ParameterSpace().set_index_parameter(index, "nprobe", probes)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"FAISS cannot make the index {factory!r} of {count} items ({reason}).") from None
    return index


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


def require_faiss() -> Any:
    """Return the module ``faiss``.

    Raises:
        UsageError: when it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise UsageError(
            "index and search need FAISS, which is not installed; add it with: pip install 'mdreid-bench[search]'."
        ) from None
    return faiss
