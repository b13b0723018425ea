"""Draws the geometry of a vehicle: flank, front and rear, cabin, windows, wheels, load, and the patterns on them.

The flank is drawn as it is seen straight from the side. Front and rear are what lies between the outlines of the near
and the far flank; a camera that stands further ahead or behind sees more of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mdreid_bench.data.synthetic.latents import Part, Points, Shape
from mdreid_bench.data.synthetic.patterns import Box, draw_pattern
from mdreid_bench.data.synthetic.shapes import ellipse, polygon, rectangle

Rng = np.random.Generator
_GROUND = 0.2


@dataclass(frozen=True)
class _Frame:
    """The outline all types share, in canonical units; the vehicle points to the right."""

    rear: float
    front: float
    sill: float
    belt: float
    wheel: float

    def x(self, fraction: float) -> float:
        """Return the position at a fraction of the length, 0 at the rear."""
        return self.rear + fraction * (self.front - self.rear)


def _draw_frame(rng: Rng, belt: float) -> _Frame:
    length, wheel = rng.uniform(0.74, 0.92), rng.uniform(0.05, 0.078)
    return _Frame(-length / 2, length / 2, _GROUND - 0.6 * wheel, belt, wheel)


def _glass(left: float, right: float, top: float, bottom: float, count: int, slant: float) -> list[Shape]:
    """Cut a row of ``count`` windows; the outer ones follow the slant of the cabin."""
    edges = np.linspace(left, right, count + 1)
    result = []
    for i in range(count):
        a, b = float(edges[i]) + 0.012, float(edges[i + 1]) - 0.012
        lean_a, lean_b = (slant if i == 0 else 0.0), (slant if i == count - 1 else 0.0)
        result.append(Shape(Part.WINDOW, polygon((a + lean_a, top), (b - lean_b, top), (b, bottom), (a, bottom))))
    return result


def _load(box: Box, rng: Rng) -> list[Shape]:
    """Draw a box of cargo with a pattern of its own."""
    return [Shape(Part.CARGO, box.part(0, 0, 1, 1)), *draw_pattern(Part.CARGO_PATTERN, box, rng)]


def _car(rng: Rng) -> tuple[_Frame, list[Shape]]:
    """Saloon, hatchback or estate: a low body with a slanted cabin and perhaps a load on the roof."""
    frame = _draw_frame(rng, rng.uniform(-0.02, 0.04))
    roof = frame.belt - rng.uniform(0.09, 0.13)
    start, end = rng.uniform(0.02, 0.28), rng.uniform(0.62, 0.8)
    slant = rng.uniform(0.03, 0.09)
    left, right = frame.x(start), frame.x(end)
    cabin = polygon((left + slant, roof), (right - slant, roof), (right, frame.belt), (left, frame.belt))
    body = polygon(
        (frame.rear, frame.belt),
        (right, frame.belt),
        (frame.front, frame.belt + 0.04),
        (frame.front, frame.sill),
        (frame.rear, frame.sill),
    )
    shapes = [Shape(Part.CABIN, cabin), Shape(Part.BODY, body)]
    shapes += _glass(left, right, roof + 0.02, frame.belt - 0.005, int(rng.integers(1, 4)), slant)
    if rng.random() < 0.5:
        middle, half = 0.5 * (left + right) + rng.uniform(-0.06, 0.06), rng.uniform(0.06, 0.13)
        shapes += _load(Box(middle - half, roof - rng.uniform(0.06, 0.1), middle + half, roof), rng)
    return frame, shapes + draw_pattern(Part.BODY_PATTERN, Box(frame.rear, frame.belt, frame.front, frame.sill), rng)


def _van(rng: Rng) -> tuple[_Frame, list[Shape]]:
    """A tall closed body with a slanted nose."""
    frame = _draw_frame(rng, rng.uniform(-0.06, 0.0))
    roof, nose = rng.uniform(-0.2, -0.12), rng.uniform(0.08, 0.2)
    body = polygon(
        (frame.rear, roof),
        (frame.front - nose - 0.06, roof),
        (frame.front - 0.5 * nose, frame.belt),
        (frame.front, frame.belt + 0.06),
        (frame.front, frame.sill),
        (frame.rear, frame.sill),
    )
    front = frame.front - nose
    glass = polygon(
        (front - 0.12, roof + 0.03),
        (front - 0.05, roof + 0.03),
        (front + 0.03, frame.belt),
        (front - 0.12, frame.belt),
    )
    shapes = [Shape(Part.BODY, body), Shape(Part.WINDOW, glass)]
    if rng.random() < 0.5:
        rear = frame.rear + 0.02
        shapes += _glass(rear, front - 0.16, roof + 0.03, frame.belt - 0.02, int(rng.integers(1, 4)), 0.0)
    return frame, shapes + draw_pattern(Part.BODY_PATTERN, Box(frame.rear, roof, front - 0.12, frame.sill), rng)


def _pickup(rng: Rng) -> tuple[_Frame, list[Shape]]:
    """A cabin in front of an open bed that may carry cargo."""
    frame = _draw_frame(rng, rng.uniform(-0.01, 0.05))
    roof, left, right = frame.belt - rng.uniform(0.1, 0.15), frame.x(0.42), frame.x(rng.uniform(0.7, 0.8))
    slant = rng.uniform(0.02, 0.06)
    cabin = polygon((left, roof), (right - slant, roof), (right, frame.belt), (left, frame.belt))
    shapes = [
        Shape(Part.CABIN, cabin),
        Shape(Part.BODY, rectangle(frame.rear, frame.belt, frame.front, frame.sill)),
        *_glass(left, right, roof + 0.02, frame.belt, int(rng.integers(1, 3)), 0.5 * slant),
    ]
    if rng.random() < 0.7:
        top = frame.belt - rng.uniform(0.06, 0.18)
        shapes += _load(Box(frame.rear + rng.uniform(0.01, 0.1), top, left - 0.03, frame.belt), rng)
    return frame, shapes + draw_pattern(Part.BODY_PATTERN, Box(frame.rear, frame.belt, frame.front, frame.sill), rng)


def _truck(rng: Rng) -> tuple[_Frame, list[Shape]]:
    """A short cab and a tall box that carries the large pattern."""
    frame = _draw_frame(rng, 0.02)
    split, cab_top, top = frame.x(rng.uniform(0.62, 0.76)), rng.uniform(-0.12, 0.0), rng.uniform(-0.22, -0.12)
    cab = polygon(
        (split + 0.02, cab_top),
        (frame.front - 0.05, cab_top),
        (frame.front, cab_top + 0.1),
        (frame.front, frame.sill),
        (split + 0.02, frame.sill),
    )
    window = polygon(
        (split + 0.06, cab_top + 0.025),
        (frame.front - 0.06, cab_top + 0.025),
        (frame.front - 0.02, cab_top + 0.1),
        (split + 0.06, cab_top + 0.1),
    )
    box = Box(frame.rear, top, split, frame.sill - rng.uniform(0.0, 0.05))
    chassis = rectangle(frame.rear, frame.sill - 0.05, frame.front, frame.sill)
    shapes = [Shape(Part.CABIN, chassis), Shape(Part.CABIN, cab), Shape(Part.WINDOW, window)]
    return frame, [*shapes, Shape(Part.BODY, box.part(0, 0, 1, 1)), *draw_pattern(Part.BODY_PATTERN, box, rng)]


def _bus(rng: Rng) -> tuple[_Frame, list[Shape]]:
    """A long box with a row of windows and a patterned flank, perhaps with a second row or a roof load."""
    frame = _draw_frame(rng, rng.uniform(-0.06, 0.02))
    roof = rng.uniform(-0.19, -0.13)
    body = rectangle(frame.rear, roof, frame.front, frame.sill)
    shapes = [Shape(Part.BODY, body)]
    shapes += _glass(frame.rear + 0.02, frame.front - 0.01, roof + 0.03, frame.belt, int(rng.integers(3, 7)), 0.0)
    if rng.random() < 0.4:
        middle = frame.x(rng.uniform(0.25, 0.75))
        shapes += _load(Box(middle - 0.1, roof - 0.045, middle + 0.1, roof), rng)
    return frame, shapes + draw_pattern(Part.BODY_PATTERN, Box(frame.rear, frame.belt, frame.front, frame.sill), rng)


def _running_gear(frame: _Frame, rng: Rng) -> list[Shape]:
    """Two or three wheels, their hubs, and the lamps at both ends."""
    positions = [rng.uniform(0.12, 0.24), rng.uniform(0.76, 0.88)]
    if rng.random() < 0.3:
        positions.append(positions[0] + 2.3 * frame.wheel / (frame.front - frame.rear))
    hub = frame.wheel * rng.uniform(0.35, 0.65)
    centre = _GROUND - frame.wheel + 0.015
    shapes = []
    for fraction in positions:
        shapes.append(Shape(Part.WHEEL, ellipse(frame.x(fraction), centre, frame.wheel, frame.wheel)))
        shapes.append(Shape(Part.HUB, ellipse(frame.x(fraction), centre, hub, hub)))
    size, y = rng.uniform(0.02, 0.035), frame.belt + 0.07
    shapes.append(Shape(Part.LAMP, rectangle(frame.front - size, y - size, frame.front, y + size)))
    shapes.append(Shape(Part.LAMP, rectangle(frame.rear, y - size, frame.rear + 0.6 * size, y + size)))
    return shapes


def _ends(frame: _Frame, flank: list[Shape], width: float, *, glazed: bool) -> list[Shape]:
    """Draw what joins the flanks of solids: plates, a window where a cabin or glazed body rises above the belt.

    All of it comes before the flank, which hides the end that is turned away.
    """
    shapes = []
    for solid in flank:
        if solid.part not in (Part.BODY, Part.CABIN, Part.CARGO):
            continue
        plate = Part.CARGO if solid.part == Part.CARGO else Part.END
        for a, b in zip(solid.points, np.roll(solid.points, -1, axis=0), strict=True):
            shapes.append(_across(plate, a, b, 0.0, width))
            top, bottom = (a, b) if a[1] < b[1] else (b, a)
            above = (frame.belt - top[1]) / max(bottom[1] - top[1], 1e-6)
            if plate == Part.END and (glazed or solid.part == Part.CABIN) and frame.belt - top[1] > 0.05:
                low = top + min(1.0, above) * (bottom - top)
                shapes.append(
                    _across(Part.WINDOW, top + 0.2 * (low - top), top + 0.95 * (low - top), 0.1 * width, 0.9 * width)
                )
    y = frame.belt + 0.07
    for x in (frame.rear, frame.front):
        for left, right in ((0.06, 0.24), (0.76, 0.94)):
            upper, lower = np.array((x, y - 0.025)), np.array((x, y + 0.025))
            shapes.append(_across(Part.LAMP, upper, lower, left * width, right * width))
    return shapes


def _across(part: Part, a: Points, b: Points, near: float, far: float) -> Shape:
    """Draw the field between two points of the outline at two depths."""
    return Shape(part, np.stack([a, b, b, a]).astype(np.float32), depth=(near, near, far, far))


_TYPES: tuple[Callable[[Rng], tuple[_Frame, list[Shape]]], ...] = (_car, _van, _pickup, _truck, _bus)


def vehicle_shapes(rng: Rng) -> tuple[Shape, ...]:
    """Draw the polygons of one vehicle in drawing order."""
    kind = _TYPES[int(rng.integers(len(_TYPES)))]
    frame, flank = kind(rng)
    word = kind.__name__.removeprefix("_")
    flank = [replace(shape, word=word) if shape.part == Part.BODY else shape for shape in flank]
    ends = _ends(frame, flank, rng.uniform(0.26, 0.34), glazed=kind in (_van, _bus))
    return (*ends, *flank, *_running_gear(frame, rng))
