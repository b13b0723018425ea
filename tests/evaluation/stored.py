"""A run with random embeddings on disk, as if a model had been there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mdreid_bench.data.items import Items, Role
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import RunFolder, Scope, Store
from protocols.calibration import Calibration
from protocols.corruption import Corruption
from protocols.exclusion import Exclusion, Labels
from protocols.modality import RNT, Modality, subsets
from tests.cli.running import Outcome, in_process
from tests.results.factory import make_record
from tests.results.facts import make_facts
from tests.support import small_config

ITEMS, WIDTH = 24, 6


@dataclass(frozen=True)
class Stored:
    """A scope with embeddings, the run's facts, and what is in the files.

    Attributes:
        matrices: (n, E) by subset.
    """

    scope: Scope
    facts: RunFacts
    table: StoredItems
    matrices: dict[Modality, NDArray[np.float32]]

    @property
    def items(self) -> Items:
        return self.table.items

    @property
    def folder(self) -> EmbeddingFolder:
        return EmbeddingFolder(self.scope.embeddings)

    def call(self, *arguments: str) -> Outcome:
        """Run ``mdreid-bench`` in this process on the results folder, with room for wide tables."""
        return in_process(*arguments, "--results", str(self.scope.path.parents[2]), env={"COLUMNS": "220"})

    def changed(self, change: Callable[[NDArray[np.float32]], NDArray[Any]]) -> StoredItems:
        """Write all matrices anew, changed, with a table that vouches for them; return that table."""
        for subset, matrix in self.matrices.items():
            np.save(self.folder.matrix(subset), change(matrix))
        self.folder.write_items(self.table)
        return self.folder.read_items()

    def corrupt(self, corruption: Corruption, draw: int) -> dict[Modality, NDArray[np.float32]]:
        """Store other embeddings of the same items, as if their images had been corrupted, and return them."""
        rng, folder = np.random.default_rng(draw), EmbeddingFolder(self.scope.embeddings_of(corruption))
        folder.path.mkdir(parents=True)
        matrices = {s: rng.integers(3, size=m.shape).astype(np.float32) for s, m in self.matrices.items()}
        for subset, matrix in matrices.items():
            np.save(folder.matrix(subset), matrix)
        folder.write_items(self.table)
        return matrices

    def calibrate(self) -> None:
        """Store a calibration that has its own shift and spread for each pair of subsets."""
        pairs = {(q, g): (0.1 * len(q), 1.5 * len(g)) for q in subsets(RNT) for g in subsets(RNT)}
        found = StoredCalibration.of(Calibration.of(pairs), self.table.weights, 20)
        found.write(RunFolder(self.scope.path.parent).calibration)


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
    folder = Store(root).folder(record)
    config = small_config("mdreid", {"seed": record.seed})
    scope, facts = folder.scope(limit), make_facts(record, config=canonical_hash(config.determining()))
    rng = np.random.default_rng(draw)
    matrices = {s: rng.integers(levels, size=(ITEMS, WIDTH)).astype(np.float32) for s in subsets(RNT)}
    scope.embeddings.mkdir(parents=True)
    stored = Stored(scope, facts, make_items(record.test_fingerprint, limit), matrices)
    facts.write(folder.facts)
    folder.config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return replace(stored, table=stored.changed(lambda matrix: matrix))


def make_items(fingerprint: str = "b" * 12, limit: int | None = None) -> StoredItems:
    """Label 24 items of 4 identities and 3 cameras; every third is a query, all but the last two are offered."""
    number = np.arange(ITEMS)
    labels = Labels(number % 4, number // 4 % 3, np.zeros(ITEMS, dtype=np.int64))
    names = np.array([f"{i:03d}" for i in number])
    roles = np.where(number % 3 == 0, Role.QUERY.value, 0) | np.where(number < ITEMS - 2, Role.GALLERY.value, 0)
    items = Items(names, labels, np.full(ITEMS, RNT.value, dtype=np.uint8), roles.astype(np.uint8))
    return StoredItems(items, RNT, Exclusion.CAMERA, fingerprint, limit)
