"""How finished tables are shown: digits after the point, and rows for columns."""

from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from mdreid_bench.report.table import Cell, Column, Label, Number, Table, ranked_among, shown


@dataclass(frozen=True)
class Shape:
    """What is asked for.

    Attributes:
        digits: after the point of measured numbers; None as they are. Printed figures keep the digits of their print,
            and numbers that have digits of their own, such as costs, keep those.
        transposed: methods side by side, and what was measured one below the other.
    """

    digits: int | None = None
    transposed: bool = False

    def __call__(self, table: Table) -> Table:
        """Return the table in this shape; what is drawn as a picture too keeps its sides."""
        if self.digits is not None:
            table = replace(table, rows=tuple(tuple(map(self._cell, row)) for row in table.rows))
        drawn = table.shaded or table.matrices or table.curve
        return transposed(table) if self.transposed and not drawn else table

    def _cell(self, cell: Cell) -> Cell:
        if not isinstance(cell, Number) or cell.decimals is not None:
            return cell
        number = replace(cell, decimals=self.digits)
        return ranked_among(number, cell.rivals) if cell.rivals else number


def transposed(table: Table) -> Table:
    """Return a table with a column for each row.

    The first columns of text, one or two, become headings; all others become rows, with their headings before them.
    """
    text = [place for place, column in enumerate(table.columns) if not column.numeric]
    labels = [place for place in text if not table.columns[place].wide][:2]
    if not labels or len(text) == len(table.columns):
        return table
    *groups, title = labels
    headings = [Column("/".join(table.columns[place].title for place in labels))]
    for row in table.rows:
        group = "".join(shown(row[place]) for place in groups)
        headings.append(Column(shown(row[title]), group, numeric=True))
    rest = [(place, column) for place, column in enumerate(table.columns) if place not in labels]
    notes = [cell.note for row in table.rows for cell in (row[place] for place in labels) if isinstance(cell, Label)]
    sizes = [len(list(members)) for _, members in groupby(rest, lambda one: one[1].group or one[1].title)]
    several = any(size > 1 for size in sizes)
    return replace(
        table,
        columns=tuple(headings),
        rows=tuple((column.heading, *(row[place] for row in table.rows)) for place, column in rest),
        footnotes=(*dict.fromkeys(notes), *table.footnotes),
        rules=frozenset(accumulate(sizes[:-1])) if several else frozenset(),
    )
