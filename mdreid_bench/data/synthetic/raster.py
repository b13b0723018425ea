"""Rasterises the polygons of an identity, seen by a camera, into a map of parts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mdreid_bench.data.synthetic.latents import CLIPPED_TO, EXTENT, CameraModel, IdentityLatent, Part, Points, Shape

Rng = np.random.Generator
SUPERSAMPLING = 2
_SWING = 0.1
"""Largest horizontal move of a limb per unit of length, in either direction; twice that where seen from the side."""
_TURN = 0.03
"""Largest turn of an object from frame to frame, in turns."""
_FLATNESS, _BEFORE = 0.62, 0.04
"""Of a person: depth of the body by its width, and how far before or behind its axis what stands apart hides it."""
_YAW = 0.85
"""Of a vehicle: how far it turns from its flank at most, in radians, so that the flank always stays in sight."""

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
    angle = 2 * np.pi * (camera.azimuth + frame.uniform(-_TURN, _TURN))
    matrix, offset = _view(camera, frame)
    stretch = size / (wide, tall)
    swing = np.concatenate([[0.0], frame.uniform(-_SWING, _SWING, 4)])
    surfaces, patterns = (Image.new("L", (int(size[0]), int(size[1])), 0) for _ in range(2))
    on_surfaces, on_patterns = ImageDraw.Draw(surfaces), ImageDraw.Draw(patterns)
    turned = _turned_person if identity.kind == "person" else _turned_vehicle
    for part, points in turned(identity.shapes, swing, angle):
        pixels = (points @ matrix.T + offset) * stretch + size / 2
        canvas = on_patterns if part in CLIPPED_TO else on_surfaces
        canvas.polygon(pixels.ravel().tolist(), fill=int(part))
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


def _turned_person(shapes: Sequence[Shape], swing: NDArray[np.float64], angle: float) -> list[tuple[Part, Points]]:
    """Turn a person about the vertical axis; what is apart from the body comes behind or before it.

    A body is an ellipse seen from above: narrower from the side, and mirrored from behind.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    narrowed = np.hypot(cosine, _FLATNESS * sine) * (1 if cosine >= 0 else -1)
    layers: list[list[tuple[Part, Points]]] = [[], [], []]
    for shape in shapes:
        points = shape.points.copy()
        x, z = shape.apart
        points[:, 0] = x * cosine + z * sine + (points[:, 0] - x) * narrowed
        points[:, 0] += swing[shape.limb] * (1 + abs(sine)) * (points[:, 1] - shape.pivot)
        nearer = z * cosine - x * sine
        layers[1 + int(nearer > _BEFORE) - int(nearer < -_BEFORE)].append((shape.part, points))
    return [*layers[0], *layers[1], *layers[2]]


def _turned_vehicle(shapes: Sequence[Shape], swing: NDArray[np.float64], angle: float) -> list[tuple[Part, Points]]:
    """Turn a vehicle: the flank shortens, front or rear comes into sight; from the other side it is mirrored."""
    yaw = _YAW * np.cos(angle)
    width = max((max(shape.depth) for shape in shapes if shape.depth), default=0.0)
    result = []
    for shape in shapes:
        points = shape.points.copy()
        depth = np.asarray(shape.depth, dtype=np.float32) if shape.depth else 0.0
        points[:, 0] = points[:, 0] * np.cos(yaw) + (depth - width / 2) * np.sin(yaw)
        if np.sin(angle) < 0:
            points[:, 0] *= -1
        result.append((shape.part, points))
    return result
