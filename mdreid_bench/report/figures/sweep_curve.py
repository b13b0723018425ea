"""A sweep of a weight as a picture."""

from typing import TYPE_CHECKING

from mdreid_bench.report.figures.drawing import figure
from mdreid_bench.report.table import Column, Number, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sweep_curve(table: Table) -> "Figure":
    """Draw each column of percentages against :attr:`Table.curve`; published figures are dashed.

    Measured values have bars of one standard deviation over the seeds. Columns of differences are not drawn.
    """
    drawing = figure((5.2, 3.4))
    axis = drawing.subplots()
    shown = [(index, column) for index, column in enumerate(table.columns) if column.numeric]
    for index, column in shown:
        if column.title != "difference":
            _line(axis, table, index, column)
    axis.set(xlabel="weight", ylabel="%")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_title(table.title, fontsize=8, wrap=True)
    return drawing


def _line(axis: "Axes", table: Table, index: int, column: Column) -> None:
    cells = [row[index] for row in table.rows[: len(table.curve)]]
    points = [(x, cell) for x, cell in zip(table.curve, cells, strict=True) if isinstance(cell, Number)]
    if not points:
        return
    axis.errorbar(
        [x for x, _ in points],
        [cell.value for _, cell in points],
        yerr=[cell.spread or 0.0 for _, cell in points],
        label=column.heading,
        linestyle="--" if column.title == "published" else "-",
        marker="o",
        markersize=3,
        capsize=2,
    )
