"""Large patterns: the part of an identity that every sensor sees with the same geometry.

All patterns live in a box and are meant to be bold: the narrowest element of a torso pattern is about a sixth
of the torso's height, that is ten pixels in an image of 128 rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.synthetic.latents import Part, Points, Shape
from mdreid_bench.data.synthetic.shapes import band, ellipse, polygon, rectangle

Rng = np.random.Generator


@dataclass(frozen=True)
class Box:
    """An upright rectangle in canonical coordinates."""

    left: float
    top: float
    right: float
    bottom: float

    def at(self, u: float, v: float) -> tuple[float, float]:
        """Return the point at fractions ``u`` of the width and ``v`` of the height."""
        return self.left + u * (self.right - self.left), self.top + v * (self.bottom - self.top)

    def part(self, u0: float, v0: float, u1: float, v1: float) -> Points:
        """Return the sub-rectangle between two pairs of fractions."""
        return rectangle(*self.at(u0, v0), *self.at(u1, v1))

    @property
    def tall(self) -> bool:
        """True when the box is higher than wide."""
        return self.bottom - self.top > self.right - self.left


def stripes(box: Box, rng: Rng) -> list[Points]:
    """Return two to four bands across the longer side, with a phase of their own."""
    return _bands(box, rng, (2, 4), 0.65, upright=not box.tall)


def bars(box: Box, rng: Rng) -> list[Points]:
    """Return one or two bands along the longer side."""
    return _bands(box, rng, (1, 2), 0.6, upright=box.tall)


def _bands(box: Box, rng: Rng, counts: tuple[int, int], widest: float, *, upright: bool) -> list[Points]:
    count, duty = int(rng.integers(*counts, endpoint=True)), rng.uniform(0.35, widest)
    phase = rng.uniform(0, 1 - duty)
    spans = [((i + phase) / count, (i + phase + duty) / count) for i in range(count)]
    return [box.part(a, 0, b, 1) if upright else box.part(0, a, 1, b) for a, b in spans]


def diagonal(box: Box, rng: Rng) -> list[Points]:
    """Return one to three slanted bands, rising or falling."""
    count, rising = int(rng.integers(1, 4)), bool(rng.integers(2))
    length = max(box.bottom - box.top, box.right - box.left)
    phase, width = rng.uniform(-0.2, 0.2), rng.uniform(0.35, 0.55) * length / count
    result = []
    for i in range(count):
        t = (i + 0.5 + phase) / count
        x, y = box.at(0.5, t) if box.tall else box.at(t, 0.5)
        reach = 0.6 * length
        lift = -reach if rising else reach
        result.append(band((x - reach, y - lift), (x + reach, y + lift), width))
    return result


def checks(box: Box, rng: Rng) -> list[Points]:
    """Return every other field of a coarse board."""
    short, long, parity = int(rng.integers(2, 4)), int(rng.integers(3, 5)), int(rng.integers(2))
    columns, rows = (short, long) if box.tall else (long, short)
    return _fields(box, np.indices((columns, rows)).sum(0) % 2 == parity)


def blocks(box: Box, rng: Rng) -> list[Points]:
    """Return randomly chosen fields of a coarse board, at least two on and two off."""
    columns, rows = (2, 3) if box.tall else (3, 2)
    while True:
        on = rng.random((columns, rows)) < 0.5
        if 2 <= on.sum() <= columns * rows - 2:
            break
    return _fields(box, on)


def _fields(box: Box, on: NDArray[np.bool_]) -> list[Points]:
    """Return the chosen fields of a (columns, rows) board."""
    columns, rows = on.shape
    return [box.part(i / columns, j / rows, (i + 1) / columns, (j + 1) / rows) for i, j in np.argwhere(on).tolist()]


def emblem(box: Box, rng: Rng) -> list[Points]:
    """Return one large disc, square, triangle, cross or lozenge."""
    size = min(box.right - box.left, box.bottom - box.top) * rng.uniform(0.28, 0.42)
    x, y = box.at(*(rng.uniform(0.4, 0.6), rng.uniform(0.25, 0.75)) if box.tall else (rng.uniform(0.3, 0.7), 0.5))
    form = int(rng.integers(5))
    if form == 0:
        return [ellipse(x, y, size, size)]
    if form == 1:
        return [rectangle(x - size, y - size, x + size, y + size)]
    if form == 2:
        return [polygon((x, y - size), (x + size, y + size), (x - size, y + size))]
    if form == 3:
        arm = 0.4 * size
        return [rectangle(x - size, y - arm, x + size, y + arm), rectangle(x - arm, y - size, x + arm, y + size)]
    return [polygon((x, y - size), (x + size, y), (x, y + size), (x - size, y))]


def split(box: Box, rng: Rng) -> list[Points]:
    """Return one side of the box: a yoke, a hem or a half."""
    at, first = rng.uniform(0.3, 0.7), bool(rng.integers(2))
    a, b = (0.0, at) if first else (at, 1.0)
    return [box.part(0, a, 1, b) if box.tall == bool(rng.random() < 0.6) else box.part(a, 0, b, 1)]


PATTERNS: tuple[Callable[[Box, Rng], list[Points]], ...] = (stripes, bars, diagonal, checks, blocks, emblem, split)


def draw_pattern(part: Part, box: Box, rng: Rng) -> list[Shape]:
    """Draw one of the patterns and its layout inside ``box``, as shapes of a part."""
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))]
    return [Shape(part, points, word=pattern.__name__) for points in pattern(box, rng)]
