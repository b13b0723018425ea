"""A table as an object: what is shown, apart from how it is drawn."""

import enum
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mdreid_bench.results.schema import Record

USUAL_DECIMALS = 1


class Emphasis(enum.Enum):
    """How a number stands out among those it is compared with."""

    NONE = enum.auto()
    BEST = enum.auto()
    SECOND = enum.auto()


@dataclass(frozen=True)
class Number:
    """A measured value, kept unrounded.

    Attributes:
        value: in the unit of its column.
        interval: 95 % interval (low, high), same unit.
        spread: standard deviation over seeds, same unit.
        decimals: digits shown after the point; None for the usual, which a reader may choose.
        emphasis: set by :func:`emphasise`.
        rivals: values that it was ranked among, its own included; set with it.
        note: what must be known to read the number; renderers mark it and give the note below the table.
        origin: where the number comes from, for renderers that can show it on demand.
        records: what it was measured from, for those that can show each.
        metric: field of its records; empty without them.
        signed: show a plus before positive values.
        ranked: whether it competes; a floor or a check is never marked as best or second.
        letters: two numbers of a column that share one cannot be told apart; empty where that was not tested.
    """

    value: float
    interval: tuple[float, float] | None = None
    spread: float | None = None
    decimals: int | None = None
    emphasis: Emphasis = Emphasis.NONE
    rivals: tuple[float, ...] = field(default=(), compare=False, repr=False)
    note: str = ""
    origin: str = ""
    records: tuple[Record, ...] = field(default=(), compare=False, repr=False)
    metric: str = field(default="", compare=False, repr=False)
    signed: bool = False
    ranked: bool = True
    letters: str = ""

    @property
    def _places(self) -> int:
        return USUAL_DECIMALS if self.decimals is None else self.decimals

    @property
    def text(self) -> str:
        """The value as shown, without interval and spread."""
        text = f"{self.value:{'+' if self.signed else ''}.{self._places}f}"
        return text[1:] if text[0] in "+-" and not float(text) else text

    @property
    def suffix(self) -> str:
        """Spread, interval and letters as shown after the value, each with a space before it; may be empty."""
        parts = []
        if self.spread is not None:
            parts.append(f" ± {self.spread:.{self._places}f}")
        if self.interval is not None:
            low, high = self.interval
            parts.append(f" [{low:.{self._places}f}, {high:.{self._places}f}]")
        parts += [f" {self.letters}"] if self.letters else []
        return "".join(parts)


@dataclass(frozen=True)
class Missing:
    """A cell without a value; renderers draw a dash and give the reason below the table."""

    reason: str


@dataclass(frozen=True)
class Label:
    """Text with a note, which renderers mark like that of a number."""

    text: str
    note: str


Cell = str | Label | Number | Missing


@dataclass(frozen=True)
class Column:
    """Heading of a column.

    Attributes:
        group: heading shared with the columns beside it; may be empty.
        numeric: aligned right.
        wide: holds text long enough to be broken over lines.
    """

    title: str
    group: str = ""
    numeric: bool = False
    wide: bool = False

    @property
    def heading(self) -> str:
        """The heading on one line."""
        return f"{self.group} {self.title}".strip()


@dataclass(frozen=True)
class Table:
    """Title, caption, headings, rows of as many cells, and notes.

    Attributes:
        rules: indices of the rows that a line sets off from the row above.
        shaded: the numbers are percentages to be shaded by their value, as a heat map.
        matrices: each group of columns is a square of cosines times 100, to be drawn beside the others.
        curve: where the table is drawn as a curve too, the place of each of its first rows on the axis.
        axis: what that axis shows.
        log: the axis is logarithmic.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    footnotes: tuple[str, ...] = ()
    rules: frozenset[int] = field(default_factory=frozenset)
    shaded: bool = False
    matrices: bool = False
    curve: tuple[float, ...] = ()
    axis: str = "weight"
    log: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells, the table {len(self.columns)} columns")

    def column_groups(self) -> list[tuple[str, int]]:
        """Return the headings that columns share, each with the number of its columns; empty where there are none."""
        groups = itertools.groupby(column.group for column in self.columns)
        found = [(name, len(list(members))) for name, members in groups]
        return found if any(name for name, _ in found) else []

    def marks(self) -> dict[str, str]:
        """Return text -> marker (``a``, ``b``, ...) for what the cells refer to below the table, in reading order.

        The texts are the reasons of missing cells and the notes of the others.
        """
        texts = dict.fromkeys(remark(cell) for row in self.rows for cell in row)
        texts.pop("", None)
        return dict(zip(texts, _markers(), strict=False))

    def notes(self) -> list[str]:
        """Return what stands below the table: the texts behind the markers, then the footnotes."""
        return [f"({marker}) {text}" for text, marker in self.marks().items()] + list(self.footnotes)


def without_empty_columns(table: Table) -> Table:
    """Leave out the columns of numbers that hold only dashes, and say why below the table.

    A table of nothing but dashes stays as it is: it says why there is nothing.
    """
    cells = list(zip(*table.rows, strict=True))
    empty = [
        place
        for place, column in enumerate(table.columns)
        if column.numeric and all(isinstance(cell, Missing) or cell == "" for cell in cells[place])
    ]
    kept = [place for place in range(len(table.columns)) if place not in empty]
    if not empty or not any(table.columns[place].numeric for place in kept):
        return table
    reasons: dict[str, list[str]] = {}
    for place in empty:
        told = dict.fromkeys(cell.reason for cell in cells[place] if isinstance(cell, Missing))
        reasons.setdefault("; ".join(told), []).append(table.columns[place].heading)
    notes = [f"No column {', '.join(headings)} ({reason})." for reason, headings in reasons.items()]
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        footnotes=(*table.footnotes, *notes),
    )


def shown(cell: Cell) -> str:
    """Return the text of a cell, without its mark and without spread and interval; a dash where there is no value."""
    if isinstance(cell, Missing):
        return "\N{EM DASH}"
    return cell if isinstance(cell, str) else cell.text


def remark(cell: Cell) -> str:
    """Return what a cell refers to below the table: the reason why it is missing, or its note; may be empty."""
    if isinstance(cell, Missing):
        return cell.reason
    return "" if isinstance(cell, str) else cell.note


def emphasise(cells: Sequence[Cell]) -> list[Cell]:
    """Mark the best number and the second best, where larger is better.

    Numbers that are shown alike are tied, and ties are marked alike. A number without another to compare it with
    stays unmarked.
    """
    rivals = tuple(cell.value for cell in cells if isinstance(cell, Number) and cell.ranked)
    if len(rivals) < 2:
        return list(cells)
    return [ranked_among(cell, rivals) if isinstance(cell, Number) and cell.ranked else cell for cell in cells]


def ranked_among(number: Number, rivals: tuple[float, ...]) -> Number:
    """Return a number with the mark that it deserves among these values, shown with as many digits as it."""
    ranking = sorted({float(replace(number, value=value).text) for value in rivals}, reverse=True)
    marks = dict(zip(ranking, (Emphasis.BEST, Emphasis.SECOND), strict=False))
    return replace(number, rivals=rivals, emphasis=marks.get(float(number.text), Emphasis.NONE))


def _markers() -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from letters
    yield from (first + second for first in letters for second in letters)
