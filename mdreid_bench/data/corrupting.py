"""Corrupted images: 19 types by the library imagecorruptions, rain written here; see docs/methods/corruption.md.

The library, an optional dependency, is imported when the first image is corrupted.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdreid_bench.errors import UsageError
from protocols.corruption import FAMILIES, Corruption
from protocols.modality import Modality

SMALLEST = 32
"""Images with a shorter side are enlarged first, as the library asks for."""
_SEEDED = frozenset({"impulse_noise", "glass_blur"})
"""Types whose functions have a seed of their own; the others draw from NumPy's global stream."""
_TINTING = frozenset({*FAMILIES["noise"], "frost", "spatter"})
"""Types that would colour an image: those of sensors that see no colours are changed alike in all channels."""
_RAIN = ((770, 10), (600, 30), (600, 30), (500, 60), (500, 60))
"""By level: pixels of the image for each drop, and length of a drop in pixels."""
_RAIN_HEIGHT, _DROP_COLOUR, _SLANT = 65, (200, 200, 200), 10


def require_library() -> Any:
    """Return the module of the library that has a function for each type.

    Raises:
        UsageError: when it is not installed, or lacks something of the system that it needs.
    """
    try:
        from imagecorruptions import corruptions
    except ImportError as error:
        raise UsageError(
            f"--corrupt needs the package imagecorruptions-imaug ({error}); install it with "
            "pip install 'mdreid-bench[corruption]'."
        ) from None
    return corruptions


def corrupted(
    images: Mapping[Modality, Image.Image], corruption: Corruption, item: str
) -> dict[Modality, Image.Image]:
    """Return the images of an item, RGB as decoded, those corrupted that the corruption draws something for.

    Args:
        images: by sensor.
        corruption: what is drawn.
        item: its name, which is all that the draws depend on beside sensor, seed and repetition.

    Raises:
        UsageError: when the library is not installed.
    """
    sensors = Modality(sum(sensor.value for sensor in images))
    drawn = corruption.draw(item, sensors)
    found = dict(images)
    for sensor, (kind, level) in drawn.items():
        seed = corruption.pixel_seed(item, sensor)
        found[sensor] = corrupt(images[sensor], kind, level, seed, colour=sensor == Modality.R)
    return found


def corrupt(image: Image.Image, kind: str, level: int, seed: int, *, colour: bool = True) -> Image.Image:
    """Return an RGB image with one type of corruption at a level from 1 to 5.

    Args:
        image: RGB; smaller than 32 pixels on one side, it is enlarged.
        kind: one of :data:`protocols.corruption.TYPES`.
        level: of strength.
        seed: of whatever is drawn, 32 bits.
        colour: whether the sensor sees colours; else noise, frost and spatter change all channels alike.
    """
    least = min(image.size)
    if least < SMALLEST:
        image = image.resize([-(-size * SMALLEST // least) for size in image.size], Image.Resampling.BICUBIC)
    if colour or kind not in _TINTING:
        return Image.fromarray(_changed(image, kind, level, seed))
    grey = image.convert("L")
    change = _changed(grey, kind, level, seed).astype(np.int16) - np.asarray(grey)
    return Image.fromarray(np.clip(np.asarray(image) + change[..., None], 0, 255).astype(np.uint8))


def _changed(image: Image.Image, kind: str, level: int, seed: int) -> NDArray[np.uint8]:
    with _numpy_seeded(seed):
        if kind == "rain":
            return _rain(image, level)
        own = {"seed": seed} if kind in _SEEDED else {}
        return np.asarray(getattr(_library(), kind)(image, severity=level, **own)).astype(np.uint8)


@cache
def _library() -> Any:
    return require_library()


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global stream for a block, and leave it as it was found."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def _rain(image: Image.Image, level: int) -> NDArray[np.uint8]:
    """Draw slanting drops, blur, and darken: RandomRain of albumentations 1 with the constants of CIL-ReID.

    Later versions of that library draw other rain. A low image is enlarged so that the longest drops fit.
    """
    import cv2

    per_drop, length = _RAIN[level - 1]
    if image.height < _RAIN_HEIGHT:
        image = image.resize((image.width * _RAIN_HEIGHT // image.height, _RAIN_HEIGHT), Image.Resampling.BICUBIC)
    pixels = np.array(image)
    height, width, _ = pixels.shape
    slant = int(np.random.uniform(-_SLANT, _SLANT))
    for _ in range(height * width // per_drop):
        x = int(np.random.randint(min(slant, 0), width - max(slant, 0) + 1))
        y = int(np.random.randint(0, height - length + 1))
        cv2.line(pixels, (x, y), (x + slant, y + length), _DROP_COLOUR, 1)
    blurred = cv2.blur(pixels, (2 + level, 2 + level)).astype(np.float64)
    return np.clip(blurred - 255 * (0.05 + 0.05 * level), 0, 255).astype(np.uint8)
