"""Rasterises the polygons of an identity, seen by a camera, into a map of parts."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mdreid_bench.data.synthetic.latents import CLIPPED_TO, EXTENT, CameraModel, IdentityLatent, Part, Points, Shape

Rng = np.random.Generator
SUPERSAMPLING = 2
_SWING = 0.1
"""Largest horizontal move of a limb per unit of length, in either direction."""

_CARRIER = np.full(256, 255, dtype=np.uint8)
for _pattern, _surface in CLIPPED_TO.items():
    _CARRIER[_pattern] = _surface


def part_map(identity: IdentityLatent, camera: CameraModel, frame: Rng, height: int, width: int) -> NDArray[np.uint8]:
    """Draw all polygons of an identity.

    Returns:
        (2 * height, 2 * width) values of ``Part``: twice the size of the image, for smooth edges.
    """
    size = np.array((width, height)) * SUPERSAMPLING
    tall, wide = EXTENT[identity.kind]
    matrix, offset = _view(camera, frame)
    stretch = size / (wide, tall)
    swing = np.concatenate([[0.0], frame.uniform(-_SWING, _SWING, 4)])
    surfaces, patterns = (Image.new("L", (int(size[0]), int(size[1])), 0) for _ in range(2))
    on_surfaces, on_patterns = ImageDraw.Draw(surfaces), ImageDraw.Draw(patterns)
    for shape in identity.shapes:
        points = _swung(shape, float(swing[shape.limb]))
        pixels = (points @ matrix.T + offset) * stretch + size / 2
        canvas = on_patterns if shape.part in CLIPPED_TO else on_surfaces
        canvas.polygon(pixels.ravel().tolist(), fill=int(shape.part))
    base, over = np.asarray(surfaces), np.asarray(patterns)
    labels: NDArray[np.uint8] = np.where(_CARRIER[over] == base, over, base)
    if camera.occluder is not None:
        corners = np.clip(camera.occluder[[0, 2]] * stretch + size / 2, 0, size).astype(int)
        (left, top), (right, bottom) = corners.tolist()
        labels[top:bottom, left:right] = Part.OCCLUDER
    return labels


def _view(camera: CameraModel, frame: Rng) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the affine map (2x2 matrix, offset) of the camera with the small movement of one frame."""
    zoom = camera.scale * frame.uniform(0.97, 1.03)
    shear = camera.shear + frame.uniform(-0.02, 0.02)
    matrix = zoom * np.array(((camera.squeeze, shear), (0.0, 1.0)))
    return matrix, np.array(camera.shift) + frame.uniform(-0.012, 0.012, 2)


def _swung(shape: Shape, swing: float) -> Points:
    """Move the points of a limb sideways in proportion to their distance from the pivot."""
    if not swing:
        return shape.points
    moved = shape.points.copy()
    moved[:, 0] += swing * (moved[:, 1] - shape.pivot)
    return moved
