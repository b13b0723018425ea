"""What was trained on against what was tested with: a matrix of datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.printed import printed_decimals
from mdreid_bench.report.quantities import CHANCE, METRICS, NOT_RUN, single
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table
from mdreid_bench.report.titles import dataset_card, dataset_title
from mdreid_bench.report.variants import Variant, marked
from mdreid_bench.results.published import Figure, method_key, transfer

NAME = "transfer"
Place = tuple[str, tuple[str, ...]]
"""A row: label of the variant, and the datasets that it was trained on."""


def transfer_tables(groups: Sequence[Group], figures: Sequence[Figure]) -> list[Table]:
    """Build a matrix for all records of one kind, real or synthetic, of one limit and form, with their sources.

    It has the methods that were trained on another dataset than they were tested with at least once, beside what is
    published of them.
    """
    kinds: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        kinds.setdefault((group.example.data_kind, *group.marks), []).append(group)
    return [table for alike in kinds.values() if (table := _table(alike, figures)) is not None]


def _table(groups: Sequence[Group], figures: Sequence[Figure]) -> Table | None:
    carried = {variant.method for group in groups if group.example.sources for variant in group.variants}
    found: dict[Place, dict[str, Variant]] = {}
    for group in groups:
        for variant in group.variants:
            if variant.method in carried and _protocol(group.dataset) in variant.records:
                place = variant.label, group.example.trained_on
                found.setdefault(place, {})[group.dataset] = variant
    targets = list(dict.fromkeys(g.dataset for g in groups if any(g.dataset in row for row in found.values())))
    if not any(sources != (dataset,) for (_, sources), row in found.items() for dataset in row):
        return None
    rows = sorted(found.items(), key=lambda row: row[0][0])
    columns = [column for target in targets for column in _columns(target, rows, figures, groups[0].main_metrics)]
    variants = [variant for _, row in rows for variant in row.values()]
    labels = [(label, " + ".join(map(dataset_title, sources))) for (label, sources), _ in rows]
    protocols = list(dict.fromkeys(map(_protocol, targets)))
    synthetic = groups[0].example.data_kind == "synthetic"
    starts = {number for number, (place, _) in enumerate(rows) if number and place[0] != rows[number - 1][0][0]}
    return Table(
        title=marked("Trained on one dataset, tested with another", groups[0].marks),
        caption=f"Values in %, measured on {'SYNTHETIC' if synthetic else 'real'} images. Rows tell what was trained "
        "on, columns what was tested with; where a dataset meets itself, its own identities were learned.",
        columns=(Column("method"), Column("trained on"), *(column for column, _ in columns)),
        rows=tuple(
            (*label, *cells)
            for label, cells in zip(
                [*labels, (CHANCE, "")], zip(*(cells for _, cells in columns), strict=True), strict=True
            )
        ),
        footnotes=(*remarks.footnotes(variants, protocols), *remarks.provenance(variants, protocols)),
        rules=frozenset({*starts, len(rows)}),
    )


def _columns(
    target: str,
    rows: Sequence[tuple[Place, Mapping[str, Variant]]],
    figures: Sequence[Figure],
    metrics: Sequence[str],
) -> list[tuple[Column, list[Cell]]]:
    """Return the columns of one target: what was measured and, where there is any, what is published."""
    protocol, result = _protocol(target), []
    heading = f"{dataset_title(target)}, {protocol}"
    for metric in metrics:
        ours: list[Cell] = []
        for _, row in rows:
            variant = row.get(target)
            # One seed is shown without an interval, for want of room.
            cell = variant.cell(protocol, metric) if variant else Missing(NOT_RUN)
            ours.append(replace(cell, interval=None) if isinstance(cell, Number) else cell)
        (first,) = [row[target] for _, row in rows if target in row][:1]
        chance = single(protocol, metric).chance([first])
        result.append((Column(METRICS[metric], heading, numeric=True), [*ours, chance]))
        printed = [_printed(place, row, target, metric, figures) for place, row in rows]
        if any(isinstance(cell, Number) for cell in printed):
            title = f"published {METRICS[metric]}"
            result.append((Column(title, heading, numeric=True), [*printed, Missing("not published")]))
    return result


def _printed(place: Place, row: Mapping[str, Variant], target: str, metric: str, figures: Sequence[Figure]) -> Cell:
    """Return the first published figure of the row's method from its sources to a target."""
    method = next(iter(row.values())).method
    dataset = transfer(() if place[1] == (target,) else place[1], target)
    for figure in figures:
        wanted = (figure.dataset, figure.protocol, figure.metric) == (dataset, _protocol(target), metric)
        if wanted and method_key(figure.method) == method_key(method):
            source = f"{figure.place}{f': {figure.note}' if figure.note else ''}"
            return Number(figure.value, decimals=printed_decimals(figure.value), origin=source)
    return Missing("not published")


def _protocol(dataset: str) -> str:
    """Return the first default protocol of a dataset; that of three sensors where it is not installed."""
    card = dataset_card(dataset)
    return card.default_protocols[0] if card else "RNT-to-RNT"
