"""Embeddings on their way: a file for every few seconds of work, joined into matrices at the end."""

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.weights import checkpoint
from protocols.modality import Modality, subsets

PART_SECONDS = 15.0
PART_BYTES = 128 << 20
"""A part is written after this time or once it holds so much, whichever comes first."""

_NAME = re.compile(r"(?P<start>[0-9]{8,})-(?P<end>[0-9]{8,})\.safetensors")
_DEPTH = 5
"""Place of a part: run, scope, embeddings, parts, file."""
Vectors = Mapping[Modality, NDArray[np.float32]]


@dataclass(frozen=True)
class Part:
    """The embeddings of the rows ``start`` to ``end - 1``, for all subsets."""

    path: Path
    start: int
    end: int


class Parts:
    """The parts of one extraction; a later process continues after the last one.

    Args:
        sensors: of the dataset; each of their subsets has a matrix.
        facts: JSON-able description of all that determines the numbers; parts with another one are not continued.
    """

    def __init__(self, folder: EmbeddingFolder, sensors: Modality, facts: Mapping[str, Any]) -> None:
        self.folder, self.subsets, self.facts = folder, subsets(sensors), dict(facts)
        self.path = folder.parts
        self.done: list[Part] = []
        self._rows: list[NDArray[np.int64]] = []
        self._vectors: dict[Modality, list[NDArray[np.float32]]] = {subset: [] for subset in self.subsets}
        self._since = time.monotonic()

    def begin(self) -> int:
        """Take up what an earlier process has left, remove what cannot be used, and return the next row."""
        clear(self.folder.path)
        clear(self.path)
        found = sorted(self.path.iterdir()) if self.path.is_dir() else []
        for path in found:
            part = self._usable(path)
            if part is None:
                path.unlink()
            else:
                self.done.append(part)
        return self._next

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        """Take the embeddings of the next rows, and write a part when it is time.

        Raises:
            DataError: when the file system refuses.
        """
        self._rows.append(rows)
        for subset, matrix in vectors.items():
            self._vectors[subset].append(matrix)
        size = sum(matrix.nbytes for matrices in self._vectors.values() for matrix in matrices)
        if size >= PART_BYTES or time.monotonic() - self._since >= PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was added since the last part.

        Raises:
            DataError: when the file system refuses.
        """
        if not self._rows:
            return
        rows, start = np.concatenate(self._rows), self._next
        if not np.array_equal(rows, np.arange(start, start + len(rows))):
            raise ValueError("the rows of an extraction come in order and without gaps")
        part = Part(self.path / f"{start:08d}-{start + len(rows):08d}.safetensors", start, start + len(rows))
        tensors = {str(s): torch.from_numpy(np.concatenate(m)) for s, m in self._vectors.items()}
        checkpoint.write(part.path, tensors, self.facts, _DEPTH)
        self.done.append(part)
        self._rows.clear()
        for matrices in self._vectors.values():
            matrices.clear()
        self._since = time.monotonic()

    def join(self, count: int) -> None:
        """Write a matrix of ``count`` rows for each subset.

        Raises:
            DataError: when the file system refuses, or a part has become unreadable.
        """
        with ExitStack() as stack:
            paths = {s: stack.enter_context(replacing(self.folder.matrix(s))) for s in self.subsets}
            files = {s: stack.enter_context(path.open("wb")) for s, path in paths.items()}
            for part in self.done:
                tensors, _ = checkpoint.read(part.path, _DEPTH)
                for subset, file in files.items():
                    matrix = tensors[str(subset)].numpy()
                    if not part.start:
                        header = {"descr": "<f4", "fortran_order": False, "shape": (count, matrix.shape[1])}
                        np.lib.format.write_array_header_1_0(file, header)
                    file.write(np.ascontiguousarray(matrix, dtype="<f4").data)

    @property
    def _next(self) -> int:
        return self.done[-1].end if self.done else 0

    def _usable(self, path: Path) -> Part | None:
        """Return the part in a file if it is intact and comes next."""
        match = _NAME.fullmatch(path.name)
        if match is None or int(match["start"]) != self._next:
            return None
        part = Part(path, int(match["start"]), int(match["end"]))
        try:
            tensors, facts = checkpoint.read(path, _DEPTH)
        except DataError:
            return None
        fits = all(len(tensors.get(str(s), ())) == part.end - part.start > 0 for s in self.subsets)
        return part if fits and facts == self.facts else None
