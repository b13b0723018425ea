"""One short table over several datasets: the mAP of every method under the protocols of the suite ``overview``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.quantities import CHANCE, METRICS, NOT_RUN, single
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table, emphasise
from mdreid_bench.report.titles import dataset_title
from mdreid_bench.report.variants import Variant, by_seeds, marked
from protocols.suites import suite

NAME = "overview"


def overview_tables(groups: Sequence[Group]) -> list[Table]:
    """Build a table of all datasets whose numbers are of one kind: real or synthetic, of one limit and form."""
    kinds: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        kinds.setdefault(tuple(group.marks), []).append(group)
    return [
        table
        for alike in kinds.values()
        for metric in alike[0].main_metric
        if (table := _table(alike, metric)) is not None
    ]


def _table(groups: Sequence[Group], metric: str) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    rules, data, notes = set(), dict[str, None](), dict[str, dict[str, None]]()
    protocols = [str(protocol) for protocol in suite(NAME)]
    for group in groups:
        variants = [v for v in by_seeds(group.variants, protocols) if v.records.keys() & protocols]
        if variants:
            rules.add(len(rows))
            rows += _rows(group, sorted(variants, key=_place), protocols, metric)
            data |= {remarks.caption(variants, ""): None}
            for note in remarks.footnotes(variants, protocols):
                notes.setdefault(note, {})[dataset_title(group.example.dataset)] = None
    if not rows:
        return None
    shown = [variant for group in groups for variant in group.variants]
    synthetic = groups[0].example.data_kind == "synthetic"
    return Table(
        title=marked("Overview" if metric == "mAP" else f"Overview, {METRICS[metric]}", groups[0].marks),
        caption=f"{METRICS[metric]} in %, measured on {'SYNTHETIC' if synthetic else 'real'} images.",
        columns=(Column("dataset"), Column("method"), *(Column(name, numeric=True) for name in protocols)),
        rows=tuple(rows),
        footnotes=(*data, *_of_datasets(notes, len(data)), *remarks.provenance(shown, protocols)),
        rules=frozenset(rules - {0}),
    )


def _of_datasets(notes: Mapping[str, Iterable[str]], datasets: int) -> Iterator[str]:
    """Yield the notes, those of some datasets alone with their titles."""
    for note, titles in notes.items():
        yield note if len(named := [*titles]) == datasets else f"{', '.join(named)}: {note}"


def _rows(group: Group, variants: Sequence[Variant], protocols: Sequence[str], metric: str) -> list[tuple[Cell, ...]]:
    """Return a row for each method and one for chance; one seed is shown without an interval, for want of room."""
    columns: list[list[Cell]] = []
    for name in protocols:
        there = [variant for variant in variants if name in variant.records]
        cells = [v.cell(name, metric) if v in there else Missing(NOT_RUN) for v in variants]
        found = [replace(cell, interval=None) if isinstance(cell, Number) else cell for cell in cells]
        chance = single(name, metric).chance(there) if there else Missing(NOT_RUN)
        columns.append([*emphasise(found), chance])
    labels = [*(variant.label for variant in variants), CHANCE]
    return [(group.title, label, *cells) for label, cells in zip(labels, zip(*columns, strict=True), strict=True)]


def _place(variant: Variant) -> bool:
    """Put methods that were not trained behind the others."""
    return variant.example.selection == "none"
