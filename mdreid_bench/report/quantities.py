"""What a column of a comparison shows: one metric under one protocol, or its mean over several."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.report.origin import origin
from mdreid_bench.report.sensors import refused, sensors_of, unserved
from mdreid_bench.report.table import Cell, Missing, Number
from mdreid_bench.report.titles import dataset_card
from mdreid_bench.report.variants import PERCENT, TOO_OLD, Variant
from mdreid_bench.results.published import AVERAGE
from mdreid_bench.results.schema import Record

METRICS = {
    "mAP": "mAP",
    "rank1": "Rank-1",
    "rank5": "Rank-5",
    "rank10": "Rank-10",
    "rank20": "Rank-20",
    "mINP": "mINP",
}
"""Field of :class:`~mdreid_bench.results.schema.Metrics` -> heading."""
MAIN_METRICS = ("mAP", "rank1")
"""Those that a table shows which has no room for all, as in the paper."""
CHANCE = "chance"
"""Name of the row, column or curve of what a random order reaches."""
NOT_RUN = "not run"


def metrics_of(dataset: str) -> tuple[str, ...]:
    """Return the metrics of a table that has room for all that papers on a dataset print."""
    return (dataset_card(dataset) or DatasetCard).metrics


@dataclass(frozen=True)
class Quantity:
    """One metric under one protocol, or averaged over several.

    Attributes:
        protocols: one, or those whose mean is meant.
        metric: field of :class:`~mdreid_bench.results.schema.Metrics`.
        printed: what the published figures call it.
        over: the mean that is taken over the protocols, of each repetition by itself.
    """

    title: str
    protocols: tuple[str, ...]
    metric: str
    printed: str
    over: Callable[[Sequence[float]], float] = statistics.fmean

    @property
    def mean(self) -> bool:
        """Whether it is a mean over several protocols."""
        return len(self.protocols) > 1

    def measured(self, variant: Variant | None) -> Cell:
        """Return what a variant reaches, in percent.

        The mean over protocols is that of the unrounded values.
        """
        if variant is None:
            return Missing(NOT_RUN)
        absent = [protocol for protocol in self.protocols if protocol not in variant.records]
        if absent:
            example = variant.example
            sensors = sensors_of(example.dataset, variant.records)
            reason = refused(example.method, example.options, sensors, absent)
            return Missing(unserved(example.dataset, absent) or reason or self._not_run(absent))
        cells = [variant.cell(protocol, self.metric) for protocol in self.protocols]
        lacking = [cell for cell in cells if isinstance(cell, Missing)]
        return lacking[0] if lacking else self._average(variant) if self.mean else cells[0]

    def _not_run(self, absent: Sequence[str]) -> str:
        """Say under which of the protocols a variant was not run; they are not none."""
        if len(absent) == len(self.protocols):
            return NOT_RUN
        return f"not run under all {len(self.protocols)} protocols: {', '.join(absent)} missing"

    def _average(self, variant: Variant) -> Number:
        columns = [variant.repetitions(protocol) for protocol in self.protocols]
        records = [record for protocol in self.protocols for record in variant.records[protocol]]
        by_seed = [self.over([*map(self._percent, row)]) for row in zip(*columns, strict=True)]
        value = statistics.fmean(by_seed)
        spread = statistics.stdev(by_seed) if len(by_seed) > 1 else None
        number = Number(value, spread=spread, origin=origin(records), ranked=variant.ranked)
        return replace(number, records=tuple(records), metric=self.metric)

    def chance(self, variants: Sequence[Variant]) -> Cell:
        """Return what a random order reaches on the data of these variants (at least one), in percent."""
        values = []
        for protocol in self.protocols:
            records = next((v.records[protocol] for v in variants if protocol in v.records), None)
            if records is None:
                return Missing(unserved(variants[0].example.dataset, [protocol]) or NOT_RUN)
            found = [getattr(record.chance, self.metric) for record in records]
            if None in found:
                return Missing(TOO_OLD)
            values.append(PERCENT * statistics.fmean(found))
        return Number(self.over(values), origin="expectation over random orders of the same gallery")

    def _percent(self, record: Record) -> float:
        return PERCENT * float(getattr(record.metrics, self.metric))


def single(protocol: str, metric: str, title: str = "") -> Quantity:
    """Return a metric under one protocol, titled as both unless a title is given."""
    return Quantity(title or f"{protocol} {METRICS[metric]}", (protocol,), metric, protocol)


def average(suite: str, protocols: tuple[str, ...], metric: str) -> Quantity:
    """Return the mean of a metric over the protocols of a suite."""
    return Quantity(f"mean of {len(protocols)} {METRICS[metric]}", protocols, metric, f"{AVERAGE}{suite}")


def harmonic(protocols: tuple[str, ...], metric: str) -> Quantity:
    """Return the harmonic mean of a metric over protocols: one that is 0 makes it 0 (UPCL, NeurIPS 2025, Table 1)."""
    return Quantity(
        f"harmonic mean of {len(protocols)} {METRICS[metric]}",
        protocols,
        metric,
        "harmonic-mean",
        statistics.harmonic_mean,
    )
