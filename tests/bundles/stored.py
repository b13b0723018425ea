"""Results folders for bundles: scored from random embeddings, two methods with two seeds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import RunFolder, Scope, load_record, read_values
from protocols.suites import resolve
from tests.evaluation.stored import Stored, store
from tests.support import small_config

PROTOCOLS = ("R-to-N", "RNT-to-RNT")


def scored(root: Path, protocols: tuple[str, ...] = PROTOCOLS, **changes: Any) -> Stored:
    """Store a run and score it under protocols."""
    seed, method = changes.get("seed", 0), changes.get("method", "mdreid")
    changes = {"run_key": canonical_hash([method, seed]), "config_key": canonical_hash(method)} | changes
    stored = store(root, seed + len(method), **changes)
    if method != "mdreid":
        config, folder = small_config(method, {"seed": seed}), RunFolder(stored.scope.path.parent)
        folder.config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        own = stored.facts.model_copy(update={"config": canonical_hash(config.determining())})
        own.write(folder.facts)
        stored = replace(stored, facts=own)
    for setting in resolve(protocols):
        CellScorer(stored.facts, stored.scope)(stored.table, setting)
    return stored


def rewrite(scope: Scope, protocol: str, values: Any = None, **changes: Any) -> Record:
    """Change fields of a record, and perhaps the values of its queries, with all digests made anew: a careful lie."""
    path = scope.record_path(protocol)
    record = load_record(path)
    return scope.write(record.model_copy(update=changes), values or read_values(path, record))
