"""How a table finds room on a terminal: nothing in it is cut or broken within a number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len

from mdreid_bench.report.table import Cell, Number, Table, remark, shown
from mdreid_bench.wording import printable

GAP = 3
"""Columns of text between two columns of a table."""
WORD = 24
"""Longest word that a column of text keeps whole where the room is short; longer ones, such as paths, are broken."""


@dataclass(frozen=True)
class Fitted:
    """A table, or a part of one, and the columns of text that each of its columns takes."""

    table: Table
    widths: tuple[int, ...]


def fit(table: Table, room: int | None) -> list[Fitted]:
    """Lay a table out in ``room`` columns of text, or in as many as it needs.

    Where the room is short, text wraps between words; then spread and interval are left out; then the table is taken
    apart between groups of columns, each part with the leading columns of text. Notes below say so.
    """
    needed = _natural(table)
    if room is None or _total(needed) <= room:
        return [Fitted(table, needed)]
    if _total(_least(table)) <= room:
        return [Fitted(table, _shared(table, room))]
    plain = _without_spread(table)
    if plain != table:
        note = f"Spread and interval are left out for want of room; a width of {_total(_least(table))} shows them."
        plain = replace(plain, footnotes=(*plain.footnotes, note))
    parts = _parts(plain, room) if _total(_least(plain)) > room else [plain]
    return [Fitted(part, _shared(part, room)) for part in parts]


def headings(table: Table) -> list[str]:
    """Return the headings; the name of a group stands above its first column only."""
    lines, group = [], ""
    for column in table.columns:
        above = "" if column.group == group else printable(column.group)
        group = column.group
        lines.append(f"{above}\n{printable(column.title)}" if group else printable(column.title))
    return lines


def texts(cell: Cell, markers: dict[str, str]) -> tuple[str, str]:
    """Return what stands in a cell: its value, and what follows it."""
    mark = f" ({markers[remark(cell)]})" if remark(cell) else ""
    return printable(shown(cell)), (cell.suffix if isinstance(cell, Number) else "") + mark


def _cells(table: Table, column: int) -> list[str]:
    markers = table.marks()
    return ["".join(texts(row[column], markers)) for row in table.rows]


def _natural(table: Table) -> tuple[int, ...]:
    """Return the width of each column when nothing wraps."""
    found = zip(headings(table), range(len(table.columns)), strict=True)
    return tuple(max(map(cell_len, (*heading.split("\n"), *_cells(table, place)))) for heading, place in found)


def _least(table: Table) -> tuple[int, ...]:
    """Return the width below which a number, or a word of text, would be broken."""
    widths = []
    for place, (column, heading) in enumerate(zip(table.columns, headings(table), strict=True)):
        cells = _cells(table, place)
        if column.numeric:
            widths.append(max(_longest_word([heading]), *map(cell_len, cells), 1))
        else:
            widths.append(min(WORD, _longest_word([heading, *cells])))
    return tuple(widths)


def _longest_word(lines: Sequence[str]) -> int:
    return max((cell_len(word) for line in lines for word in line.split()), default=1)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shared(table: Table, room: int) -> tuple[int, ...]:
    """Return widths that fill the room: from the least ones, the column that lacks most grows first.

    Where even those have no room, the widest column of text is narrowed.
    """
    widths, natural = list(_least(table)), _natural(table)
    while _total(widths) < room and any(map(int.__lt__, widths, natural)):
        place = max(range(len(widths)), key=lambda i: natural[i] - widths[i])
        widths[place] += 1
    text = [place for place, column in enumerate(table.columns) if not column.numeric]
    while _total(widths) > room and any(widths[place] > 1 for place in text):
        widths[max(text, key=widths.__getitem__)] -= 1
    return tuple(widths)


def _without_spread(table: Table) -> Table:
    rows = tuple(
        tuple(replace(c, interval=None, spread=None) if isinstance(c, Number) else c for c in row)
        for row in table.rows
    )
    return replace(table, rows=rows)


def _parts(table: Table, room: int) -> list[Table]:
    """Take a table apart between groups of columns, or between columns where a group has no room either."""
    key = next((place for place, column in enumerate(table.columns) if column.numeric), len(table.columns))
    units = [list(found) for _, found in groupby(range(key, len(table.columns)), lambda i: _unit(table, i))]
    units = [part for unit in units for part in ([unit] if _fits(table, key, unit, room) else [[i] for i in unit])]
    pages: list[list[int]] = []
    for unit in units:
        if pages and _fits(table, key, pages[-1] + unit, room):
            pages[-1] += unit
        else:
            pages.append(unit)
    if len(pages) < 2:
        return [table]
    last = f"The table is in {len(pages)} parts for want of room."
    parts = [_columns(table, [*range(key), *page]) for page in pages]
    titles = [f"{table.title} (part {number} of {len(parts)})" for number in range(1, len(parts) + 1)]
    parts = [replace(part, title=title, caption="", footnotes=()) for part, title in zip(parts, titles, strict=True)]
    parts[0] = replace(parts[0], caption=table.caption)
    parts[-1] = replace(parts[-1], footnotes=(*table.footnotes, last))
    return parts


def _unit(table: Table, place: int) -> object:
    """Return what tells the columns that stay together: their group, or each by itself."""
    return table.columns[place].group or place


def _columns(table: Table, places: Sequence[int]) -> Table:
    columns = tuple(table.columns[place] for place in places)
    return replace(table, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in table.rows))


def _fits(table: Table, key: int, places: Sequence[int], room: int) -> bool:
    return _total(_least(_columns(table, [*range(key), *places]))) <= room
