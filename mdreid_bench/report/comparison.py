"""Tables that put published figures, our measurements and the difference side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.printed import NO_FIGURE, Printed
from mdreid_bench.report.quantities import CHANCE, Quantity
from mdreid_bench.report.sensors import NOT_APPLICABLE
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table, emphasise
from mdreid_bench.report.variants import Variant, by_seeds, test_data

SYNTHETIC = f"{NOT_APPLICABLE}: what synthetic data give has no meaningful difference to a published figure"
RERANKED = f"{NOT_APPLICABLE}: the published figures are without re-ranking"
LIMITED = f"{NOT_APPLICABLE}: measured on a part of the test set"


@dataclass(frozen=True)
class ComparisonRow:
    """One method in one configuration beside what one source prints about it; either may be missing.

    Where several sources print about a method, its measurements stand in the first of their rows (``shown``).
    """

    label: str
    variant: Variant | None = None
    printed: Printed | None = None
    shown: bool = True


def comparison(
    title: str,
    group: Group,
    quantities: Sequence[Quantity],
    rows: Sequence[ComparisonRow],
    notes: Sequence[str] = (),
) -> Table | None:
    """Build a table with a row for each method and source, and chance below; None when nothing was measured.

    The columns for published figures are left out when there are none.

    Args:
        title: what is shown; dataset and marks are added.
        group: where the variants of the rows come from.
        quantities: one column each, or three with the published figures.
    """
    published = any(row.printed for row in rows)
    protocols = list(dict.fromkeys(protocol for quantity in quantities for protocol in quantity.protocols))
    rows = [part for row in rows for part in _by_seeds(row, protocols)]
    distinct = {row.label: row.variant for row in rows if row.variant is not None}
    known = [v for v in distinct.values() if any(protocol in v.records for protocol in protocols)]
    if not known:
        return None
    columns = [column for quantity in quantities for column in _columns(group, quantity, rows, published)]
    body = [(*_labels(row, published), *cells) for row, cells in zip(rows, zip(*columns, strict=True), strict=True)]
    return Table(
        title=f"{title}, {group.title}",
        caption=remarks.caption(known),
        columns=_headings(group, quantities, published),
        rows=(*body, *_chance(known, quantities, published)),
        footnotes=(
            *notes,
            *remarks.interval_notes(body),
            *remarks.footnotes(known, protocols),
            *remarks.provenance(known, protocols),
        ),
        rules=frozenset({len(body)}),
    )


def _by_seeds(row: ComparisonRow, protocols: Sequence[str]) -> list[ComparisonRow]:
    if row.variant is None:
        return [row]
    return [replace(row, label=v.label, variant=v) for v in by_seeds([row.variant], protocols)]


def _headings(group: Group, quantities: Sequence[Quantity], published: bool) -> tuple[Column, ...]:
    if not published:
        return (Column("method"), *(Column(quantity.title, numeric=True) for quantity in quantities))
    return (
        Column("method"),
        Column("published in", wide=True),
        *(
            Column(title, quantity.title, numeric=True)
            for quantity in quantities
            for title in ("published", group.ours, "difference")
        ),
    )


def _labels(row: ComparisonRow, published: bool) -> list[Cell]:
    if not published:
        return [row.label]
    return [row.label, row.printed.label if row.printed else Missing(NO_FIGURE)]


def _columns(group: Group, quantity: Quantity, rows: Sequence[ComparisonRow], published: bool) -> list[list[Cell]]:
    """Return the columns of one quantity: ours, or published, ours and difference."""
    measured = emphasise([quantity.measured(row.variant) if row.shown else "" for row in rows])
    ours = [quantity.measured(row.variant) for row in rows]
    if not published:
        return [measured]
    printed = _published([row.printed for row in rows], quantity)
    differences = [_difference(group, row.printed, quantity, cell) for row, cell in zip(rows, ours, strict=True)]
    return [printed, measured, differences]


def _published(printed: Sequence[Printed | None], quantity: Quantity) -> list[Cell]:
    """Return the published column; the best are found by the true means, where printed averages are not means."""
    cells = [one.cell(quantity) if one else Missing(NO_FIGURE) for one in printed]
    references = [one.reference(quantity) if one else None for one in printed]
    ranked = emphasise([Missing(NO_FIGURE) if value is None else Number(value) for value in references])
    return [
        replace(cell, emphasis=rank.emphasis) if isinstance(cell, Number) and isinstance(rank, Number) else cell
        for cell, rank in zip(cells, ranked, strict=True)
    ]


def _difference(group: Group, printed: Printed | None, quantity: Quantity, ours: Cell) -> Cell:
    """Return ours minus published, or why there is none."""
    reference = printed.reference(quantity) if printed else None
    if reference is None:
        return Missing(NO_FIGURE)
    if not isinstance(ours, Number):
        return ours
    if group.example.data_kind == "synthetic":
        return Missing(SYNTHETIC)
    if group.example.limit is not None:
        return Missing(LIMITED)
    if group.example.rerank is not None:
        return Missing(RERANKED)
    return Number(ours.value - reference, signed=True, origin=f"ours {ours.value:.4f} minus {reference:.4f}")


def _chance(variants: Sequence[Variant], quantities: Sequence[Quantity], published: bool) -> list[tuple[Cell, ...]]:
    """Return a row for each version of the test data."""
    versions: dict[str, list[Variant]] = {}
    for variant in variants:
        versions.setdefault(test_data(variant.example), []).append(variant)
    rows = []
    for fingerprint, found in versions.items():
        label = CHANCE if len(versions) == 1 else f"{CHANCE} (test data {fingerprint[:10]})"
        row: list[Cell] = [label, *([Missing(NOT_APPLICABLE)] if published else [])]
        for quantity in quantities:
            chance = quantity.chance(found)
            row += [Missing(NOT_APPLICABLE), chance, Missing(NOT_APPLICABLE)] if published else [chance]
        rows.append(tuple(row))
    return rows
