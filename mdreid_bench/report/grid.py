"""Every protocol of one method as a grid, 7 x 7 of three sensors, to be drawn as a heat map."""

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.quantities import single
from mdreid_bench.report.table import Column, Table
from mdreid_bench.report.variants import Variant
from protocols.modality import Modality, subsets
from protocols.protocol import Protocol, protocols_of

METRIC = "mAP"


def grid_tables(group: Group) -> list[Table]:
    """Build a grid for each method that was measured under enough protocols."""
    return [_grid(group, variant) for variant in group.variants if has_grid(variant, group.sensors)]


def has_grid(variant: Variant, sensors: Modality) -> bool:
    """Tell whether a method was measured under more protocols than a row of the grid has: a row would say as much."""
    return sum(str(protocol) in variant.records for protocol in protocols_of(sensors)) > len(subsets(sensors))


def _grid(group: Group, variant: Variant) -> Table:
    """Put the query's sensors in rows, the gallery's in columns."""
    sides = subsets(group.sensors)
    rows = [
        (str(query), *(single(str(Protocol(query, gallery)), METRIC).measured(variant) for gallery in sides))
        for query in sides
    ]
    protocols = [str(protocol) for protocol in protocols_of(group.sensors)]
    return Table(
        title=f"Heat map of {variant.label} ({METRIC}), {group.title}",
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
