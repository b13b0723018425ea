"""Tables as pictures: the grid of a method as a heat map, the sweep of a weight as a curve, matrices side by side."""

from typing import TYPE_CHECKING

import numpy as np

from mdreid_bench.report.figures.drawing import figure
from mdreid_bench.report.quantities import CHANCE
from mdreid_bench.report.table import Column, Number, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DARK = 55.0
"""Above this value the shade is too dark for black print."""
_USUAL_ROWS = 7
"""A grid with more rows is drawn larger, so that its numbers stay apart."""


def heat_map(table: Table) -> "Figure":
    """Draw a shaded table of percentages, whose first column names the rows."""
    values = [[cell.value if isinstance(cell, Number) else np.nan for cell in row[1:]] for row in table.rows]
    room = max(len(table.rows) / _USUAL_ROWS, 1.0)
    margin = 0.8 if room > 1 else 0.0  # else the name of the axis lies outside the picture
    drawing = figure((5.2 * room + margin, 4.6 * room))
    axis = drawing.subplots()
    image = axis.imshow(np.array(values), cmap="Blues", vmin=0, vmax=100)
    for y, row in enumerate(table.rows):
        for x, cell in enumerate(row[1:]):
            shown = cell.text if isinstance(cell, Number) else "\N{EN DASH}"
            dark = isinstance(cell, Number) and cell.value > _DARK
            axis.text(x, y, shown, ha="center", va="center", color="white" if dark else "black")
    axis.set_xticks(range(len(table.columns) - 1), [column.title for column in table.columns[1:]])
    axis.set_yticks(range(len(table.rows)), [str(row[0]) for row in table.rows])
    axis.set(xlabel=table.columns[1].group, ylabel=table.columns[0].title)
    axis.set_title(table.title, fontsize=8, wrap=True)
    drawing.colorbar(image, shrink=0.8, label="%")
    return drawing


def matrices(table: Table) -> "Figure":
    """Draw each group of columns of :attr:`Table.matrices` as a square, from -1 (red) over 0 (white) to 1 (blue)."""
    groups, count = [name for name, _ in table.column_groups() if name], len(table.rows)
    values = np.array([[cell.value / 100 for cell in row if isinstance(cell, Number)] for row in table.rows])
    drawing = figure((0.42 * count * len(groups) + 1.8, 0.42 * count + 0.9))
    axes = drawing.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for place, (axis, name) in enumerate(zip(axes, groups, strict=True)):
        square = values[:, place * count : (place + 1) * count]
        image = axis.imshow(square, cmap="RdBu", vmin=-1, vmax=1)
        for (y, x), value in np.ndenumerate(square):
            dark = abs(value) > _DARK / 100
            axis.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")
        axis.set_xticks(range(count), [str(number + 1) for number in range(count)])
        axis.set_yticks(range(count), [str(row[0]) for row in table.rows])
        axis.set_title(name, fontsize=8)
    drawing.colorbar(image, ax=list(axes), shrink=0.8, label="cosine")
    drawing.suptitle(table.title, fontsize=8)
    return drawing


def sweep_curve(table: Table) -> "Figure":
    """Draw each column of percentages against :attr:`Table.curve`; published figures are dashed.

    Measured values have bars of one standard deviation, or of their interval where they have one; chance is dotted.
    Columns of differences are not drawn.
    """
    drawing = figure((5.2, 3.4))
    axis = drawing.subplots()
    shown = [(index, column) for index, column in enumerate(table.columns) if column.numeric]
    for index, column in shown:
        if column.title != "difference":
            _line(axis, table, index, column)
    axis.set(xlabel=table.axis, ylabel="%")
    if table.log:
        axis.set_xscale("log")
        axis.set_xticks(table.curve, [f"{place:,g}" for place in table.curve])
        axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_title(table.title, fontsize=8, wrap=True)
    return drawing


def _line(axis: "Axes", table: Table, index: int, column: Column) -> None:
    cells = [row[index] for row in table.rows[: len(table.curve)]]
    points = [(x, cell) for x, cell in zip(table.curve, cells, strict=True) if isinstance(cell, Number)]
    if not points:
        return
    floor = column.title == CHANCE
    axis.errorbar(
        [x for x, _ in points],
        [cell.value for _, cell in points],
        yerr=list(zip(*(_bars(cell) for _, cell in points), strict=True)),
        label=column.heading,
        linestyle=":" if floor else "--" if column.title == "published" else "-",
        color="0.5" if floor else None,
        marker="" if floor else "o",
        markersize=3,
        capsize=2,
    )


def _bars(cell: Number) -> tuple[float, float]:
    """Return how far the bar of a value reaches down and up."""
    if cell.interval is None:
        return cell.spread or 0.0, cell.spread or 0.0
    return max(cell.value - cell.interval[0], 0.0), max(cell.interval[1] - cell.value, 0.0)
