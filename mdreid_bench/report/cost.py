"""What methods cost: parameters, multiply-adds, extraction and retrieval time."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group, Locate
from mdreid_bench.report.origin import origin
from mdreid_bench.report.printed import NO_FIGURE, printed_decimals
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table
from mdreid_bench.report.variants import Variant
from mdreid_bench.results.published import Figure, method_key
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.place import read_sealed
from mdreid_bench.results.store import RunFolder
from protocols.modality import RNT

COUNTING = (
    "Ours counts every parameter used at inference, and the multiply-adds of one item with {images}, "
    "attention included, as they are done here: in the last block, not for tokens that nobody looks at. The papers "
    "count otherwise: the MDReID paper's figures fit a counter that sees convolutions and plain linear layers alone "
    "and leaves out attention, normalisation and embeddings of its own method, so published and measured costs are "
    "not to be subtracted."
)
TIMING = (
    "Extraction: the whole test set, reading images included. Scoring: one protocol, with ranking, metrics, chance "
    "and bootstrap interval; the papers time retrieval alone, on other hardware. Times are medians over all runs and "
    "protocols that were timed, with their sample standard deviation."
)
NOT_COUNTED = "not counted: there is no cost.json beside the run"
NOT_TIMED = "not timed: the embeddings were stored already when the records were made"
PAPER_SENSORS = RNT
"""Of all datasets for which costs are published."""
_TIMED_PROTOCOL = "RNT-to-RNT"


KINDS = {
    "parameters [M]": "parameters_millions",
    "multiply-adds [G]": "flops_billions",
    "extraction [s]": "extraction_seconds",
    "scoring [s]": "retrieval_seconds",
}
"""Heading of each kind of cost -> its name among the published figures."""


def cost_table(group: Group, figures: Sequence[Figure], folder: Locate) -> Table:
    """Build the table of costs of one group; ``folder`` gives the folder of the run that a record belongs to."""
    rows = []
    for variant in group.variants:
        records = [record for found in variant.records.values() for record in found]
        ours = [*_counted(records, folder), _timed(records, "extract"), _timed(records, "score")]
        printed = [printed_cost(figures, variant, group, kind) for kind in KINDS.values()]
        cells = [cell for pair in zip(printed, ours, strict=True) for cell in pair] if figures else ours
        rows.append((variant.label, *cells))
    columns = [
        Column(title, kind, numeric=True)
        for kind in KINDS
        for title in (("published", group.ours) if figures else (group.ours,))
    ]
    usual = group.sensors == PAPER_SENSORS
    images = "all three images" if usual else f"an image of each sensor ({', '.join(map(str, group.sensors))})"
    protocols = list(dict.fromkeys(protocol for variant in group.variants for protocol in variant.records))
    return Table(
        title=f"Cost, {group.title}",
        caption=remarks.caption(group.variants, unit=""),
        columns=(Column("method"), *columns),
        rows=tuple(rows),
        footnotes=(COUNTING.format(images=images), TIMING, *remarks.provenance(group.variants, protocols)),
    )


def _counted(records: Sequence[Record], folder: Locate) -> list[Cell]:
    """Return parameters in millions and multiply-adds in billions, from the first run that was counted."""
    for record in {record.run_key: record for record in records}.values():
        counts = read_counts(RunFolder(folder(record)).cost)
        if counts:
            return [_significant(counts[0] / 1e6, [record]), _significant(counts[1] / 1e9, [record])]
    return [Missing(NOT_COUNTED)] * 2


def read_counts(path: Path) -> tuple[float, float] | None:
    """Return parameters and multiply-adds; None when the file is absent, of another run, changed, or no such file."""
    try:
        content = read_sealed(path)
        counts = float(content["parameters"]), float(content["multiply_adds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return counts if all(0 <= count < math.inf for count in counts) else None


def _timed(records: Sequence[Record], phase: str) -> Cell:
    """Return the median seconds of a phase over all that were timed: once a run, or once a record."""
    timed = [r for r in records if phase in r.provenance.phase_seconds]
    if phase == "extract":
        timed = list({record.run_key: record for record in timed}.values())
    if not timed:
        return Missing(NOT_TIMED)
    seconds = [record.provenance.phase_seconds[phase] for record in timed]
    spread = statistics.stdev(seconds) if len(seconds) > 1 else None
    return _significant(statistics.median(seconds), timed, spread)


def _significant(value: float, records: Sequence[Record], spread: float | None = None) -> Number:
    """Return a number with three significant digits."""
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 1
    return Number(value, spread=spread, decimals=decimals, origin=origin(records), records=tuple(records))


def printed_cost(figures: Sequence[Figure], variant: Variant, group: Group, kind: str) -> Cell:
    """Return what the first paper prints; what others print for the same is said in the note."""
    found = [
        figure
        for figure in figures
        if group.sensors == PAPER_SENSORS
        and figure.metric == kind
        and figure.dataset in ("", group.dataset)
        and figure.protocol in ("", _TIMED_PROTOCOL)
        and method_key(figure.method) == method_key(variant.method)
    ]
    if not found:
        return Missing(NO_FIGURE)
    others = [f"{figure.value:g} in {figure.place}" for figure in found[1:] if figure.value != found[0].value]
    return Number(
        found[0].value,
        decimals=printed_decimals(found[0].value),
        note=f"{found[0].place}; {', '.join(others)}" if others else found[0].place,
        origin=f"published in {found[0].place}; {found[0].source}",
    )
