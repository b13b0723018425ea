"""Records for tests: complete, valid, and changed field by field."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.schema import Counts, Interval, Metrics, Provenance, Record
from protocols.evaluation import PerQuery

PROVENANCE = Provenance(
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    versions={"torch": "2.5.0"},
    python="3.11.7",
    platform="Linux",
    cpu="a CPU",
    cores=2,
    gpu=None,
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    phase_seconds={"train": 61.5},
)


def metrics(mean_ap: float, rank1: float = 0.5) -> Metrics:
    return Metrics(mAP=mean_ap, rank1=rank1, rank5=max(rank1, 0.75), rank10=max(rank1, 0.875), mINP=mean_ap / 2)


def make_record(**changes: Any) -> Record:
    seed = changes.get("seed", 0)
    fields: dict[str, Any] = {
        "dataset": "msvr310",
        "data_kind": "synthetic",
        "train_fingerprint": "aaaaaaaaaaaa",
        "test_fingerprint": "bbbbbbbbbbbb",
        "method": "mdreid",
        "method_version": 1,
        "preset": "tiny",
        "seed": seed,
        "protocol": "R-to-NT",
        "limit": None,
        "selection": "last-epoch",
        "trunk": "mdreid-tiny/synthetic",
        "run_key": f"{seed:064x}",
        "config_key": "c" * 64,
        "options": {"rol": "paper"},
        "metrics": metrics(0.4),
        "interval": Interval(mAP=(0.35, 0.45)),
        "chance": metrics(0.03, 0.02),
        "counts": Counts(queries=591, queries_without_positive=0, gallery=1055, identities=52, tied_positives=0),
        "config_overrides": {},
        "provenance": PROVENANCE,
    }
    return Record(**fields | changes)


def query_values(queries: int = 3) -> QueryValues:
    values = np.linspace(0.1, 1.0, queries)
    values[-1] = np.nan
    counts = np.arange(queries)[::-1].copy()
    return QueryValues(
        names=np.array([f"0001_s001_v{i}_000" for i in range(queries)]),
        identities=np.arange(queries),
        trials=np.zeros(queries, dtype=np.int64),
        metrics=PerQuery(values, values, values, values, values, values, values, counts, counts, counts + 5),
    )
