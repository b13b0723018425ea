"""All measurements as the page has them: each fact once, and a short entry for each record."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mdreid_bench.data.images import described
from mdreid_bench.errors import DataError
from mdreid_bench.report import remarks
from mdreid_bench.report.corruption import FIRST_DRAW, images_of, newest_corrupted
from mdreid_bench.report.cost import read_counts
from mdreid_bench.report.groups import Group, Locate
from mdreid_bench.report.origin import SELECTIONS, USUAL_PRECISION, code, hardware, sizes
from mdreid_bench.report.overview import NAME as OVERVIEW
from mdreid_bench.report.page.again import form_arguments, run_command
from mdreid_bench.report.quantities import METRICS, NOT_RUN, single
from mdreid_bench.report.sensors import unserved
from mdreid_bench.report.table import Missing
from mdreid_bench.report.titles import dataset_title, method_title
from mdreid_bench.report.usual_table import usual_protocols
from mdreid_bench.report.variants import PERCENT, Variant, configuration, flat, group_variants
from mdreid_bench.results.form import cell_of
from mdreid_bench.results.published import method_key
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Metrics, Record
from mdreid_bench.results.store import RunFolder
from protocols.corruption import family_of
from protocols.modality import subsets
from protocols.protocol import Protocol, protocols_of
from protocols.suites import suite

Content = dict[str, Any]
"""A part of the page's data, ready for JSON."""


class Measurements:
    """Records of some groups, each with its place in the page's list, by which other parts of the page refer to it.

    Args:
        groups: what may share a table.
        folder: gives the folder of the run that a record belongs to.
    """

    def __init__(self, groups: Sequence[Group], folder: Locate) -> None:
        self.folder = folder
        self._places: dict[int, int] = {}
        self._texts: dict[str, int] = {}
        self._runs: dict[str, Content] = {}
        self._data, self._methods, self._records = list[Content](), list[Content](), list[Content]()
        for group in groups:
            self._data.append(_data(group))
            for variant in group.variants:
                self._add(group, variant, aside=False)
            told = {configuration(variant.example) for variant in group.variants}
            for variant in group_variants(r for r in group.records if configuration(r) not in told):
                self._add(group, variant, aside=True)
            for variant in group_variants(group.calibrated):
                self._add(group, variant, aside=True)

    def content(self) -> Content:
        """Return data sets, methods, runs, texts and records, which name each other by place in these lists."""
        return {
            "metrics": METRICS,
            "first_draw": FIRST_DRAW,
            "data": self._data,
            "methods": self._methods,
            "runs": list(self._runs.values()),
            "texts": list(self._texts),
            "records": self._records,
        }

    def places(self, records: Iterable[Record]) -> list[int]:
        """Return where records stand in the list; those that newer ones replaced have no place."""
        return [self._places[id(record)] for record in records if id(record) in self._places]

    def _add(self, group: Group, variant: Variant, *, aside: bool) -> None:
        """Add a method with its records; one ``aside`` is ablated or calibrated, and no view averages it."""
        example = variant.example
        absent = {} if aside else dict(_absent(group, variant))
        self._methods.append(
            {
                "data": len(self._data) - 1,
                "label": variant.label,
                "title": method_title(variant.method),
                "key": method_key(variant.method),
                "ranked": variant.ranked,
                "seedless": variant.seedless,
                "aside": aside,
                "preset": example.preset,
                "trunk": example.trunk,
                "superseded": variant.superseded,
                "absent": absent,
            }
        )
        kept = [record for found in variant.records.values() for record in found]
        for record in [*kept, *_corrupted(group, variant)]:
            self._places[id(record)] = len(self._records)
            self._records.append(self._record(record))

    def _record(self, record: Record) -> Content:
        scope = "full" if record.limit is None else f"limit-{record.limit}"
        made = record.provenance
        content: Content = {
            "method": len(self._methods) - 1,
            "run": self._run(record),
            "protocol": record.protocol,
            "file": f"{scope}/{cell_of(record)}.json",
            "metrics": _percent(record.metrics),
            "chance": [None if value is None else round(value, 6) for value in _percent(record.chance)],
            "counts": self._text(sizes(record)),
            "code": self._text("; ".join((*code([made]), *hardware([made])))),
            "made": f"{made.created:%Y-%m-%d %H:%M:%S %Z}",
        }
        if record.interval:
            content["interval"] = [PERCENT * end for end in record.interval.mAP]
        if "score" in made.phase_seconds:
            content["seconds"] = made.phase_seconds["score"]
        if record.counts.trials > 1:
            content["trials"] = record.counts.trials
        if record.corruption is not None:
            spec = record.corruption.spec
            family, published = family_of(spec.name) or spec.name, bool(spec.published)
            content["corrupted"] = [spec.name, family, images_of(spec), spec.repetition, published]
        form = form_arguments(record)
        return content | ({"form": form} if form else {})

    def _run(self, record: Record) -> int:
        """Return the place of a record's run; the time of extraction stands in one record of a run alone."""
        name, seconds = record.folder_name, record.provenance.phase_seconds.get("extract")
        if name not in self._runs:
            folder = RunFolder(self.folder(record))
            counts = read_counts(folder.cost)
            self._runs[name] = {
                "place": len(self._runs),
                "folder": name,
                "seed": record.seed,
                "split": record.split or "",
                "command": run_command(record, _weights(folder)),
                "facts": list(_facts(record)),
                "cost": counts and [counts[0] / 1e6, counts[1] / 1e9],
            }
        if seconds is not None:
            self._runs[name]["seconds"] = seconds
        return int(self._runs[name]["place"])

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def _data(group: Group) -> Content:
    """Return what the records of a group share, and the protocols of each view that the dataset serves."""
    every = [str(protocol) for protocol in protocols_of(group.sensors)]

    def served(names: Iterable[object]) -> list[str]:
        return [name for name in map(str, names) if name in every and unserved(group.dataset, [name]) is None]

    papers, usual = served(suite("paper-mismatched")), list(usual_protocols(group))
    views = {
        "overview": list(dict.fromkeys([*served(suite(OVERVIEW)), *usual])),
        "matched": served([Protocol(group.sensors, group.sensors)]),
        "mismatched": papers or served(suite("mismatched", group.sensors)),
        "missing": served(suite("missing", group.sensors)),
    }
    return {
        "title": group.title,
        "dataset": dataset_title(group.dataset),
        "sources": [dataset_title(name) for name in group.example.sources],
        "kind": group.example.data_kind,
        "marks": group.marks,
        "note": remarks.caption(group.variants),
        "subsets": [str(subset) for subset in subsets(group.sensors)],
        "views": views,
        "usual": (usual or views["matched"] or served(every))[:1],
    }


def _absent(group: Group, variant: Variant) -> Iterator[tuple[str, str]]:
    """Yield the protocols that a method cannot be measured under, each with the reason."""
    for protocol in map(str, protocols_of(group.sensors)):
        if protocol not in variant.records:
            cell = single(protocol, "mAP").measured(variant)
            if isinstance(cell, Missing) and cell.reason != NOT_RUN:
                yield protocol, cell.reason


def _corrupted(group: Group, variant: Variant) -> Iterator[Record]:
    """Yield the records of corrupted images that were made with a variant."""
    for key, found in newest_corrupted(group).items():
        if key[1:-1] == configuration(variant.example):
            for name in found:
                yield from (found[name][repetition] for repetition in sorted(found[name]))


def _facts(record: Record) -> Iterator[str]:
    """Yield what must be known of a run, apart from what the page can filter by."""
    yield SELECTIONS[record.selection]
    yield f"version {record.method_version} of the method"
    if record.precision != USUAL_PRECISION:
        yield f"embeddings computed in {record.precision}"
    if record.feature_batch is not None:
        yield f"features depend on the test batch of {record.feature_batch}"
    if record.options:
        yield f"options: {', '.join(f'{key} {value}' for key, value in flat(record.options).items())}"
    if record.config_overrides:
        yield f"set by hand: {', '.join(f'{key} {value}' for key, value in flat(record.config_overrides).items())}"
    yield from described(record.image_rules)
    yield f"training data {(record.train_fingerprint or 'none')[:10]}, test data {record.test_fingerprint[:10]}"


def _weights(folder: RunFolder) -> str:
    """Return the name of the file of given weights; empty where the run was trained, or does not say."""
    try:
        given = RunFacts.read(folder.facts).weights
    except DataError:
        return ""
    return Path(given.path).name if given else ""


def _percent(metrics: Metrics) -> list[float | None]:
    values = (getattr(metrics, name) for name in METRICS)
    return [None if value is None else PERCENT * float(value) for value in values]
