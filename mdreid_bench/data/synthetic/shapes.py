"""Polygons in canonical coordinates."""

import numpy as np

from mdreid_bench.data.synthetic.latents import Points

_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 20, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 20, endpoint=False))],
    axis=1,
).astype(np.float32)


def polygon(*corners: tuple[float, float]) -> Points:
    """Return the corners as a (K, 2) array."""
    return np.asarray(corners, dtype=np.float32)


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """Return an upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def trapezoid(centre: float, top: float, bottom: float, half_top: float, half_bottom: float) -> Points:
    """Return a trapezoid symmetric about x = ``centre``, given the half widths of its horizontal sides."""
    return polygon(
        (centre - half_top, top),
        (centre + half_top, top),
        (centre + half_bottom, bottom),
        (centre - half_bottom, bottom),
    )


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    """Return a 20-gon inscribed in an ellipse."""
    return np.asarray((x, y), dtype=np.float32) + _CIRCLE * np.asarray((radius_x, radius_y), dtype=np.float32)


def band(start: tuple[float, float], end: tuple[float, float], width: float) -> Points:
    """Return a straight strip of the given width from ``start`` to ``end``."""
    a, b = np.asarray(start, dtype=np.float32), np.asarray(end, dtype=np.float32)
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    side = np.asarray((-along[1], along[0]), dtype=np.float32) * (width / 2)
    return np.stack([a + side, b + side, b - side, a - side])
