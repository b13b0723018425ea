"""How surfaces look to each sensor: a small shared palette, so that colour alone identifies nobody.

NIR reflectance follows luminance with an independent term of the material; thermal emission is independent of colour.
"""

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.synthetic.latents import PATTERNED, Kind, Part

Rng = np.random.Generator
Row = NDArray[np.float32]

_PALETTE = np.array(
    [
        (0.12, 0.12, 0.14),  # black
        (0.88, 0.88, 0.86),  # white
        (0.50, 0.50, 0.52),  # grey
        (0.66, 0.14, 0.14),  # red
        (0.16, 0.24, 0.58),  # blue
        (0.18, 0.42, 0.22),  # green
        (0.86, 0.72, 0.22),  # yellow
        (0.60, 0.46, 0.32),  # beige
    ],
    dtype=np.float32,
)
_LUMINANCE = np.array((0.299, 0.587, 0.114), dtype=np.float32)
_SHADE = np.array((0.75, 0.75, 0.75, 0.75, 1.1), dtype=np.float32)
"""How the front and rear of a vehicle look beside its flank: less light falls there, and the engine warms them."""
CONTRAST = 0.22
"""Least difference in each sensor between a pattern and the surface that carries it, of a range of 1."""

_HEAT: dict[Part, tuple[float, float]] = {
    Part.SKIN: (0.85, 1.0),
    Part.HAIR: (0.45, 0.75),
    Part.SHOES: (0.2, 0.5),
    Part.BAG: (0.15, 0.6),
    Part.BAG_PATTERN: (0.15, 0.6),
    Part.WINDOW: (0.05, 0.3),
    Part.WHEEL: (0.45, 0.95),
    Part.HUB: (0.3, 0.8),
    Part.LAMP: (0.5, 0.9),
}
_ANY_HEAT = (0.25, 0.85)


def _surface(part: Part, rng: Rng, colour: Row | None = None) -> Row:
    """Draw one row of the material table: R, G, B, N, T."""
    if colour is None:
        colour = _PALETTE[int(rng.integers(len(_PALETTE)))] + rng.uniform(-0.05, 0.05, 3).astype(np.float32)
    luminance = float(colour @ _LUMINANCE)
    near_infrared = 0.55 * luminance + 0.45 * rng.uniform(0.1, 1.0)
    heat = rng.uniform(*_HEAT.get(part, _ANY_HEAT))
    return np.clip(np.array([*colour, near_infrared, heat], dtype=np.float32), 0.03, 1.0)


def _distinct(a: Row, b: Row) -> bool:
    """Tell whether two materials differ visibly in every sensor."""
    luminance = abs(float((a[:3] - b[:3]) @ _LUMINANCE))
    return luminance >= CONTRAST and bool(np.all(np.abs(a[3:] - b[3:]) >= CONTRAST))


def _pair(base: Part, pattern: Part, rng: Rng) -> tuple[Row, Row]:
    """Draw two materials until they differ visibly in every sensor."""
    while True:
        first, second = _surface(base, rng), _surface(pattern, rng)
        if _distinct(first, second):
            return first, second


def draw_materials(kind: Kind, rng: Rng) -> NDArray[np.float32]:
    """Draw the (len(Part), 5) table of an identity; the row of the background is zero."""
    table = np.zeros((len(Part), 5), dtype=np.float32)
    for part in Part:
        if part != Part.BACKGROUND:
            table[part] = _surface(part, rng)
    for pattern, base in PATTERNED[kind].items():
        table[base], table[pattern] = _pair(base, pattern, rng)
    table[Part.END] = np.clip(table[Part.BODY] * _SHADE, 0.03, 1.0)
    tone = rng.uniform(0.35, 0.85)
    table[Part.SKIN] = _surface(Part.SKIN, rng, np.array((tone, 0.76 * tone, 0.62 * tone), dtype=np.float32))
    dark = np.full(3, rng.uniform(0.06, 0.2), dtype=np.float32)
    table[Part.WHEEL] = _surface(Part.WHEEL, rng, dark)
    table[Part.WINDOW] = _surface(Part.WINDOW, rng, dark + np.array((0.02, 0.06, 0.1), dtype=np.float32))
    table[Part.LAMP] = _surface(Part.LAMP, rng, np.array((0.95, 0.9, 0.7), dtype=np.float32))
    return table
