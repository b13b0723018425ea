"""What stands behind the object: a wall, a road, and some clutter, as each sensor sees them."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_MARGIN = 0.25
_CLUTTER = 10


@lru_cache(maxsize=64)
def background(seed: int, height: int, width: int) -> NDArray[np.float32]:
    """Paint the place with number ``seed``, a quarter larger than the image so that frames can move in it.

    Returns:
        (H, W, 5) grey levels 0..255 in the order R, G, B, N, T, where H and W are 1.25 times the size asked for. The
        array is cached and read-only.
    """
    rng = np.random.default_rng(seed)
    tall, wide = round(height * (1 + _MARGIN)), round(width * (1 + _MARGIN))
    labels = Image.new("L", (wide, tall), 0)
    draw = ImageDraw.Draw(labels)
    horizon = rng.uniform(0.45, 0.8) * tall
    draw.rectangle((0, horizon, wide, tall), fill=1)
    for label in range(2, 2 + _CLUTTER):
        x, y = rng.uniform(0, wide), rng.uniform(0, tall)
        a, b = rng.uniform(0.05, 0.22) * wide, rng.uniform(0.04, 0.2) * tall
        corners = (x - a, y - b, x + a, y + b)
        if rng.random() < 0.7:
            draw.rectangle(corners, fill=label)
        else:
            draw.ellipse(corners, fill=label)
    picture = _colours(rng)[np.asarray(labels)]
    picture = picture + _texture(rng, tall, wide)
    result: NDArray[np.float32] = np.clip(picture * 255, 0, 255).astype(np.float32)
    result.flags.writeable = False
    return result


def _colours(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw (2 + clutter, 5) materials: greyish, with a cold and even thermal picture."""
    count = 2 + _CLUTTER
    grey = rng.uniform(0.2, 0.75, (count, 1))
    colour = grey + rng.uniform(-0.08, 0.08, (count, 3))
    near_infrared = 0.5 * grey + 0.5 * rng.uniform(0.15, 0.8, (count, 1))
    thermal = np.clip(rng.uniform(0.1, 0.25) + rng.uniform(-0.08, 0.08, (count, 1)), 0.02, 1)
    return np.concatenate([colour, near_infrared, thermal], axis=1).astype(np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Draw smooth random brightness: (height, width, 5), stronger in RGB and NIR than in the thermal sensor."""
    coarse = rng.uniform(-0.1, 0.1, (12, 8)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return smooth[..., None] * np.array((1, 1, 1, 1, 0.3), dtype=np.float32)
