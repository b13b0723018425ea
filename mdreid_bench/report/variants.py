"""Records of one method brought together over protocols and seeds."""

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import JsonValue

from mdreid_bench.config.tree import leaves
from mdreid_bench.report.origin import USUAL_PRECISION, made_in_words, origin
from mdreid_bench.report.table import Missing, Number
from mdreid_bench.report.titles import is_ranked, method_title
from mdreid_bench.results.schema import Record, Repetition

PERCENT = 100.0
TOO_OLD = "not in records of an earlier version"


@dataclass(frozen=True)
class Variant:
    """One method in one configuration: all its seeds and splits, which are averaged, on all its protocols.

    Attributes:
        label: the method's title and, where one method comes in several variants, what sets this one apart.
        records: protocol -> its records, one for each split and seed, in their order.
        superseded: how many records were left out because a newer one has the same split and seed.
    """

    label: str
    method: str
    records: Mapping[str, tuple[Record, ...]]
    superseded: int

    @property
    def example(self) -> Record:
        """Any of the records; what all of them share can be read from it."""
        return next(iter(self.records.values()))[0]

    @property
    def ranked(self) -> bool:
        """Whether its numbers may be marked as the best."""
        return is_ranked(self.method)

    @property
    def made(self) -> tuple[Repetition, ...]:
        """The splits and seeds under any protocol, in order."""
        return ordered(record.repetition for records in self.records.values() for record in records)

    @property
    def seedless(self) -> bool:
        """Whether seeds were repeated and changed nothing, as nothing was trained and nothing is drawn."""
        counts = [(len(found), len({record.metrics for record in found})) for found in self.records.values()]
        return self.example.selection == "none" and max(counts)[0] > 1 and all(kinds == 1 for _, kinds in counts)

    def repetitions(self, protocol: str) -> tuple[Record, ...]:
        """Return the records that are averaged: one a split and seed, or a single one where they change nothing.

        There are none under a protocol that was not measured.
        """
        return self.records.get(protocol, ())[: 1 if self.seedless else None]

    def cell(self, protocol: str, metric: str) -> Number | Missing:
        """Return :meth:`number`, or that records of an earlier version do not have the metric."""
        lacking = any(getattr(record.metrics, metric) is None for record in self.repetitions(protocol))
        return Missing(TOO_OLD) if lacking else self.number(protocol, metric)

    def number(self, protocol: str, metric: str) -> Number:
        """Return a metric in percent: the mean and sample standard deviation when there are several repetitions."""
        records = self.repetitions(protocol)
        number = partial(
            Number, origin=origin(self.records[protocol]), records=records, metric=metric, ranked=self.ranked
        )
        values = [PERCENT * float(getattr(record.metrics, metric)) for record in records]
        if len(values) > 1:
            return number(statistics.fmean(values), spread=statistics.stdev(values))
        interval = records[0].interval if metric == "mAP" else None
        bounds = None if interval is None else (PERCENT * interval.mAP[0], PERCENT * interval.mAP[1])
        return number(values[0], interval=bounds)


def group_variants(records: Iterable[Record]) -> list[Variant]:
    """Group records that differ only in protocol, split and seed, in the order in which they first appear.

    Records on different training or test data, or of embeddings of different precision, are never brought together.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(configuration(record), []).append(record)
    facts = {key: _facts(group[0]) for key, group in groups.items()}
    labels = {key: _label(group[0], facts[key], facts) for key, group in groups.items()}
    variants = []
    for key, group in groups.items():
        kept = _newest(group)
        unique = list(labels.values()).count(labels[key]) == 1
        label = labels[key] if unique else f"{labels[key]} #{group[0].config_key[:8]}"
        variants.append(Variant(label, group[0].method, kept, len(group) - sum(map(len, kept.values()))))
    return variants


def configuration(record: Record) -> tuple[str, ...]:
    """Return what the records of one variant share; of a dataset with splits, the key tells the data."""
    data = () if record.split else (record.train_fingerprint or "", record.test_fingerprint)
    return (record.method, record.selection, record.precision, record.config_key, record.calibration, *data)


def ordered(repetitions: Iterable[Repetition]) -> tuple[Repetition, ...]:
    """Return the different ones of some splits and seeds, in order; split 2 comes before 10."""
    return tuple(sorted(set(repetitions), key=lambda one: (len(one[0]), *one)))


def test_data(record: Record) -> str:
    """Return what records on the same test data share; those of all splits of a dataset are the same in this."""
    return "" if record.split else record.test_fingerprint


def by_seeds(variants: Iterable[Variant], protocols: Sequence[str]) -> Iterator[Variant]:
    """Yield the rows of a table over some protocols: within a row, every column has the same splits and seeds.

    Those that ran under different ones of the protocols are rows of their own, named by them.
    """
    for variant in variants:
        shown = {protocol: variant.records[protocol] for protocol in protocols if protocol in variant.records}
        ran: dict[tuple[str, ...], set[Repetition]] = {}
        for one in variant.made:
            under = tuple(name for name, found in shown.items() if any(record.repetition == one for record in found))
            ran.setdefault(under, set()).add(one)
        ran.pop((), None)
        whole = replace(variant, records=shown or variant.records)
        if len(ran) < 2 or whole.seedless:
            yield whole
            continue
        for number, (under, made) in enumerate(ran.items()):
            kept = {name: tuple(record for record in shown[name] if record.repetition in made) for name in under}
            label = f"{variant.label}, {made_in_words(ordered(made))}"
            yield replace(variant, label=label, records=kept, superseded=0 if number else variant.superseded)


def row_variants(label: str, records: Iterable[Record]) -> list[Variant]:
    """Bring the records of one named row together; there are several rows where they must not be averaged."""
    variants = group_variants(records)
    if len(variants) == 1:
        return [replace(variants[0], label=marked(label, record_marks(variants[0].example)))]
    return [replace(variant, label=f"{label}: {variant.label}") for variant in variants]


def _facts(record: Record) -> dict[str, str]:
    """Return what may set variants of one method apart, as short texts."""
    facts = {
        "preset": record.preset,
        "trunk": record.trunk,
        "version": str(record.method_version),
        "training data": (record.train_fingerprint or "none")[:10],
        "test data": record.test_fingerprint[:10],
    }
    given = flat(record.config_overrides)
    given.pop("data.missing", None)  # among the marks
    return facts | flat(record.options) | given


def flat(tree: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return the leaves of a tree of options: dotted key -> value as text."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in sorted(leaves(tree))}


def _label(record: Record, own: Mapping[str, str], facts: Mapping[tuple[str, ...], Mapping[str, str]]) -> str:
    """Name a variant by its method, the facts in which variants of that method differ, and its marks."""
    others = [rest for (method, *_), rest in facts.items() if method == record.method]
    differing = [f"{name} {value}" for name, value in own.items() if any(rest.get(name) != value for rest in others)]
    return marked(method_title(record.method), [*differing, *record_marks(record)])


def record_marks(record: Record) -> list[str]:
    """Return what must be said of a record wherever it is named, so that nobody takes it for a usual one."""
    marks = ["epoch chosen on test data"] if record.selection == "best-test" else []
    if record.feature_batch is not None:
        marks.append(f"features depend on the test batch of {record.feature_batch}")
    marks += [f"{record.missing:g} of the sensors lost in training"] if record.missing else []
    marks += [] if record.calibration == "none" else [f"scores {record.calibration}"]
    marks += [f"images corrupted: {record.corruption.spec.cell}"] if record.corruption else []
    return marks if record.precision == USUAL_PRECISION else [*marks, f"embeddings in {record.precision}"]


def marked(label: str, marks: Sequence[str]) -> str:
    """Return a label with its marks in brackets."""
    return f"{label} ({', '.join(marks)})" if marks else label


def _newest(records: Iterable[Record]) -> dict[str, tuple[Record, ...]]:
    newest: dict[str, dict[Repetition, Record]] = {}
    for record in records:
        repetitions = newest.setdefault(record.protocol, {})
        other = repetitions.get(record.repetition)
        if other is None or record.provenance.created >= other.provenance.created:
            repetitions[record.repetition] = record
    return {protocol: tuple(found[own] for own in ordered(found)) for protocol, found in newest.items()}
