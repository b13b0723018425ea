"""Records of whole studies, made up, and put on disk as a run would."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mdreid_bench.report.groups import group_records
from mdreid_bench.report.render.html import render_html
from mdreid_bench.report.sections import Contents, Section
from mdreid_bench.results.published import Figure
from mdreid_bench.results.record_file import encode
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import Store
from protocols.suites import suite as named_suite
from tests.results.factory import make_record, metrics

DATASETS = ("rgbnt201", "rgbnt100", "msvr310")
FULL = {"orthogonality_weight": 1.5, "discrepancy_weight": 5.25}


def study(
    methods: Iterable[str] = ("mdreid", "single-classifier"),
    datasets: Iterable[str] = ("rgbnt201",),
    suites: Iterable[str] = ("paper-matched", "paper-mismatched", "missing"),
    seeds: Sequence[int] = (0, 1),
    **changes: Any,
) -> Iterator[Record]:
    """Yield records of methods under suites, with numbers drawn from their names."""
    protocols = dict.fromkeys(str(protocol) for suite in suites for protocol in named_suite(suite))
    for dataset in datasets:
        for method in methods:
            for seed in seeds:
                for protocol in protocols:
                    yield cell(dataset, method, seed, protocol, **changes)


def cell(dataset: str, method: str, seed: int, protocol: str, **changes: Any) -> Record:
    """Return one record; its configuration follows from the method and its options."""
    options = changes.pop("options", FULL if method == "mdreid" else {})
    identity = [dataset, method, options, changes.get("test_fingerprint"), changes.get("limit")]
    draw = random.Random(canonical_hash([*identity, seed, protocol])).random()
    fields = {
        "dataset": dataset,
        "method": method,
        "seed": seed,
        "protocol": protocol,
        "options": options,
        "config_key": canonical_hash(identity),
        "run_key": canonical_hash([*identity, seed]),
        "metrics": metrics(0.2 + 0.6 * draw, 0.25 + 0.6 * draw),
        "interval": None,
    }
    return make_record(**fields | changes)


def ablation(seeds: Sequence[int] = (0, 1), **changes: Any) -> Iterator[Record]:
    """Yield the five rows of the paper's ablation under its six settings."""
    yield from study(["single-classifier"], suites=["ablation"], seeds=seeds, **changes)
    for w1, w2 in ((0, 0), (1.5, 0), (0, 5.25), (1.5, 5.25)):
        options = FULL | {"orthogonality_weight": w1, "discrepancy_weight": w2}
        yield from study(["mdreid"], suites=["ablation"], seeds=seeds, options=options, **changes)


def page_of(records: Iterable[Record], sections: Sequence[Section] = (), figures: Sequence[Figure] = ()) -> str:
    """Return the page of records, with these sections or all that there are."""
    contents = Contents(group_records(records), figures, (), lambda record: Path("nowhere", record.folder_name))
    return render_html(contents, sections or contents.sections(()))


def put(root: Path, records: Iterable[Record]) -> list[Path]:
    """Write record files below a results folder, without waiting for the disk; return their paths."""
    store, paths = Store(root), []
    for record in records:
        path = store.folder(record).scope(record.limit).path_of(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(encode(record), indent=2), encoding="utf-8")
        paths.append(path)
    return paths
