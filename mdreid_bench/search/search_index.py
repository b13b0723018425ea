"""An index of a gallery on disk, searched by inner product with FAISS (optional extra ``search``).

::

    INDEX/
        vectors.faiss   the FAISS index
        items.npz       name and sensors of each item
        index.json      which trained method made it, and a hash of all three; written last, so its presence says
                        that the rest is complete
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.results.run_facts import FolderName
from mdreid_bench.results.schema import Hash, Part
from mdreid_bench.results.storage import atomic
from mdreid_bench.results.storage.archive import read_npz
from mdreid_bench.results.storage.hashes import canonical_hash, content_hash
from protocols.modality import SUBSETS, Modality

FLAT = "Flat"
"""FAISS's own name of the exact index."""
_FACTS, _ITEMS, _VECTORS = "index.json", "items.npz", "vectors.faiss"
_DIGEST = "digest"
_CHUNK = 10_000
"""Items added between two signs of progress."""


class IndexFacts(Part):
    """The content of ``index.json``.

    Attributes:
        run: folder name of the run whose method made the vectors.
        weights: SHA-256 of its weights; None for a method that does not train.
        factory: FAISS factory string of the index.
        items: number of gallery items.
    """

    schema_version: Literal[2] = 2
    run: FolderName
    weights: Hash | None
    factory: str
    items: Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Hit:
    """One found gallery item.

    Attributes:
        rank: from 1.
        name: of the item.
        modalities: the sensors that it has.
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
        facts: where the vectors come from.
        names: (n,) of the items.
        subsets: (n,) their sensors as ``Modality`` values.
        vectors: the FAISS index.
    """

    facts: IndexFacts
    names: NDArray[np.str_]
    subsets: NDArray[np.uint8]
    vectors: Any

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        names: Sequence[str],
        available: Sequence[Modality],
        *,
        run: str,
        weights: str | None,
        factory: str = FLAT,
        reporter: Reporter | None = None,
    ) -> "SearchIndex":
        """Index n vectors.

        Args:
            vectors: (n, E).
            names: n names.
            available: n sets of sensors.
            run: see :class:`IndexFacts`, likewise ``weights``.
            factory: a FAISS factory string; all but ``Flat`` may trade exactness for speed.
            reporter: shows the progress.

        Raises:
            UsageError: when FAISS is not installed, or cannot make such an index of these vectors.
        """
        faiss = require_faiss()
        try:
            index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(vectors)
            with (reporter or Silent()).track("indexing", len(vectors)) as step:
                for start in range(0, len(vectors), _CHUNK):
                    chunk = vectors[start : start + _CHUNK]
                    index.add(chunk)
                    step(len(chunk))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"FAISS cannot make the index {factory!r} of {len(names)} items ({reason}).") from None
        facts = IndexFacts(run=run, weights=weights, factory=factory, items=len(names))
        subsets = np.array([subset.value for subset in available], dtype=np.uint8)
        return cls(facts, np.array(names, dtype=np.str_), subsets, index)

    def write(self, folder: Path) -> None:
        """Write to a folder, which is made; an index that is there already is replaced.

        Raises:
            UsageError: when the folder holds something else.
            DataError: when the file system refuses.
        """
        check_target(folder)
        facts = folder / _FACTS
        facts.unlink(missing_ok=True)
        with atomic.replacing(folder / _VECTORS) as temporary:
            require_faiss().write_index(self.vectors, str(temporary))
        atomic.write_npz(folder / _ITEMS, {"names": self.names, "subsets": self.subsets})
        content = self.facts.model_dump(mode="json")
        atomic.write_json(facts, content | {_DIGEST: _digest(folder, content)})

    @classmethod
    def read(cls, folder: Path) -> "SearchIndex":
        """Read what :meth:`write` wrote.

        Raises:
            UsageError: when FAISS is not installed.
            DataError: when the folder holds no complete index.
        """
        faiss = require_faiss()
        try:
            content = json.loads((folder / _FACTS).read_bytes())
            if not isinstance(content, dict) or content.pop(_DIGEST, None) != _digest(folder, content):
                raise ValueError("the digest does not match")
            facts = IndexFacts.model_validate(content)
            stored = read_npz(folder / _ITEMS)
            names, subsets = stored["names"], stored["subsets"]
            vectors = faiss.read_index(str(folder / _VECTORS))
            if not len(names) == len(subsets) == vectors.ntotal == facts.items:
                raise ValueError("the parts differ in length")
            if not np.isin(subsets, [subset.value for subset in SUBSETS]).all():
                raise ValueError("an item has no sensors or unknown ones")
        except FileNotFoundError:
            raise DataError(f"There is no complete index in {folder}; make one with 'mdreid-bench index'.") from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, RuntimeError):
            raise DataError(f"The index in {folder} is damaged; make it again with 'mdreid-bench index'.") from None
        return cls(facts, names, subsets, vectors)

    def search(self, query: NDArray[np.float32], k: int) -> list[Hit]:
        """Return the k items with the highest inner product, best first; of equal ones, the earlier name first.

        Args:
            query: (E,).
            k: items wanted; a gallery that has fewer gives all.
        """
        scores, rows = self.vectors.search(query[None].astype(np.float32), min(k, len(self.names)))
        found = sorted((-float(s), int(row)) for s, row in zip(scores[0], rows[0], strict=True) if row >= 0)
        return [
            Hit(rank, str(self.names[row]), Modality(int(self.subsets[row])), -negated)
            for rank, (negated, row) in enumerate(found, start=1)
        ]


def check_target(folder: Path) -> None:
    """Make sure that an index may be written to a folder.

    Raises:
        UsageError: when it holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _FACTS).exists():
        raise UsageError(f"{folder} is not empty and no index; choose another folder.")


def _digest(folder: Path, facts: object) -> str:
    """Return a hash of the facts and of both other files; FAISS would read damaged vectors without noticing."""
    return canonical_hash([facts, content_hash(folder / _VECTORS), content_hash(folder / _ITEMS)])


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
