"""Draws the aligned images of an identity that several sensors take, from a camera and in a scene.

The geometry is rasterised once into a map of parts, which each sensor then reads through a table of its own:
the images share silhouette, parts and pattern, and differ in contrast.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mdreid_bench.data.synthetic.background import background
from mdreid_bench.data.synthetic.latents import IMAGE_SIZE, CameraModel, Flare, IdentityLatent, Part, SceneModel
from mdreid_bench.data.synthetic.raster import SUPERSAMPLING, part_map
from protocols.modality import RNT, Modality

Rng = np.random.Generator
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_SOFTNESS = 0.008
"""Radius of the thermal blur, as a fraction of the longer side of the image."""
_OCCLUDER = (110, 105, 100, 120, 45)
_NEARNESS = np.array([0, *(140 + 4 * part for part in range(1, len(Part)))], dtype=np.uint8)
"""Grey level of each part in a depth image, brighter where nearer; the last part stands before the object."""
_FAR = np.float32(60)


def render(
    identity: IdentityLatent,
    camera: CameraModel,
    scene: SceneModel,
    frame: Rng,
    size: tuple[int, int] | None = None,
    sensors: Modality = RNT,
) -> dict[Modality, Bytes]:
    """Draw one frame of an identity.

    Args:
        camera: where it is seen from; must be of the same kind.
        frame: randomness of this frame: gait, small shifts, noise.
        size: (height, width) in pixels, by default the size of the files on disk.
        sensors: whose images are wanted; which they are changes none of the others.

    Returns:
        For each sensor a (height, width, 3) uint8 image; all but RGB are grey. The same arguments and the same state
        of ``frame`` give the same pixels.
    """
    height, width = size or IMAGE_SIZE[identity.kind]
    labels = part_map(identity, camera, frame, height, width)
    table = np.rint(identity.materials * 255).astype(np.uint8)
    table[Part.OCCLUDER] = _OCCLUDER
    behind = _crop(background(camera.background + scene.place, height, width), frame, height, width)
    covered = np.where(labels == Part.BACKGROUND, 0, 255).astype(np.uint8)
    free = 1 - _shrink(Image.fromarray(covered)) / np.float32(255)
    light = _light(scene, height, width)
    colour = _shrink(_painted(labels, table)) + behind[..., :3] * free[..., None]
    gain, noise = np.array(camera.gain, dtype=np.float32), camera.noise
    colour = colour * light[..., None] * (gain[:3] * np.array(scene.light, dtype=np.float32))
    if scene.flare is not None:
        colour = _flared(colour, scene.flare)
    images = {Modality.R: _bytes(colour + _noise(frame, colour.shape, noise[0]))}
    if sensors == Modality.R:
        return images
    near = _shrink(Image.fromarray(table[:, 3][labels])) + behind[..., 3] * free
    heat = _shrink(Image.fromarray(table[:, 4][labels])) + (behind[..., 4] + np.float32(255 * scene.ambient)) * free
    images |= {
        Modality.N: _three(near * light * (gain[3] * np.float32(scene.lamp)) + _noise(frame, near.shape, noise[1])),
        Modality.T: _three(_soft(heat * gain[4]) + _noise(frame, heat.shape, noise[2])),
    }
    if Modality.D in sensors:
        nearness = _shrink(Image.fromarray(_NEARNESS[labels])) + _FAR * free
        images[Modality.D] = _three(nearness + _noise(frame, nearness.shape, noise[2]))
    return {sensor: images[sensor] for sensor in sensors}


def _painted(labels: Bytes, table: Bytes) -> Image.Image:
    """Read the part map through the colour columns of a (parts, 5) table."""
    height, width = labels.shape
    image = Image.frombytes("P", (width, height), labels.tobytes())
    image.putpalette(table[:, :3].tobytes())
    return image.convert("RGB")


def _shrink(image: Image.Image) -> Floats:
    """Average the supersampled image down to its final size."""
    return np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32)


def _crop(picture: Floats, frame: Rng, height: int, width: int) -> Floats:
    """Cut a window at a random place: the background moves a little from frame to frame."""
    top = int(frame.integers(picture.shape[0] - height + 1))
    left = int(frame.integers(picture.shape[1] - width + 1))
    return picture[top : top + height, left : left + width]


def _light(scene: SceneModel, height: int, width: int) -> Floats:
    """Return (height, width) relative brightness: a plane with the slopes of the scene."""
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)
    plane: Floats = 1 + np.float32(scene.slope[0]) * x + np.float32(scene.slope[1]) * y[:, None]
    return plane


def _flared(colour: Floats, flare: Flare) -> Floats:
    """Lay the round glow of head-lights over an RGB picture of grey levels."""
    height, width = colour.shape[:2]
    reach = flare.radius * max(height, width)
    x = (np.arange(width, dtype=np.float32) - flare.centre[0] * width) / reach
    y = (np.arange(height, dtype=np.float32) - flare.centre[1] * height) / reach
    glow = np.float32(flare.strength) * np.exp(-(x**2 + y[:, None] ** 2))
    bright: Floats = colour + (255 - colour) * glow[..., None]
    return bright


def _soft(heat: Floats) -> Floats:
    """Blur the thermal picture: heat has no sharp edges."""
    radius = _SOFTNESS * max(heat.shape)
    return np.asarray(Image.fromarray(_bytes(heat)).filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)


def _noise(frame: Rng, shape: tuple[int, ...], deviation: float) -> Floats:
    return frame.standard_normal(shape, dtype=np.float32) * np.float32(deviation)


def _bytes(values: Floats) -> Bytes:
    return np.clip(values, 0, 255).astype(np.uint8)


def _three(grey: Floats) -> Bytes:
    """Repeat a grey picture in three channels."""
    return np.repeat(_bytes(grey)[..., None], 3, axis=2)
