"""How far methods keep parts of an item apart: cosines of the parts before and after training, and the ideal."""

import statistics
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Locate, group_records
from mdreid_bench.report.origin import made_in_words, origin
from mdreid_bench.report.table import Cell, Column, Number, Table
from mdreid_bench.report.variants import PERCENT, Variant, group_variants, ordered
from mdreid_bench.results.decoupling import Matrix, PartSimilarities, distance
from mdreid_bench.results.schema import Record, Repetition
from mdreid_bench.results.store import RunFolder

BEFORE, AFTER, IDEAL = "before", "after", "ideal"


def decoupling_tables(records: Iterable[Record], folder: Locate, *, ideal: bool = True) -> list[Table]:
    """Build a table for each variant of a method that keeps parts apart: the mean over its seeds and splits.

    Args:
        records: of any kind; those of one run count once.
        folder: gives the folder of the run that a record belongs to.
        ideal: whether the ideal is shown too, which takes room.
    """
    runs = {record.run_key: record for record in records}
    tables = []
    for group in group_records(runs.values()):
        for variant in group_variants(group.records):
            measured = [
                (record, found)
                for records_of in variant.records.values()
                for record in records_of
                if (found := PartSimilarities.read(RunFolder(folder(record)).decoupling)) and found.after
            ]
            if measured:
                tables.append(_table(f"Decoupling of {variant.label}, {group.title}", variant, measured, ideal))
    return tables


def _table(title: str, variant: Variant, measured: Sequence[tuple[Record, PartSimilarities]], ideal: bool) -> Table:
    """Show the matrices of one variant side by side; of the seeds with the parts of the first."""
    first = measured[0][1]
    alike = [(record, found) for record, found in measured if found.names == first.names]
    stages: dict[str, list[Matrix]] = {
        BEFORE: [found.before for _, found in alike if found.before],
        AFTER: [found.after for _, found in alike if found.after],
        IDEAL: [first.ideal] if ideal else [],
    }
    shown = {stage: PERCENT * np.mean(matrices, axis=0) for stage, matrices in stages.items() if matrices}
    records = tuple(record for record, _ in alike)
    number = partial(Number, decimals=0, origin=origin(records), records=records)
    rows: list[tuple[Cell, ...]] = []
    for place, name in enumerate(first.names):
        cells = [number(float(value)) for m in shown.values() for value in m[place]]
        rows.append((f"{place + 1} {name}", *cells))
    numbers = range(1, len(first.names) + 1)
    return Table(
        title=title,
        caption=_caption(variant, ordered(record.repetition for record, _ in alike), first, stages),
        columns=(Column("part"), *(Column(str(n), stage, numeric=True) for stage in shown for n in numbers)),
        rows=tuple(rows),
        matrices=True,
    )


def _caption(
    variant: Variant, made: Sequence[Repetition], first: PartSimilarities, stages: dict[str, list[Matrix]]
) -> str:
    far = {stage: [distance(matrix, first.ideal) for matrix in stages[stage]] for stage in (BEFORE, AFTER)}
    told = ", ".join(f"{_mean(values)} {stage} training" for stage, values in far.items() if values)
    equal = distance(np.ones_like(first.ideal), first.ideal)
    over = f" and {made_in_words(made)}" if len(made) > 1 else ""
    unit = (
        f"Cosines between the parts of one item, times 100: means over {first.items} test items{over}. "
        f"Distance to the ideal, the mean of the squared differences: {told}; equal parts have {equal:.3f}."
    )
    return remarks.caption([variant], unit)


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"
