"""All 49 protocols of one method: the 7 x 7 grid, to be drawn as a heat map."""

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.quantities import single
from mdreid_bench.report.table import Column, Table
from mdreid_bench.report.variants import Variant
from protocols.modality import SUBSETS
from protocols.protocol import ALL_PROTOCOLS, Protocol

METRIC = "mAP"
LEAST_CELLS = 8
"""A method measured under fewer protocols gets no grid: a row of it would say as much."""


def grid_tables(group: Group) -> list[Table]:
    """Build a grid for each method that was measured under enough protocols."""
    return [_grid(group, variant) for variant in group.variants if has_grid(variant)]


def has_grid(variant: Variant) -> bool:
    """Tell whether a method was measured under enough protocols."""
    return sum(str(protocol) in variant.records for protocol in ALL_PROTOCOLS) >= LEAST_CELLS


def _grid(group: Group, variant: Variant) -> Table:
    """Put the query's sensors in rows, the gallery's in columns."""
    rows = [
        (str(query), *(single(str(Protocol(query, gallery)), METRIC).measured(variant) for gallery in SUBSETS))
        for query in SUBSETS
    ]
    protocols = [str(protocol) for protocol in ALL_PROTOCOLS]
    return Table(
        title=f"Heat map of {variant.label} ({METRIC}), {group.title}",
        caption=f"{remarks.caption([variant])} Rows: sensors of the query; columns: sensors of the gallery.",
        columns=(
            Column("query"),
            *(Column(str(gallery), "gallery", numeric=True) for gallery in SUBSETS),
        ),
        rows=tuple(rows),
        footnotes=(
            *remarks.interval_notes(rows),
            *remarks.footnotes([variant], protocols),
            *remarks.provenance([variant], protocols),
        ),
        shaded=True,
    )
