"""What distractors leave of mAP and Rank-1: tables by the size of the gallery, drawn as a curve for each method."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group
from mdreid_bench.report.origin import made_in_words, origin
from mdreid_bench.report.quantities import CHANCE, METRICS
from mdreid_bench.report.table import Cell, Column, Number, Table, emphasise
from mdreid_bench.report.variants import PERCENT, Variant, ordered
from mdreid_bench.results.distractors import Distractors, GallerySize
from mdreid_bench.results.schema import Record
from mdreid_bench.wording import listed

NAME = "distractors"
FIGURES = {"mAP": ("interval", "chance"), "rank1": ("rank1_interval", "rank1_chance")}
"""Field of :class:`~mdreid_bench.results.distractors.GallerySize` -> its interval and its chance."""
SEEN = "Distractors are training items of the dataset itself: trained methods have seen them."


@dataclass(frozen=True)
class _Line:
    """One method under one protocol with the distractors of one source: the repetitions that have them."""

    variant: Variant
    protocol: str
    records: Sequence[Record]
    found: Sequence[Distractors]

    @property
    def key(self) -> tuple[object, ...]:
        """What lines of one table share."""
        first = self.found[0]
        return self.protocol, first.source, first.kind, first.seed, tuple(one.distractors for one in first.sizes)

    def number(self, place: int, metric: str) -> Number:
        """Return a figure at a size: the mean and the spread over the repetitions, of one with its interval."""
        sizes = [one.sizes[place] for one in self.found]
        values = [PERCENT * float(getattr(size, metric)) for size in sizes]
        low, high = (PERCENT * bound for bound in getattr(sizes[0], FIGURES[metric][0]))
        return Number(
            statistics.fmean(values),
            spread=statistics.stdev(values) if len(values) > 1 else None,
            interval=(low, high) if len(values) == 1 else None,
            origin=origin(self.records),
            records=tuple(self.records),
            ranked=self.variant.ranked,
        )


def distractor_tables(group: Group) -> list[Table]:
    """Build tables of mAP and of Rank-1 for each protocol and source of distractors; none where nothing is stored."""
    lines = sorted(_lines(group), key=lambda line: str(line.key[1:4]))
    lines.sort(key=lambda line: [r.protocol for r in group.records].index(line.protocol))
    tables = []
    for _, found in groupby(lines, key=lambda line: line.key):
        alike = list(found)
        tables += [_table(group, alike, metric) for metric in FIGURES]
    return tables


def _lines(group: Group) -> Iterator[_Line]:
    """Yield the lines; what repetitions have of different sources, seeds or sizes is never averaged."""
    for protocol in dict.fromkeys(record.protocol for record in group.records):
        for variant in group.variants:
            apart: dict[tuple[object, ...], _Line] = {}
            for record in variant.repetitions(protocol):
                for one in record.distractors:
                    line = _Line(variant, protocol, [record], [one])
                    before = apart.get(line.key)
                    if before is not None:
                        line = _Line(variant, protocol, [*before.records, record], [*before.found, one])
                    apart[line.key] = line
            yield from apart.values()


def _table(group: Group, lines: Sequence[_Line], metric: str) -> Table:
    first = lines[0].found[0]
    body: list[tuple[Cell, ...]] = []
    for place, size in enumerate(first.sizes):
        cells = emphasise([line.number(place, metric) for line in lines])
        body.append((f"{size.distractors:,}", f"{size.gallery:,}", *cells, _chance(size, metric)))
    protocol, variants = lines[0].protocol, [line.variant for line in lines]
    return Table(
        title=f"{METRICS[metric]} with distractors: {_source(first)}, {protocol}, {group.title}",
        caption=remarks.caption(variants),
        columns=(
            Column("distractors"),
            Column("gallery"),
            *(Column(line.variant.label, numeric=True) for line in lines),
            Column(CHANCE, numeric=True),
        ),
        rows=tuple(body),
        footnotes=(*_notes(lines), *remarks.provenance(variants, [protocol])),
        curve=tuple(float(size.gallery) for size in first.sizes),
        axis="items in the gallery",
        log=True,
    )


def _chance(size: GallerySize, metric: str) -> Number:
    value = PERCENT * float(getattr(size, FIGURES[metric][1]))
    return Number(value, decimals=2, origin="expectation over random orders of the same gallery", ranked=False)


def _source(found: Distractors) -> str:
    """Say in a title what distractors are."""
    what = {"dataset": "test items of {}", "images": "images in {}", "vectors": "vectors in {}"}
    return what.get(found.kind, "training items of {}").format(found.source)


def _notes(lines: Sequence[_Line]) -> Iterator[str]:
    first = lines[0].found[0]
    seeded = f", with seed {first.seed}" if first.seed else ""
    yield f"Nested random subsets of the distractors{seeded}; every query sees all of them (docs/distractors.md)."
    if first.kind == "training items":
        yield SEEN
    told: dict[str, list[str]] = {}
    for line in lines:
        if len(line.found) > 1:
            over = made_in_words(ordered(record.repetition for record in line.records))
            told.setdefault(over, []).append(line.variant.label)
    for over, labels in told.items():
        yield f"{listed(labels)}: mean ± sample standard deviation over {over}."
    if any(len(line.found) == 1 for line in lines):
        yield remarks.INTERVAL_NOTE
