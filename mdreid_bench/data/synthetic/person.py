"""Draws the geometry of a person: head, garment, arms, legs, bag, and the patterns on them."""

from dataclasses import dataclass, replace

import numpy as np

from mdreid_bench.data.synthetic.latents import Part, Shape
from mdreid_bench.data.synthetic.patterns import Box, draw_pattern
from mdreid_bench.data.synthetic.shapes import band, ellipse, polygon, rectangle, trapezoid

Rng = np.random.Generator
_TOP, _FEET = -0.45, 0.46
LEGS = ("trousers", "wide trousers", "shorts", "skirt")
SLEEVES = ("bare arms", "short sleeves", "long sleeves")
HEADS = ("short hair", "long hair", "brimmed hat", "tall hat", "hood")
BAGS = ("", "backpack", "shoulder bag", "hand bag", "case")
_LEFT_LEG, _RIGHT_LEG, _LEFT_ARM, _RIGHT_ARM = 1, 2, 3, 4


@dataclass(frozen=True)
class _Build:
    """Proportions of a body, in canonical units."""

    head: float
    neck: float
    shoulder: float
    hip: float
    waist: float
    hem: float
    stance: float


def _draw_build(rng: Rng) -> _Build:
    head = rng.uniform(0.048, 0.07)
    waist = rng.uniform(-0.02, 0.10)
    long_coat = rng.random() < 0.3
    return _Build(
        head=head,
        neck=_TOP + 2.2 * head,
        shoulder=rng.uniform(0.085, 0.15),
        hip=rng.uniform(0.075, 0.14),
        waist=waist,
        hem=rng.uniform(0.17, 0.26) if long_coat else waist + 0.03,
        stance=rng.uniform(0.035, 0.085),
    )


def _legs(build: _Build, rng: Rng) -> list[Shape]:
    """Trousers, wide trousers, shorts or a skirt; shoes or boots; a pattern in half of the cases."""
    style = int(rng.integers(4))
    top, knee = build.waist - 0.03, rng.uniform(0.24, 0.30)
    ankle = (0.03, 0.062, 0.026, 0.026)[style] * rng.uniform(0.9, 1.2)
    boot = rng.uniform(0.30, 0.36) if rng.random() < 0.3 else 0.425
    shapes: list[Shape] = []
    for limb, side in ((_LEFT_LEG, -1), (_RIGHT_LEG, 1)):
        foot = side * build.stance
        half = 0.5 * build.hip + 0.01
        leg = polygon(
            (side * half - half, top), (side * half + half, top), (foot + ankle, _FEET), (foot - ankle, _FEET)
        )
        bare = style >= 2
        shapes.append(Shape(Part.SKIN if bare else Part.LEGS, leg, limb, top, word=LEGS[style]))
        if style == 2:
            thigh = trapezoid(0.5 * (side * half + foot), top, knee, half, half * 0.9)
            shapes.append(Shape(Part.LEGS, thigh, limb, top))
        shoe = rectangle(foot - ankle - 0.012, boot, foot + ankle + 0.012, _FEET)
        shapes.append(Shape(Part.SHOES, shoe, limb, top, word="boots" if boot < 0.4 else ""))
    if style == 3:
        flare = build.hip + rng.uniform(0.02, 0.07)
        shapes.append(Shape(Part.LEGS, trapezoid(0, top, knee, build.hip, flare)))
    if rng.random() < 0.6:
        box = Box(-build.hip - 0.03, build.hem, build.hip + 0.03, knee if style >= 2 else boot)
        shapes += draw_pattern(Part.LEGS_PATTERN, box, rng)
    return shapes


def _torso(build: _Build, rng: Rng) -> list[Shape]:
    outline = polygon(
        (-0.5 * build.shoulder, build.neck),
        (0.5 * build.shoulder, build.neck),
        (build.shoulder, build.neck + 0.05),
        (build.hip + 0.012, build.hem),
        (-build.hip - 0.012, build.hem),
        (-build.shoulder, build.neck + 0.05),
    )
    reach = max(build.shoulder, build.hip)
    box = Box(-reach, build.neck, reach, build.hem)
    return [
        Shape(Part.TORSO, outline, word="coat" if build.hem > build.waist + 0.04 else ""),
        *draw_pattern(Part.TORSO_PATTERN, box, rng),
    ]


def _arms(build: _Build, rng: Rng) -> list[Shape]:
    """Bare, short-sleeved or long-sleeved arms, held close or away from the body."""
    sleeve, width, away = int(rng.integers(3)), rng.uniform(0.035, 0.055), rng.uniform(0.005, 0.06)
    shoulder_y = build.neck + 0.05
    shapes: list[Shape] = []
    for limb, side in ((_LEFT_ARM, -1), (_RIGHT_ARM, 1)):
        start = (side * (build.shoulder - 0.01), shoulder_y - 0.01)
        end = (side * (build.shoulder + away), build.waist + 0.05)
        arm = [Shape(Part.SKIN, band(start, end, width), limb, shoulder_y, word=SLEEVES[sleeve])]
        if sleeve:
            reach = 0.45 if sleeve == 1 else 0.9
            cuff = (start[0] + reach * (end[0] - start[0]), start[1] + reach * (end[1] - start[1]))
            arm.append(Shape(Part.SLEEVE, band(start, cuff, width + 0.01), limb, shoulder_y))
        shapes += _apart(arm, side * build.shoulder, 0.0)
    return shapes


def _head(build: _Build, rng: Rng) -> list[Shape]:
    """A face with short hair, long hair, a brimmed hat, a tall hat or a hood."""
    style, radius = int(rng.integers(5)), build.head
    centre = _TOP + 1.1 * radius
    hair = []
    if style == 1:
        fall = rng.uniform(0.06, 0.14)
        hair = [rectangle(-1.15 * radius, centre, 1.15 * radius, centre + fall)]
    elif style == 4:
        hair = [ellipse(0, centre + 0.1 * radius, 1.35 * radius, 1.45 * radius)]
    face = [ellipse(0, centre + 0.15 * radius, 0.8 * radius, radius)]
    cap = [ellipse(0, centre - 0.55 * radius, radius, 0.6 * radius)]
    if style == 2:
        cap.append(rectangle(-2.1 * radius, centre - 0.5 * radius, 2.1 * radius, centre - 0.1 * radius))
    elif style == 3:
        cap = [rectangle(-1.05 * radius, _TOP - 0.03, 1.05 * radius, centre - 0.2 * radius)]
    nape = Shape(Part.HAIR, ellipse(0, centre, 0.78 * radius, 0.8 * radius), apart=(0.0, -0.045))
    return [
        nape,
        *(Shape(Part.HAIR, points) for points in hair),
        Shape(Part.SKIN, rectangle(-0.4 * radius, centre, 0.4 * radius, build.neck + 0.01)),
        *(Shape(Part.SKIN, points) for points in face),
        *(Shape(Part.HAIR, points, word=HEADS[style]) for points in cap),
    ]


def _bag(build: _Build, rng: Rng) -> list[Shape]:
    """Draw a bag: none, backpack, shoulder bag, hand bag or case."""
    style, side = int(rng.integers(5)), 1 if rng.random() < 0.5 else -1
    if style == 0:
        return []
    if style == 1:
        reach = build.shoulder + rng.uniform(0.04, 0.07)
        box = Box(-reach, build.neck + 0.02, reach, build.neck + rng.uniform(0.22, 0.32))
        pack = [Shape(Part.BAG, box.part(0, 0, 1, 1), word=BAGS[style]), *draw_pattern(Part.BAG_PATTERN, box, rng)]
        middles = (-0.7 * build.shoulder, 0.7 * build.shoulder)
        straps = [rectangle(x - 0.014, build.neck, x + 0.014, build.neck + 0.22) for x in middles]
        return _apart(pack, 0.0, -0.1) + _apart([Shape(Part.BAG, strap) for strap in straps], 0.0, 0.06)
    width, height = rng.uniform(0.045, 0.075), rng.uniform(0.06, 0.10)
    x = side * (build.hip + (0.03 if style == 2 else 0.065))
    y = {2: build.waist + 0.03, 3: build.waist + 0.14, 4: 0.34}[style]
    box = Box(x - width, y - height, x + width, y + height)
    bag = [Shape(Part.BAG, box.part(0, 0, 1, 1), word=BAGS[style]), *draw_pattern(Part.BAG_PATTERN, box, rng)]
    if style == 4:
        bag.insert(0, Shape(Part.BAG, band((x, y - height), (x, build.waist + 0.05), 0.02)))
    strap = [Shape(Part.BAG, band((-side * build.shoulder, build.neck + 0.03), (x, y), 0.026))] if style == 2 else []
    return strap + _apart(bag, x, 0.0)


def _apart(shapes: list[Shape], x: float, z: float) -> list[Shape]:
    return [replace(shape, apart=(x, z)) for shape in shapes]


def person_shapes(rng: Rng) -> tuple[Shape, ...]:
    """Draw the polygons of one person in drawing order."""
    build = _draw_build(rng)
    legs, torso, arms, head = _legs(build, rng), _torso(build, rng), _arms(build, rng), _head(build, rng)
    return (*legs, *torso, *arms, *head, *_bag(build, rng))
