"""Draws identities, cameras and scenes from a random generator."""

import hashlib
import json

import numpy as np

from mdreid_bench.data.synthetic.latents import EXTENT, CameraModel, Flare, IdentityLatent, Kind, Points, SceneModel
from mdreid_bench.data.synthetic.materials import draw_materials
from mdreid_bench.data.synthetic.person import person_shapes
from mdreid_bench.data.synthetic.shapes import rectangle
from mdreid_bench.data.synthetic.vehicle import vehicle_shapes

Rng = np.random.Generator
_GOLDEN = (5**0.5 - 1) / 2


def stream(namespace: str, seed: int, *words: str | int) -> Rng:
    """Return the random generator that belongs to a namespace, a seed and a name made of words and numbers.

    The arguments are written as JSON, which keeps different arguments different, and the 256-bit hash of that text
    seeds the generator. Two namespaces (say, the datasets and the pretraining of a trunk) therefore never share a
    stream, whatever their seeds and numbers.
    """
    text = json.dumps([namespace, seed, *words])
    digest = hashlib.blake2b(text.encode(), digest_size=32).digest()
    return np.random.default_rng(np.random.SeedSequence(int.from_bytes(digest, "little")))


def draw_identity(kind: Kind, rng: Rng) -> IdentityLatent:
    """Draw the geometry and the materials of a person or vehicle."""
    shapes = person_shapes(rng) if kind == "person" else vehicle_shapes(rng)
    return IdentityLatent(kind, shapes, draw_materials(kind, rng))


def draw_camera(kind: Kind, rng: Rng, number: int | None = None) -> CameraModel:
    """Draw viewpoint, background, sensor gains and noise of a camera.

    Args:
        number: of one of several cameras, which then stand around the object in steps of the golden ratio, so that
            any few of them see it from different sides; None draws where this one stands.
    """
    azimuth = rng.uniform() if number is None else (number * _GOLDEN) % 1.0
    noise = rng.uniform(2, 6), rng.uniform(2, 5), rng.uniform(1, 4)
    gains = rng.uniform(0.85, 1.15, 5)
    return CameraModel(
        kind=kind,
        azimuth=azimuth,
        background=int(rng.integers(2**62)),
        squeeze=rng.uniform(0.78, 1.02),
        scale=rng.uniform(0.86, 1.02),
        shear=rng.uniform(-0.1, 0.1),
        shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.02, 0.02)),
        gain=(float(gains[0]), float(gains[1]), float(gains[2]), float(gains[3]), float(gains[4])),
        noise=noise,
        occluder=_occluder(kind, rng) if rng.random() < 0.4 else None,
    )


def _occluder(kind: Kind, rng: Rng) -> Points:
    """Draw a post near one side or a low wall along the bottom of the image."""
    height, width = EXTENT[kind]
    if rng.random() < 0.5:
        side, reach = (-1 if rng.random() < 0.5 else 1), rng.uniform(0.03, 0.06) * width
        x = side * rng.uniform(0.28, 0.42) * width
        return rectangle(x - reach, -height, x + reach, height)
    return rectangle(-width, height * (0.5 - rng.uniform(0.08, 0.14)), width, height)


def draw_scene(kind: Kind, rng: Rng, night: bool | None = None, place: int = 0) -> SceneModel:
    """Draw the light of a scene; head-lights are more frequent on vehicles.

    Args:
        night: force night or day; None draws night in a third of the scenes.
        place: see ``SceneModel.place``.
    """
    dark = bool(rng.random() < 1 / 3) if night is None else night
    level = rng.uniform(0.3, 0.5) if dark else rng.uniform(0.8, 1.1)
    warm = rng.uniform(-0.12, 0.12)
    flare = Flare(
        centre=(rng.uniform(0.1, 0.9), rng.uniform(0.4, 0.9)),
        radius=rng.uniform(0.12, 0.3),
        strength=rng.uniform(0.4, 0.9),
    )
    flared = bool(rng.random() < (0.6 if kind == "vehicle" else 0.3))
    return SceneModel(
        night=dark,
        light=(level * (1 + warm), level, level * (1 - warm)),
        lamp=rng.uniform(0.85, 1.1),
        ambient=rng.uniform(-0.05, 0.1) - (0.05 if dark else 0.0),
        slope=(rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.2)),
        flare=flare if dark and flared else None,
        place=place,
    )
