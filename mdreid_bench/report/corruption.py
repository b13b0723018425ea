"""Corrupted test images beside clean ones: what is lost, by family of corruptions, and by their level."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mdreid_bench.report import remarks
from mdreid_bench.report.groups import Group, group_records
from mdreid_bench.report.origin import made_in_words, origin
from mdreid_bench.report.printed import NO_FIGURE, printed_decimals
from mdreid_bench.report.quantities import METRICS, NOT_RUN
from mdreid_bench.report.table import Cell, Column, Missing, Number, Table
from mdreid_bench.report.variants import PERCENT, Variant, configuration, marked, ordered
from mdreid_bench.results.published import Figure, method_key
from mdreid_bench.results.schema import Record
from mdreid_bench.wording import counted
from protocols.corruption import FAMILIES, LEVELS, RANDOM, Corruption, family_of

SHOWN = {"mAP": METRICS["mAP"], "rank1": METRICS["rank1"], "mINP": "mINP"}
"""Field of :class:`~mdreid_bench.results.schema.Metrics` -> heading."""
NOTES = (
    "Loss: clean minus corrupted, in points, over the same seeds. A family is the mean over what was measured of it.",
    "Types and levels of CIL-ReID, before images are resized; blurs are harsh on small images. Training is clean.",
)
FIRST_DRAW = (
    "the published set has the first draw of the gallery alone, the clean figure is a mean over all; "
    "--corrupt random --corrupt-sensors R has all"
)
"""Why there is no loss where the two sides of it have different galleries."""
NOT_SAID = "the source does not say under which protocol"
Key = tuple[str, ...]
_SIDES = {"both": "both sides", "query": "queries", "gallery": "gallery"}


@dataclass(frozen=True)
class _Row:
    """One method under one protocol, with a corruption or with all of a family that was measured.

    Attributes:
        label: of the corruption.
        images: which of them are corrupted, in words.
        measured: type and level -> the repetitions of all seeds.
    """

    variant: Variant
    protocol: str
    label: str
    images: str
    measured: Mapping[str, Sequence[Record]]

    @property
    def records(self) -> list[Record]:
        """Those of the corrupted images."""
        return [record for found in self.measured.values() for record in found]

    @property
    def clean(self) -> list[Record]:
        """Those of the images as they are, of the same seeds."""
        made = {record.repetition for record in self.records}
        return [r for r in self.variant.records.get(self.protocol, ()) if r.repetition in made]

    @property
    def published(self) -> str:
        """The name of the published corrupted set; may be empty."""
        corruption = self.records[0].corruption
        return (corruption and corruption.published) or ""

    @property
    def repetitions(self) -> str:
        """What each figure is a mean over."""
        made = ordered(record.repetition for record in self.records)
        number = len({record.corruption.repetition for record in self.records if record.corruption})
        return f"{made_in_words(made)}, with {counted(number, 'repetition')} each"

    def cells(self, metric: str) -> list[Cell]:
        """Return the clean and the corrupted figure, and the loss."""
        after = _mean(self.measured.values(), metric)
        if not self.clean:
            return [Missing(NOT_RUN), after, Missing(NOT_RUN)]
        before = _mean([self.clean], metric)
        if self.published and self.clean[0].counts.trials > 1:
            return [before, after, Missing(FIRST_DRAW)]
        return [before, after, Number(before.value - after.value)]


def corruption_tables(records: Iterable[Record]) -> list[Table]:
    """Build the tables of :func:`group_tables` from any records, those of clean images among them."""
    return [table for group in group_records(records) for table in group_tables(group)]


def group_tables(group: Group, figures: Sequence[Figure] = ()) -> list[Table]:
    """Build the table of a group and, of methods that were measured at several levels, one to be drawn as curves.

    Args:
        group: without records of corrupted images there is no table.
        figures: published ones, of which those of corrupted sets are shown that were measured.
    """
    rows = _rows(group)
    return [_table(group, rows, figures), *_curves(group, rows)] if rows else []


def newest_corrupted(group: Group) -> dict[Key, dict[str, dict[tuple[str, int, int], Record]]]:
    """Return what to show: protocol, configuration and images -> type and level -> split, seed, repetition."""
    newest: dict[Key, dict[str, dict[tuple[str, int, int], Record]]] = {}
    for record in sorted(group.corrupted, key=lambda record: record.provenance.created):
        if record.corruption is not None:
            spec = record.corruption.spec
            key = (record.protocol, *configuration(record), images_of(spec))
            repetition = (*record.repetition, spec.repetition)
            newest.setdefault(key, {}).setdefault(spec.name, {})[repetition] = record
    return newest


def _rows(group: Group) -> list[_Row]:
    """Return a row for random types and one for each family, by protocol, method and the images corrupted."""
    newest = newest_corrupted(group)
    rows = []
    for protocol in dict.fromkeys(record.protocol for record in (*group.records, *group.corrupted)):
        for variant in group.variants:
            wanted = (protocol, *configuration(variant.example))
            for key, found in newest.items():
                if key[:-1] == wanted:
                    measured = {name: [each[own] for own in sorted(each)] for name, each in found.items()}
                    rows += [_Row(variant, protocol, label, key[-1], part) for label, part in _parts(measured)]
    return rows


def images_of(spec: Corruption) -> str:
    """Say which images are corrupted, and how they draw, but for type and level."""
    if spec.published:
        return f"{spec.published}{f', seed {spec.seed}' if spec.seed else ''}"
    parts = (
        _SIDES[spec.side],
        f"{spec.sensors} alone" if spec.sensors else "",
        "correlated" if spec.correlated else "",
        f"seed {spec.seed}" if spec.seed else "",
    )
    return ", ".join(part for part in parts if part)


def _parts(measured: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, Mapping[str, Sequence[Record]]]]:
    """Yield random types, then the families, each with what it is called."""
    if RANDOM in measured:
        yield RANDOM, {RANDOM: measured[RANDOM]}
    for family in FAMILIES:
        found = {name: records for name, records in measured.items() if family_of(name) == family}
        if len(found) == 1:
            yield f"{family}: {next(iter(found))}", found
        elif found:
            types = {name.partition("-")[0] for name in found}
            levels = sorted({name.partition("-")[2] for name in found})
            kinds = types.pop() if len(types) == 1 else f"{len(types)} types"
            whole = len(levels) > 2 and len(levels) == int(levels[-1]) - int(levels[0]) + 1
            told = f"{levels[0]}-{levels[-1]}" if whole else "/".join(levels)
            yield f"{family}: {kinds}, {'levels' if len(levels) > 1 else 'level'} {told}", found


def _mean(each: Iterable[Sequence[Record]], metric: str) -> Number:
    """Return the mean over types of the means over seeds and repetitions, in percent; the spread of a single type."""
    groups = [[PERCENT * float(getattr(record.metrics, metric)) for record in records] for records in each if records]
    records = [record for found in each for record in found]
    spread = statistics.stdev(groups[0]) if len(groups) == 1 and len(groups[0]) > 1 else None
    value = statistics.fmean(map(statistics.fmean, groups))
    return Number(value, spread=spread, origin=origin(records), records=tuple(records))


def _table(group: Group, rows: Sequence[_Row], figures: Sequence[Figure]) -> Table:
    """Build the table with a row for each of the rows, and one for each method that is published and was not run."""
    sets = {row.published.casefold(): row.published for row in rows if row.published}
    shown = [figure for figure in figures if figure.dataset in sets]
    body: list[tuple[Cell, ...]] = []
    for row in rows:
        name = row.published.casefold()
        own = [f for f in shown if (f.dataset, method_key(f.method)) == (name, _key(row))]
        body.append((row.protocol, row.variant.label, row.label, row.images, *_numbers(row, own, bool(shown))))
    run = {(row.published.casefold(), _key(row)) for row in rows}
    for name, method in dict.fromkeys((f.dataset, f.method) for f in shown):
        if (name, method_key(method)) not in run:
            own = [f for f in shown if (f.dataset, f.method) == (name, method)]
            body.append(
                (own[0].protocol or Missing(NOT_SAID), method, RANDOM, sets[name], *_numbers(None, own, True))
            )
    variants = list({row.variant.label: row.variant for row in rows}.values())
    measured = [marked(head, group.marks if shown else []) for head in ("clean", "corrupted")]
    heads = (*measured, "loss", *(["published"] if shown else []))
    return Table(
        title=f"Corrupted test images, {group.title}",
        caption=remarks.caption(variants),
        columns=(
            *map(Column, ("protocol", "method", "corruption", "images")),
            *(Column(head, title, numeric=True) for title in SHOWN.values() for head in heads),
        ),
        rows=tuple(body),
        footnotes=(*_footnotes(rows), *remarks.provenance(variants, list(dict.fromkeys(r.protocol for r in rows)))),
        rules=frozenset(i for i in range(1, len(body)) if body[i][0] != body[i - 1][0]),
    )


def _footnotes(rows: Sequence[_Row]) -> Iterator[str]:
    yield from NOTES
    told: dict[str, dict[str, None]] = {}
    for row in rows:
        told.setdefault(row.repetitions, {})[row.label] = None
    for over, labels in told.items():
        yield f"{'; '.join(labels)}: mean (± sample standard deviation) over {over}."


def _numbers(row: _Row | None, printed: Sequence[Figure], published: bool) -> list[Cell]:
    """Return the numbers of a row, and what is printed beside them where anything is."""
    cells: list[Cell] = []
    for metric in SHOWN:
        cells += [Missing(NOT_RUN)] * 3 if row is None else row.cells(metric)
        figure = next((figure for figure in printed if figure.metric == metric), None)
        if figure is not None:
            place = f"published in {figure.place}; {figure.source}"
            decimals = printed_decimals(figure.value)
            cells.append(Number(figure.value, decimals=decimals, note=figure.note, origin=place))
        elif published:
            cells.append(Missing(NO_FIGURE))
    return cells


def _key(row: _Row) -> str:
    return method_key(row.variant.method)


def _curves(group: Group, rows: Sequence[_Row]) -> Iterator[Table]:
    """Yield tables of mAP by level, with a column for each family, of what was measured at several levels."""
    parts: dict[tuple[str, str, str], list[_Row]] = {}
    for row in rows:
        if row.label != RANDOM:
            parts.setdefault((row.protocol, row.variant.label, row.images), []).append(row)
    for (protocol, method, images), found in parts.items():
        levels = [n for n in LEVELS if any(name.endswith(f"-{n}") for row in found for name in row.measured)]
        if len(levels) < 2:
            continue
        body: list[tuple[Cell, ...]] = []
        if all(row.clean for row in found):
            body.append(("clean", *(_mean([row.clean], "mAP") for row in found)))
        body += [(str(level), *(_at(row, level) for row in found)) for level in levels]
        yield Table(
            title=f"mAP by level of corruption, {method}, {protocol}, {images}, {group.title}",
            caption=remarks.caption([found[0].variant]),
            columns=(Column("level"), *(Column(row.label.partition(", level")[0], numeric=True) for row in found)),
            rows=tuple(body),
            footnotes=(NOTES[1], "Level 0 of the curve is the clean figure."),
            curve=tuple(map(float, ([0] if len(body) > len(levels) else []) + levels)),
            axis="level",
        )


def _at(row: _Row, level: int) -> Cell:
    """Return the mean over the types of a row that were measured at a level."""
    found = [records for name, records in row.measured.items() if name.endswith(f"-{level}")]
    return _mean(found, "mAP") if found else Missing(NOT_RUN)
