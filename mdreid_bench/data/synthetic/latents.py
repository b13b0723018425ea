"""What the generator knows of an identity, a camera and a scene before it draws a single pixel."""

import enum
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["person", "vehicle"]
Points = NDArray[np.float32]

EXTENT: dict[Kind, tuple[float, float]] = {"person": (1.0, 0.5), "vehicle": (0.5, 1.0)}
"""Height and width of the image in canonical units; the origin is the centre, y points down."""

IMAGE_SIZE: dict[Kind, tuple[int, int]] = {"person": (256, 128), "vehicle": (128, 256)}
"""Height and width in pixels of the files written to disk."""


class Part(enum.IntEnum):
    """Surfaces with a material of their own; the values are the labels of the rasterised part map."""

    BACKGROUND = 0
    SKIN = 1
    HAIR = 2
    TORSO = 3
    TORSO_PATTERN = 4
    SLEEVE = 5
    LEGS = 6
    LEGS_PATTERN = 7
    SHOES = 8
    BAG = 9
    BAG_PATTERN = 10
    BODY = 11
    BODY_PATTERN = 12
    CABIN = 13
    WINDOW = 14
    WHEEL = 15
    HUB = 16
    LAMP = 17
    CARGO = 18
    CARGO_PATTERN = 19
    END = 20
    OCCLUDER = 21


PATTERNED: dict[Kind, dict[Part, Part]] = {
    "person": {
        Part.TORSO_PATTERN: Part.TORSO,
        Part.LEGS_PATTERN: Part.LEGS,
        Part.BAG_PATTERN: Part.BAG,
    },
    "vehicle": {Part.BODY_PATTERN: Part.BODY, Part.CARGO_PATTERN: Part.CARGO},
}
"""The surface that carries each pattern; the pattern is visible only where the surface is."""
CLIPPED_TO = PATTERNED["person"] | PATTERNED["vehicle"]


@dataclass(frozen=True)
class Shape:
    """A filled polygon in canonical coordinates, as seen straight from the front or, of a vehicle, from the side.

    Attributes:
        part: the surface it belongs to.
        points: (K, 2) x and y.
        limb: 0 for rigid shapes; shapes with the same other number swing together from frame to frame.
        pivot: y about which a limb swings.
        apart: (x, z) of what stands apart from a person's body, z towards where the person looks: it moves around the
            body when that turns, and is seen before or behind it.
        depth: of a vehicle's end, how far from the near flank each point lies; empty for what lies in the flank.
        word: what it is called, such as ``"stripes"``; empty where there is nothing to say.
    """

    part: Part
    points: Points
    limb: int = 0
    pivot: float = 0.0
    apart: tuple[float, float] = (0.0, 0.0)
    depth: tuple[float, ...] = ()
    word: str = ""


@dataclass(frozen=True)
class IdentityLatent:
    """One person or vehicle: the geometry every sensor shares and the material of each part.

    Attributes:
        shapes: polygons in drawing order; pattern polygons are clipped to their surface.
        materials: (len(Part), 5) float32 in 0..1: red, green, blue, near-infrared reflectance, thermal emission.
    """

    kind: Kind
    shapes: tuple[Shape, ...]
    materials: NDArray[np.float32]


@dataclass(frozen=True)
class CameraModel:
    """A fixed camera: where it looks from, what stands behind the object, how its sensors respond.

    Attributes:
        kind: what it photographs.
        azimuth: where it stands around the object, in turns: persons are seen from the front at 0, from behind at a
            half; vehicles point to the right below a half, to the left from there on, and show more of their front
            near 0, of their rear near a half.
        background: seed of the place behind the object.
        squeeze: horizontal foreshortening of the object, 1 for none.
        scale: size of the object relative to the image.
        shear: horizontal shift per unit of height.
        shift: (x, y) offset in canonical units.
        gain: per-channel gains in the order R, G, B, N, T.
        noise: standard deviation of the noise in grey levels, in the order RGB, N, T.
        occluder: something in front of the object (canonical polygon of the image), or None.
    """

    kind: Kind
    azimuth: float
    background: int
    squeeze: float
    scale: float
    shear: float
    shift: tuple[float, float]
    gain: tuple[float, float, float, float, float]
    noise: tuple[float, float, float]
    occluder: Points | None


@dataclass(frozen=True)
class Flare:
    """The glow of head-lights in the RGB sensor: centre and radius in fractions of the image, strength 0..1."""

    centre: tuple[float, float]
    radius: float
    strength: float


@dataclass(frozen=True)
class SceneModel:
    """The light in which a set of frames was taken.

    Attributes:
        night: True when the RGB sensor is starved of light.
        light: R, G, B gains of the illumination.
        lamp: gain of the near-infrared illumination.
        ambient: offset of the thermal background, in 0..1 units.
        slope: (x, y) relative change of brightness across the image, RGB and NIR.
        flare: head-lights shining into the RGB sensor, or None.
        place: 0 keeps the camera's own background; any other number moves the camera to another place.
    """

    night: bool
    light: tuple[float, float, float]
    lamp: float
    ambient: float
    slope: tuple[float, float]
    flare: Flare | None
    place: int
