"""What a whole grid comes to: plain means over its protocols, and a harmonic mean over pairs of single sensors."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from mdreid_bench.errors import DataError
from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group, Locate
from mdreid_bench.report.quantities import CHANCE, METRICS, Quantity, average, harmonic
from mdreid_bench.report.table import Cell, Column, Number, Table, emphasise
from mdreid_bench.report.variants import PERCENT, Variant, by_seeds
from mdreid_bench.results.store import RunFolder, read_values
from protocols.bootstrap import joint_interval
from protocols.modality import Modality
from protocols.protocol import Protocol, protocols_of

NOTE = (
    "Harmonic mean: of the pairs of two different single sensors and of all sensors on both sides, as UPCL (NeurIPS "
    "2025) reports it; taken seed by seed, and 0 where one of them is 0."
)
_Of = Callable[[str], Quantity]


def summary_tables(group: Group, folder: Locate) -> list[Table]:
    """Build the table of means over the grid of a group; none where no method ran under all protocols of a mean.

    Args:
        folder: gives the folder of the run that a record belongs to, for the intervals of single seeds.
    """
    means = _means(group.sensors)
    protocols = [str(protocol) for protocol in protocols_of(group.sensors)]
    variants = list(by_seeds(group.variants, protocols))
    if not any(isinstance(of(group.main_metrics[0]).measured(v), Number) for of in means.values() for v in variants):
        return []
    known = [variant for variant in variants if variant.records.keys() & set(protocols)]
    rows: list[tuple[Cell, ...]] = []
    for label, of in means.items():
        columns = [[_measured(of(metric), v, folder) for v in known] for metric in group.main_metrics]
        body = [cell for cells in zip(*map(emphasise, columns), strict=True) for cell in cells]
        rows.append((label, *body, *(of(metric).chance(known) for metric in group.main_metrics)))
    headings = (*(variant.label for variant in known), CHANCE)
    return [
        Table(
            title=f"Means over the grid, {group.title}",
            caption=remarks.caption(known),
            columns=(
                Column("mean"),
                *(
                    Column(METRICS[metric], heading, numeric=True)
                    for heading in headings
                    for metric in group.main_metrics
                ),
            ),
            rows=tuple(rows),
            footnotes=(
                NOTE,
                *remarks.interval_notes(rows),
                *remarks.footnotes(known, protocols),
                *remarks.provenance(known, protocols),
            ),
        )
    ]


def harmonic_protocols(sensors: Modality) -> tuple[str, ...]:
    """Return what the harmonic mean is of: R-to-N, R-to-T, N-to-R, ... and all sensors on both sides."""
    pairs = [Protocol(query, gallery) for query in sensors for gallery in sensors if query != gallery]
    return tuple(map(str, (*pairs, Protocol(sensors, sensors))))


def _means(sensors: Modality) -> dict[str, _Of]:
    """Return what makes the mean of each row of a metric; there are none over a single protocol."""
    every = protocols_of(sensors)
    groups = {
        "all": every,
        "matched": tuple(protocol for protocol in every if protocol.matched),
        "mismatched": tuple(protocol for protocol in every if not protocol.matched),
    }
    found: dict[str, _Of] = {
        f"mean of {len(protocols)} ({name})": partial(average, name, tuple(map(str, protocols)))
        for name, protocols in groups.items()
        if len(protocols) > 1
    }
    if len(sensors) > 1:
        chosen = harmonic_protocols(sensors)
        found[f"harmonic mean of {len(chosen)}"] = partial(harmonic, chosen)
    return found


def _measured(quantity: Quantity, variant: Variant, folder: Locate) -> Cell:
    """Return what a variant reaches; mAP of a single seed with its interval, where per-query values are there."""
    cell = quantity.measured(variant)
    if not isinstance(cell, Number) or cell.spread is not None or quantity.metric != "mAP":
        return cell
    records = [variant.records[protocol][0] for protocol in quantity.protocols]
    parts = []
    try:
        for record in records:
            found = read_values(RunFolder(folder(record)).scope(record.limit).path_of(record), record)
            parts.append((found.by_query(found.metrics.ap), found.identities[found.first]))
    except DataError:
        return cell
    low, high = joint_interval(parts, quantity.over)
    return replace(cell, interval=(PERCENT * low, PERCENT * high))
