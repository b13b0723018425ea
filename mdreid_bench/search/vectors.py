"""FAISS indexes of vectors: made, and written so that a full disk is noticed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter, Silent
from protocols.arrays import FloatArray


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
        lists = faiss.try_extract_index_ivf(index)
        quantised = index if lists is None else faiss.downcast_index(lists)
        if hasattr(quantised, "do_polysemous_training"):
            # A minute, for a way to search that nobody asks for; without it, the same items are found.
            quantised.do_polysemous_training = False
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


def write_vectors(index: Any, temporary: Path, path: Path) -> None:
    """Write a FAISS index and read it back: FAISS does not say when the disk is full as it closes a file.

    Raises:
        DataError: when it was not written whole to ``temporary``, which is to become ``path``.
    """
    faiss = require_faiss()
    try:
        faiss.write_index(index, str(temporary))
        written = faiss.read_index(str(temporary))
        complete = written.ntotal == index.ntotal and written.d == index.d
    except RuntimeError:
        complete = False
    if not complete:
        raise DataError(f"{path} was not written whole; make room or choose a folder that can be written.")


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
