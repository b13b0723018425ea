"""The tables that ``run`` prints: method x metric for each dataset and protocol."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mdreid_bench.report import remarks
from mdreid_bench.report.quantities import CHANCE, MAIN_METRICS, METRICS, NOT_RUN, metrics_of, single
from mdreid_bench.report.table import Cell, Column, Missing, Table, emphasise
from mdreid_bench.report.titles import data_title, method_title
from mdreid_bench.report.variants import Variant, by_seeds, group_variants, test_data
from mdreid_bench.results.schema import Record

MANY_PROTOCOLS = 8
"""Above this number of protocols, a dataset gets one table with a row for each protocol."""


@dataclass(frozen=True)
class Absent:
    """A cell of the plan that has no record, and why: skipped, failed or not applicable."""

    dataset: str
    method: str
    protocol: str
    reason: str
    sources: tuple[str, ...] = ()


def run_tables(
    records: Iterable[Record], absent: Sequence[Absent] = (), metrics: Sequence[str] = MAIN_METRICS
) -> list[Table]:
    """Build the tables of a run; datasets, protocols and methods keep the order of the records.

    Records on different data (real or synthetic, another limit, another test fingerprint), trained on other sources,
    with another average precision or another re-ranking never share a table. Tables that have a row for each protocol
    have these ``metrics``.
    """
    settings: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        data = (record.dataset, record.sources, record.data_kind, record.limit, test_data(record))
        settings.setdefault((*data, record.average_precision, record.rerank), []).append(record)
    tables = []
    for group in settings.values():
        gaps = [gap for gap in absent if (gap.dataset, gap.sources) == (group[0].dataset, group[0].sources)]
        protocols = list(dict.fromkeys([r.protocol for r in group] + [gap.protocol for gap in gaps]))
        variants = group_variants(group)
        if len(protocols) > MANY_PROTOCOLS:
            tables.append(_compact(list(by_seeds(variants, protocols)), protocols, gaps, metrics))
        else:
            tables.extend(_single(list(by_seeds(variants, [name])), name, gaps) for name in protocols)
    return tables


@dataclass(frozen=True)
class _Row:
    """One method: its records, or why it has none."""

    label: str
    method: str
    variant: Variant | None = None

    def cells(self, protocol: str, metrics: Collection[str], gaps: Sequence[Absent]) -> list[Cell]:
        if self.variant is not None and protocol in self.variant.records:
            return [self.variant.cell(protocol, metric) for metric in metrics]
        reasons = (gap.reason for gap in gaps if (gap.method, gap.protocol) == (self.method, protocol))
        return [Missing(next(reasons, NOT_RUN))] * len(metrics)


def _method_rows(variants: Sequence[Variant], gaps: Sequence[Absent]) -> list[_Row]:
    """Return the methods with records, then those without."""
    known = {variant.method for variant in variants}
    absent = dict.fromkeys(gap.method for gap in gaps if gap.method not in known)
    return [_Row(v.label, v.method, v) for v in variants] + [_Row(method_title(m), m) for m in absent]


def _single(variants: Sequence[Variant], protocol: str, gaps: Sequence[Absent]) -> Table:
    """One row for each method, then chance."""
    first = variants[0].example
    known = [variant for variant in variants if protocol in variant.records]
    metrics = metrics_of(first.dataset)
    rows = [[row.label, *row.cells(protocol, metrics, gaps)] for row in _method_rows(variants, gaps)]
    marked = zip(*(emphasise(column) for column in zip(*rows, strict=True)), strict=True)
    notes = remarks.footnotes(known, [protocol]) + remarks.interval_notes(rows)
    return Table(
        title=f"{data_title(first)} {protocol}{remarks.data_mark(first)}",
        caption=remarks.caption(known or variants),
        columns=(Column("method"), *(Column(METRICS[metric], numeric=True) for metric in metrics)),
        rows=(*marked, *([(CHANCE, *_chance(known, protocol, metrics))] if known else [])),
        footnotes=tuple(notes),
        rules=frozenset({len(rows)}),
    )


def _compact(
    variants: Sequence[Variant], protocols: Sequence[str], gaps: Sequence[Absent], metrics: Sequence[str]
) -> Table:
    """One row for each protocol; these metrics of each method and of chance."""
    first = variants[0].example
    methods = _method_rows(variants, gaps)
    rows = []
    for protocol in protocols:
        blocks = [method.cells(protocol, metrics, gaps) for method in methods]
        by_metric = [emphasise(cells) for cells in zip(*blocks, strict=True)]
        row: list[Cell] = [cell for cells in zip(*by_metric, strict=True) for cell in cells]
        rows.append((protocol, *row, *_chance(variants, protocol, metrics)))
    return Table(
        title=f"{data_title(first)}, {len(protocols)} protocols{remarks.data_mark(first)}",
        caption=remarks.caption(variants),
        columns=(
            Column("protocol"),
            *(
                Column(METRICS[metric], group, numeric=True)
                for group in (*(method.label for method in methods), CHANCE)
                for metric in metrics
            ),
        ),
        rows=tuple(rows),
        footnotes=tuple(remarks.footnotes(variants, protocols)),
    )


def _chance(variants: Sequence[Variant], protocol: str, metrics: Collection[str]) -> list[Cell]:
    return [single(protocol, metric).chance(variants) for metric in metrics]
