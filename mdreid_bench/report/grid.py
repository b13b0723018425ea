"""Every protocol of one method as a grid, 7 x 7 of three sensors, to be drawn as a heat map."""

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.quantities import METRICS, single
from mdreid_bench.report.table import Column, Table
from mdreid_bench.report.variants import Variant, by_seeds
from protocols.modality import subsets
from protocols.protocol import Protocol, protocols_of


def grid_tables(group: Group) -> list[Table]:
    """Build a grid for each method that was measured under more protocols than a row has: a row would say as much."""
    return [_grid(group, variant, metric) for variant in grid_variants(group)[0] for metric in group.main_metric]


def grid_variants(group: Group) -> tuple[list[Variant], list[Variant]]:
    """Return the rows of methods that have a grid, and those that have none."""
    names = {str(protocol): None for protocol in protocols_of(group.sensors)}
    split: tuple[list[Variant], list[Variant]] = [], []
    for variant in by_seeds(group.variants, list(names)):
        split[len(variant.records.keys() & names.keys()) <= len(subsets(group.sensors))].append(variant)
    return split


def _grid(group: Group, variant: Variant, metric: str) -> Table:
    """Put the query's sensors in rows, the gallery's in columns."""
    sides = subsets(group.sensors)
    rows = [
        (str(query), *(single(str(Protocol(query, gallery)), metric).measured(variant) for gallery in sides))
        for query in sides
    ]
    protocols = [str(protocol) for protocol in protocols_of(group.sensors)]
    return Table(
        title=f"Heat map of {variant.label} ({METRICS[metric]}), {group.title}",
        caption=f"{remarks.caption([variant])} Rows: sensors of the query; columns: sensors of the gallery.",
        columns=(
            Column("query"),
            *(Column(str(gallery), "gallery", numeric=True) for gallery in sides),
        ),
        rows=tuple(rows),
        footnotes=(
            *remarks.interval_notes(rows),
            *remarks.footnotes([variant], protocols),
            *remarks.provenance([variant], protocols),
        ),
        shaded=True,
    )
