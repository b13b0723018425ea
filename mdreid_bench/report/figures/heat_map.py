"""The grid of a method as a picture."""

from typing import TYPE_CHECKING

import numpy as np

from mdreid_bench.report.figures.drawing import figure
from mdreid_bench.report.table import Number, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DARK = 55.0
"""Above this value the shade is too dark for black print."""


def heat_map(table: Table) -> "Figure":
    """Draw a shaded table of percentages.

    Args:
        table: its first column names the rows.
    """
    values = [[cell.value if isinstance(cell, Number) else np.nan for cell in row[1:]] for row in table.rows]
    drawing = figure((5.2, 4.6))
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
