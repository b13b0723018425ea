"""A run with random embeddings on disk, as if a model had been there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.embedding.stored import EmbeddingFolder, TestItems
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.store import RunId, Scope, Store
from protocols.exclusion import Exclusion, Labels
from protocols.modality import SUBSETS, Modality
from tests.results.factory import make_record
from tests.results.facts import make_facts

ITEMS, WIDTH = 24, 6


@dataclass(frozen=True)
class Stored:
    """A scope with embeddings, the run's facts, and what is in the files.

    Attributes:
        matrices: (n, E) by subset.
    """

    scope: Scope
    facts: RunFacts
    items: TestItems
    matrices: dict[Modality, NDArray[np.float32]]

    @property
    def folder(self) -> EmbeddingFolder:
        return EmbeddingFolder(self.scope.embeddings)


def store(root: Path, draw: int = 0, limit: int | None = None, levels: int = 3, **changes: Any) -> Stored:
    """Write a run whose embeddings have few distinct values, so that scores are tied.

    Args:
        root: results folder.
        draw: number of the random embeddings; labels are the same for all.
        limit: whose scope to write.
        levels: number of distinct values.
        changes: fields of the run's records.
    """
    record = make_record(limit=limit, **changes)
    folder = Store(root).folder(RunId.of(record))
    scope, facts = folder.scope(limit), make_facts(record)
    rng = np.random.default_rng(draw)
    matrices = {s: rng.integers(levels, size=(ITEMS, WIDTH)).astype(np.float32) for s in SUBSETS}
    scope.embeddings.mkdir(parents=True)
    stored = Stored(scope, facts, make_items(record.test_fingerprint, limit), matrices)
    for subset, matrix in matrices.items():
        np.save(stored.folder.matrix(subset), matrix)
    stored.folder.write_items(stored.items)
    facts.write(folder.facts)
    return stored


def make_items(fingerprint: str = "b" * 12, limit: int | None = None) -> TestItems:
    """Label 24 items of 4 identities and 3 cameras; every third is a query, all but the last two are offered."""
    number = np.arange(ITEMS)
    labels = Labels(number % 4, number // 4 % 3, np.zeros(ITEMS, dtype=np.int64))
    names = np.array([f"{i:03d}" for i in number])
    return TestItems(names, labels, number[::3], number[:-2], Exclusion.CAMERA, fingerprint, limit)
