"""The tables that ``run`` prints: method x metric for each dataset and protocol."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mdreid_bench.report import remarks
from mdreid_bench.report.quantities import MAIN_METRICS, METRICS, NOT_RUN
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table, emphasise
from mdreid_bench.report.variants import PERCENT, Variant, by_seeds, group_variants
from mdreid_bench.results.schema import Metrics, Record

MANY_PROTOCOLS = 8
"""Above this number of protocols, a dataset gets one table with a row for each protocol."""


@dataclass(frozen=True)
class Absent:
    """A cell of the plan that has no record, and why: skipped, failed or not applicable."""

    dataset: str
    method: str
    protocol: str
    reason: str


def run_tables(records: Iterable[Record], absent: Sequence[Absent] = ()) -> list[Table]:
    """Build the tables of a run; datasets, protocols and methods keep the order of the records.

    Records on different data (real or synthetic, another limit, another test fingerprint), with another average
    precision or another re-ranking never share a table.
    """
    settings: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        data = (record.dataset, record.data_kind, record.limit, record.test_fingerprint)
        settings.setdefault((*data, record.average_precision, record.rerank), []).append(record)
    tables = []
    for group in settings.values():
        gaps = [gap for gap in absent if gap.dataset == group[0].dataset]
        protocols = list(dict.fromkeys([r.protocol for r in group] + [gap.protocol for gap in gaps]))
        variants = group_variants(group)
        if len(protocols) > MANY_PROTOCOLS:
            tables.append(_compact(list(by_seeds(variants, protocols)), protocols, gaps))
        else:
            tables.extend(_single(list(by_seeds(variants, [name])), name, gaps) for name in protocols)
    return tables


def _single(variants: Sequence[Variant], protocol: str, gaps: Sequence[Absent]) -> Table:
    """One row for each method, then chance."""
    first = variants[0].example
    known = [variant for variant in variants if protocol in variant.records]
    rows: list[list[Cell]] = [[variant.label, *_numbers(variant, protocol, METRICS, gaps)] for variant in variants]
    rows += [
        [method, *[Missing(_reason(method, protocol, gaps))] * len(METRICS)]
        for method in _methods_without_records(variants, gaps)
    ]
    marked = zip(*(emphasise(column) for column in zip(*rows, strict=True)), strict=True)
    chance = [_chance(variant.records[protocol][0].chance, METRICS) for variant in known[:1]]
    notes = remarks.footnotes(known, [protocol]) + remarks.interval_notes(rows)
    return Table(
        title=f"{first.dataset} {protocol}{remarks.data_mark(first)}",
        caption=remarks.caption(known or variants),
        columns=(Column("method"), *(Column(title, numeric=True) for title in METRICS.values())),
        rows=(*marked, *(("chance", *cells) for cells in chance)),
        footnotes=tuple(notes),
        rules=frozenset({len(rows)}),
    )


def _compact(variants: Sequence[Variant], protocols: Sequence[str], gaps: Sequence[Absent]) -> Table:
    """One row for each protocol; mAP and Rank-1 of each method and of chance."""
    first = variants[0].example
    absent_methods = _methods_without_records(variants, gaps)
    groups = [*(variant.label for variant in variants), *absent_methods, "chance"]
    rows = []
    for protocol in protocols:
        blocks = [_numbers(variant, protocol, MAIN_METRICS, gaps) for variant in variants]
        blocks += [[Missing(_reason(method, protocol, gaps))] * len(MAIN_METRICS) for method in absent_methods]
        by_metric = [emphasise(cells) for cells in zip(*blocks, strict=True)]
        row: list[Cell] = [cell for cells in zip(*by_metric, strict=True) for cell in cells]
        rows.append((protocol, *row, *_chance_of(variants, protocol)))
    return Table(
        title=f"{first.dataset}, {len(protocols)} protocols{remarks.data_mark(first)}",
        caption=remarks.caption(variants),
        columns=(
            Column("protocol"),
            *(
                Column(title, group, numeric=True)
                for group in groups
                for title in (METRICS[metric] for metric in MAIN_METRICS)
            ),
        ),
        rows=tuple(rows),
        footnotes=tuple(remarks.footnotes(variants, protocols)),
    )


def _numbers(variant: Variant, protocol: str, metrics: Iterable[str], gaps: Sequence[Absent]) -> list[Cell]:
    if protocol in variant.records:
        return [variant.number(protocol, metric) for metric in metrics]
    return [Missing(_reason(variant.method, protocol, gaps)) for _ in metrics]


def _chance_of(variants: Sequence[Variant], protocol: str) -> list[Cell]:
    for variant in variants:
        if protocol in variant.records:
            return _chance(variant.records[protocol][0].chance, MAIN_METRICS)
    return [Missing(NOT_RUN) for _ in MAIN_METRICS]


def _chance(chance: Metrics, metrics: Iterable[str]) -> list[Cell]:
    return [Number(PERCENT * float(getattr(chance, metric))) for metric in metrics]


def _reason(method: str, protocol: str, gaps: Sequence[Absent]) -> str:
    reasons = (gap.reason for gap in gaps if (gap.method, gap.protocol) == (method, protocol))
    return next(reasons, NOT_RUN)


def _methods_without_records(variants: Sequence[Variant], gaps: Sequence[Absent]) -> list[str]:
    known = {variant.method for variant in variants}
    return [method for method in dict.fromkeys(gap.method for gap in gaps) if method not in known]
