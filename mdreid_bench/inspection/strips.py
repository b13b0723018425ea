"""Strips of images with a mark each: what ranked lists, confused pairs and attention are drawn as."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdreid_bench.inspection.compared import Kind
from mdreid_bench.report.figures.drawing import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 96
"""Largest width and height of an image in a strip, in pixels."""
COLOURS: Mapping[Kind, str] = MappingProxyType(
    {Kind.RIGHT: "#1a7f37", Kind.WRONG: "#c62828", Kind.EXCLUDED: "#6e7781"}
)
SIGNS: Mapping[Kind, str] = MappingProxyType(
    {Kind.RIGHT: "\N{CHECK MARK}", Kind.WRONG: "\N{MULTIPLICATION X}", Kind.EXCLUDED: "\N{EM DASH}"}
)
Canvas: TypeAlias = NDArray[np.uint8]
_GAP, _LINE, _LETTER = 10, 13, 6
"""Pixels between cells, of a line of text, and of a letter of a caption, generously."""
_WIDEST, _NARROWEST, _DPI, _PLAIN = 1200, 640, 100, "0.5"


@dataclass(frozen=True)
class Picture:
    """An image of an item, or the place where it would be.

    Attributes:
        alt: what it shows, in words.
        label: a letter or two on the image, such as the sensor.
        image: at most :data:`SIZE` wide and high; None where images are not to be had.
    """

    alt: str
    label: str
    image: Image.Image | None


@dataclass(frozen=True)
class Cell:
    """Images of one item below each other, and what is said of it.

    Attributes:
        lines: below the images.
        kind: how it is marked; None for what is neither right nor wrong.
    """

    pictures: tuple[Picture, ...]
    lines: tuple[str, ...]
    kind: Kind | None = None


@dataclass(frozen=True)
class Strip:
    """Cells beside each other below a line of text."""

    caption: str
    cells: tuple[Cell, ...]


def draw(strips: Sequence[Strip], title: str) -> "Figure":
    """Draw strips one after the other, narrow ones side by side; frame and sign mark right, wrong and excluded."""
    across = max((len(strip.cells) for strip in strips), default=1) * (SIZE + _GAP) + 2 * _GAP
    columns = max(1, _WIDEST // across)
    rows = [strips[first : first + columns] for first in range(0, len(strips), columns)]
    blocks = [[_Block(strip, across) for strip in row] for row in rows]
    heights = [max(block.height for block in row) for row in blocks]
    width, head = max(columns * across, _NARROWEST), 3 * _LINE
    height = sum(heights) + head
    drawing = figure((width / _DPI, height / _DPI))
    drawing.set_layout_engine("none")
    axis = drawing.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(height, 0))
    axis.axis("off")
    axis.text(_GAP, _LINE * 1.5, title, fontsize=8, weight="bold")
    canvas: Canvas = np.zeros((height, width, 4), dtype=np.uint8)
    top = head
    for row, tall in zip(blocks, heights, strict=True):
        for number, block in enumerate(row):
            block.draw(axis, canvas, number * across + _GAP, top)
        top += tall
    axis.imshow(canvas, extent=(0, width, height, 0), aspect="auto", interpolation="none", zorder=0)
    return drawing


class _Block:
    """A strip with the room that it takes, in pixels."""

    def __init__(self, strip: Strip, across: int) -> None:
        self.strip = strip
        self.caption = textwrap.wrap(strip.caption, across // _LETTER) or [""]
        images = [picture.image for cell in strip.cells for picture in cell.pictures]
        self.box = max((SIZE // 2 if image is None else image.height for image in images), default=0) + 2
        cells = [len(cell.pictures) * self.box + len(cell.lines) * _LINE for cell in strip.cells]
        self.height = len(self.caption) * _LINE + max(cells, default=0) + 2 * _GAP

    def draw(self, axis: "Axes", canvas: Canvas, left: int, top: int) -> None:
        """Draw the caption and the cells; their images go to a canvas (height, width, 4)."""
        for number, line in enumerate(self.caption):
            axis.text(left, top + number * _LINE, line, fontsize=7)
        top += len(self.caption) * _LINE - _LINE // 2
        for number, cell in enumerate(self.strip.cells):
            self._draw_cell(axis, canvas, cell, left + number * (SIZE + _GAP), top)

    def _draw_cell(self, axis: "Axes", canvas: Canvas, cell: Cell, left: int, top: int) -> None:
        from matplotlib.patches import Rectangle

        colour = _PLAIN if cell.kind is None else COLOURS[cell.kind]
        for number, picture in enumerate(cell.pictures):
            y = top + number * self.box
            if picture.image is None:
                middle = (left + SIZE / 2, y + self.box / 2)
                axis.text(*middle, "no image", ha="center", va="center", fontsize=6, color=_PLAIN)
            else:
                pixels = np.asarray(picture.image.convert("RGBA"))
                high, wide = pixels.shape[:2]
                x, inner = left + (SIZE - wide) // 2, y + (self.box - high) // 2
                canvas[inner : inner + high, x : x + wide] = pixels
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6}
            axis.text(left + 4, y + 12, picture.label, fontsize=6, bbox=box, zorder=3)
        tall = len(cell.pictures) * self.box
        frame = Rectangle((left, top), SIZE, tall, fill=False, edgecolor=colour, linewidth=1.6, zorder=2)
        frame.set_linestyle("--" if cell.kind is Kind.EXCLUDED else "-")
        axis.add_patch(frame)
        if cell.kind is not None:
            badge = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
            place = (left + SIZE - 9, top + 12)
            axis.text(*place, SIGNS[cell.kind], fontsize=8, ha="center", color="white", bbox=badge, zorder=4)
        for number, line in enumerate(cell.lines):
            shade = "0.2" if number or cell.kind is None else colour
            axis.text(left, top + tall + (number + 0.8) * _LINE, line, fontsize=5.5, color=shade)
