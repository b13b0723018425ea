"""Open-set identification: who is found at how many false alarms, as a table and as curves of DIR against FAR."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mdreid_bench.report import remarks
from mdreid_bench.report.figures.cmc import drawn_protocols
from mdreid_bench.report.groups import Group
from mdreid_bench.report.origin import made_in_words, origin
from mdreid_bench.report.quantities import CHANCE
from mdreid_bench.report.table import Cell, Column, Number, Table, emphasise
from mdreid_bench.report.variants import PERCENT, Variant, ordered
from mdreid_bench.results.open_set import OpenSet
from mdreid_bench.results.schema import Record
from mdreid_bench.wording import listed

NAME = "open-set"
SHOWN_FARS, DIR_RANKS, FNIR_RANK = (0.01, 0.1), (1, 10), 20
"""What the table shows of what is stored; the curves show all targets at the first rank."""
_FEW = 6
"""Most protocols that have a curve each, whichever they are."""
_FLOOR = "expectation over independent random scores"


@dataclass(frozen=True)
class _Row:
    """One method under one protocol: the records of all seeds and splits of the data, with their open sets."""

    variant: Variant
    protocol: str
    records: Sequence[Record]

    @property
    def found(self) -> list[OpenSet]:
        return [record.open_set for record in self.records if record.open_set is not None]

    def number(self, rank: int, far: float, *, missed: bool = False) -> Number:
        """Return DIR, or FNIR: the mean and the standard deviation over all splits of all repetitions."""
        means = [PERCENT * one.at("mean", rank, far) for one in self.found]
        inner = [(one.splits, PERCENT * one.at("spread", rank, far)) for one in self.found]
        mean, total = statistics.fmean(means), sum(splits for splits, _ in inner)
        squares = sum((n - 1) * sd**2 + n * (own - mean) ** 2 for (n, sd), own in zip(inner, means, strict=True))
        few = min(one.strangers[0] for one in self.found)
        note = f"{few} non-mated probes allow fewer than one false alarm" if few * far < 1 else ""
        return Number(
            PERCENT - mean if missed else mean,
            spread=(squares / (total - 1)) ** 0.5,
            origin=origin(self.records),
            records=tuple(self.records),
            note=note,
            ranked=self.variant.ranked and not missed,
        )

    def chance(self, rank: int, far: float, *, missed: bool = False) -> Number:
        """Return what random scores reach."""
        value = PERCENT * statistics.fmean(one.at("chance", rank, far) for one in self.found)
        return Number(PERCENT - value if missed else value, decimals=2, origin=_FLOOR, ranked=False)

    @property
    def over(self) -> str:
        """What each figure is a mean over."""
        made = ordered(record.repetition for record in self.records)
        return f"{self.found[0].splits} splits of {made_in_words(made)}"


def open_set_tables(group: Group) -> list[Table]:
    """Build the table of a group and a curve for each protocol that is drawn; none where nothing is stored."""
    rows = _rows(group)
    if not rows:
        return []
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    drawn = protocols if len(protocols) <= _FEW else list(map(str, drawn_protocols(group.sensors)))
    curves = [_curve(group, [row for row in rows if row.protocol == name]) for name in drawn if name in protocols]
    return [_table(group, rows, protocols), *curves]


def _rows(group: Group) -> list[_Row]:
    """Return the rows by protocol; of a method, those repetitions that were measured alike."""
    rows = []
    for protocol in dict.fromkeys(record.protocol for record in group.records):
        for variant in group.variants:
            records = [record for record in variant.repetitions(protocol) if record.open_set is not None]
            if records:
                rows.append(_Row(variant, protocol, records))
    return rows


def _table(group: Group, rows: Sequence[_Row], protocols: Sequence[str]) -> Table:
    body: list[tuple[Cell, ...]] = []
    rules = set()
    for protocol in protocols:
        rules.add(len(body))
        own = [row for row in rows if row.protocol == protocol]
        columns = [emphasise([row.number(rank, far) for row in own]) for rank in DIR_RANKS for far in SHOWN_FARS]
        columns += [[row.number(FNIR_RANK, far, missed=True) for row in own] for far in SHOWN_FARS]
        for row, cells in zip(own, zip(*columns, strict=True), strict=True):
            body.append((protocol, row.variant.label, *cells, _extent(row, "mated"), _extent(row, "strangers")))
        floor = [own[0].chance(rank, far) for rank in DIR_RANKS for far in SHOWN_FARS]
        floor += [own[0].chance(FNIR_RANK, far, missed=True) for far in SHOWN_FARS]
        body.append((protocol, CHANCE, *floor, "", ""))
    rates = [(f"FAR {far:.0%}", f"DIR at rank {rank}") for rank in DIR_RANKS for far in SHOWN_FARS]
    rates += [(f"FPIR {far:.0%}", f"FNIR at rank {FNIR_RANK}") for far in SHOWN_FARS]
    rates += [(name, "probes") for name in ("mated", "non-mated")]
    variants = list({row.variant.label: row.variant for row in rows}.values())
    return Table(
        title=f"Open set, {group.title}",
        caption=remarks.caption(variants),
        columns=(
            *map(Column, ("protocol", "method")),
            *(Column(*heading, numeric=True) for heading in rates),
        ),
        rows=tuple(body),
        footnotes=(*_notes(rows), *remarks.provenance(variants, protocols)),
        rules=frozenset(rules - {0}),
    )


def _extent(row: _Row, name: str) -> str:
    """Return the fewest and the most probes of a split."""
    extents = [getattr(one, name) for one in row.found]
    low, high = min(low for low, _ in extents), max(high for _, high in extents)
    return str(low) if low == high else f"{low}-{high}"


def _notes(rows: Sequence[_Row]) -> list[str]:
    share = rows[0].found[0].share
    told: dict[str, dict[str, None]] = {}
    for row in rows:
        told.setdefault(row.over, {})[row.variant.label] = None
    return [
        f"{share:.0%} of the identities are enrolled; the gallery items of the others are taken out "
        "(docs/open-set.md). FNIR: smaller is better.",
        *(f"{listed(list(names))}: mean ± sample standard deviation over {over}." for over, names in told.items()),
    ]


def _curve(group: Group, rows: Sequence[_Row]) -> Table:
    """Return DIR against FAR under one protocol, a column for each method."""
    targets, rank = rows[0].found[0].far, DIR_RANKS[0]
    body: list[tuple[Cell, ...]] = [
        (f"{far:.1%}", *(row.number(rank, far) for row in rows), rows[0].chance(rank, far)) for far in targets
    ]
    return Table(
        title=f"DIR at rank {rank} against FAR, {rows[0].protocol}, {group.title}",
        caption=remarks.caption([row.variant for row in rows]),
        columns=(
            Column("FAR", numeric=False),
            *(Column(row.variant.label, numeric=True) for row in rows),
            Column(CHANCE, numeric=True),
        ),
        rows=tuple(body),
        footnotes=("A FAR of 100 % has no threshold: that is Rank-1 among the enrolled identities.",),
        curve=tuple(PERCENT * far for far in targets),
        axis="FAR [%]",
        log=True,
    )
