"""The table that papers on a dataset print: its usual protocols side by side, their methods first and then ours."""

from collections.abc import Sequence

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.printed import Printed, printed_rows
from mdreid_bench.report.quantities import CHANCE, METRICS, Quantity
from mdreid_bench.report.sensors import NOT_APPLICABLE
from mdreid_bench.report.table import Cell, Column, Missing, Table, emphasise
from mdreid_bench.report.titles import dataset_card
from mdreid_bench.report.variants import by_seeds, marked
from mdreid_bench.results.published import Figure

FEWEST = 4
"""A published row is shown that fills one of so many columns: less comes from other tables of a paper."""


def usual_protocols(group: Group) -> tuple[str, ...]:
    """Return the protocols that papers on the dataset of a group print, where they are not one of the suites."""
    card = dataset_card(group.dataset)
    every = f"{group.sensors}-to-{group.sensors}"
    return () if card is None or card.default_protocols == (every,) else card.default_protocols


def usual_table(title: str, group: Group, figures: Sequence[Figure]) -> list[Table]:
    """Build the table of a group; none where its dataset has no such protocols, or no record belongs to them.

    Args:
        title: what is shown; dataset and marks are added.
        figures: all published ones; none to leave them out.
    """
    protocols, metrics = usual_protocols(group), group.metrics
    quantities = [Quantity(METRICS[m], (protocol,), m, protocol) for protocol in protocols for m in metrics]
    variants = [v for v in by_seeds(group.variants, protocols) if v.records.keys() & set(protocols)]
    if not variants:
        return []
    printed = [
        row
        for row in printed_rows((f for f in figures if f.dataset == group.printed), quantities)
        if FEWEST * sum((q.printed, q.metric) in row.figures for q in quantities) >= len(quantities)
    ]
    ours = [[quantity.measured(variant) for variant in variants] for quantity in quantities]
    body = list(zip(*(emphasise(column) for column in ours), strict=True))
    rows: list[tuple[Cell, ...]] = [_published(row, quantities) for row in printed]
    names = [marked(variant.label, group.marks) for variant in variants]
    rows += [(name, "ours", *cells) for name, cells in zip(names, body, strict=True)]
    chance = [quantity.chance(variants) for quantity in quantities]
    borders = {len(printed), len(rows)} - {0}
    headings = [Column(q.title, q.protocols[0], numeric=True) for q in quantities]
    table = Table(
        title=f"{title}, {group.title}",
        caption=remarks.caption(variants),
        columns=(Column("method"), Column("source", wide=True), *headings),
        rows=(*rows, (CHANCE, Missing(NOT_APPLICABLE), *chance)),
        footnotes=(
            *([group.note] if group.note else []),
            *remarks.interval_notes(body),
            *remarks.footnotes(variants, protocols),
            *remarks.provenance(variants, protocols),
        ),
        rules=frozenset(borders),
    )
    return [table]


def _published(row: Printed, quantities: Sequence[Quantity]) -> tuple[Cell, ...]:
    return (row.method, row.label, *(row.cell(quantity) for quantity in quantities))
