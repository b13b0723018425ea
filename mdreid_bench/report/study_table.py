"""The tables that ``ablate`` prints: configuration x metric, over the six settings and in each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report import remarks
from mdreid_bench.report.quantities import CHANCE, MAIN_METRICS, METRICS, Quantity
from mdreid_bench.report.sensors import NOT_APPLICABLE, unserved
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table, emphasise
from mdreid_bench.report.titles import data_title
from mdreid_bench.report.variants import Variant, by_seeds, row_variants
from mdreid_bench.results.schema import Record
from protocols.suites import Setting


@dataclass(frozen=True)
class Gap:
    """A seed without a record under one setting, and why."""

    seed: int
    protocol: str
    reason: str


@dataclass(frozen=True)
class MeasuredRow:
    """What is known of one configuration: the records of all its seeds and settings, and what has none."""

    label: str
    records: Sequence[Record]
    absent: Sequence[Gap]


def study_table(title: str, settings: Sequence[Setting], rows: Sequence[MeasuredRow], note: str = "") -> Table | None:
    """Build the table of one study on one dataset; None when nothing was measured.

    The mean over those settings comes first that the dataset can serve.
    """
    shown: list[tuple[MeasuredRow, Variant | None]] = []
    names = [str(setting) for setting in settings]
    for row in rows:
        found = list(by_seeds(row_variants(row.label, row.records), names))
        shown += [(row, variant) for variant in found] or [(row, None)]
    variants = [variant for _, variant in shown if variant is not None]
    if not variants:
        return None
    example = variants[0].example
    protocols = tuple(name for name in names if unserved(example.dataset, [name]) is None)
    groups = {f"mean of {len(protocols)}": protocols} | {protocol: (protocol,) for protocol in protocols}
    quantities = [
        Quantity(METRICS[metric], group, metric, "") for group in groups.values() for metric in MAIN_METRICS
    ]
    columns = [emphasise([_cell(row, variant, quantity) for row, variant in shown]) for quantity in quantities]
    labels = [row.label if variant is None else variant.label for row, variant in shown]
    body = [(label, *cells) for label, cells in zip(labels, zip(*columns, strict=True), strict=True)]
    chance = (CHANCE, *(quantity.chance(variants) for quantity in quantities))
    return Table(
        title=f"{title}, {data_title(example)}{remarks.data_mark(example)}",
        caption=remarks.caption(variants),
        columns=(
            Column("configuration"),
            *(Column(METRICS[metric], group, numeric=True) for group in groups for metric in MAIN_METRICS),
        ),
        rows=(*body, chance),
        footnotes=(
            *([note] if note else []),
            *_cautions(rows, variants),
            *remarks.footnotes(variants, protocols),
            *remarks.provenance(variants, protocols),
        ),
        rules=frozenset({len(body)}),
    )


def _cell(row: MeasuredRow, variant: Variant | None, quantity: Quantity) -> Cell:
    """Return a value without its interval, for which the table has no room."""
    cell = quantity.measured(variant)
    if isinstance(cell, Number):
        return replace(cell, interval=None)
    reasons = dict.fromkeys(gap.reason for gap in row.absent if gap.protocol in quantity.protocols)
    return Missing("; ".join(reasons)) if reasons else cell


def _cautions(rows: Sequence[MeasuredRow], variants: Sequence[Variant]) -> Iterator[str]:
    """Yield what keeps the differences between the rows from being taken for more than they are."""
    if variants[0].example.data_kind == "synthetic":
        yield "SYNTHETIC data: what a part contributes here says nothing about the published images."
    if all(len(records) == 1 for variant in variants for records in variant.records.values()):
        yield "One seed: differences between rows include the chance of the training; --seed may be repeated."
    for row in rows:
        lost = dict.fromkeys(
            (gap.seed, gap.reason) for gap in row.absent if not gap.reason.startswith(NOT_APPLICABLE)
        )
        if row.records:
            yield from (f"{row.label}: seed {seed} is missing or incomplete, {reason}" for seed, reason in lost)
