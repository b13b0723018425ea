"""From decoded images to what a network sees, with random draws that depend on nothing but a seed."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mdreid_bench.config.schema import AugmentConfig, ImageConfig
from protocols.modality import Modality

Pixels = NDArray[np.uint8]


def resize(image: Image.Image, size: tuple[int, int], *, training: bool) -> Pixels:
    """Return (H, W, 3) uint8; bicubic for training and bilinear for testing, as in the released code.

    Args:
        image: an RGB image of any size.
        size: (height, width) in pixels.
        training: which of the two interpolations.
    """
    height, width = size
    method = Image.Resampling.BICUBIC if training else Image.Resampling.BILINEAR
    if image.size == (width, height):
        return np.asarray(image)
    return np.asarray(image.resize((width, height), method))


def normalise(pixels: Pixels, config: ImageConfig) -> Tensor:
    """Return (3, H, W) float32 from (H, W, 3) uint8; see :func:`normalised`."""
    return normalised(torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))), config)


def normalised(pixels: Tensor, config: ImageConfig) -> Tensor:
    """Return float32 from uint8 of any shape: divided by 255, minus the mean, divided by the std.

    The 256 results are computed once, on the CPU, and looked up, so that they are the same on every device.
    """
    levels = torch.arange(256, dtype=torch.uint8).float().div_(255).sub_(config.mean).div_(config.std)
    return levels.to(pixels.device).index_select(0, pixels.flatten().int()).view(pixels.shape)


class Box(NamedTuple):
    """A part of a normalised image that noise takes the place of: its corner, and the noise, (3, h, w) float32."""

    top: int
    left: int
    noise: NDArray[np.float32]


class TrainTransform:
    """Flip, pad and crop, and a box to erase once the image is normalised, from an explicit random generator.

    See docs/methods/training.md, "Image transforms".

    Args:
        augment: probabilities and ranges.
    """

    def __init__(self, augment: AugmentConfig) -> None:
        self.augment = augment

    def each(
        self, pixels: Mapping[Modality, Pixels], seed: tuple[int, ...]
    ) -> tuple[dict[Modality, Pixels], dict[Modality, Box]]:
        """Return the augmented images of an item, (H, W, 3) by modality, and the boxes of those that have one.

        Each sensor has draws of its own, the same ones whatever other sensors there are, unless ``sync`` is set.

        Args:
            pixels: (H, W, 3) uint8 by modality.
            seed: what the draws depend on, for example (seed, epoch, position in the epoch).
        """
        streams = {m: (0 if self.augment.sync else m.value) for m in pixels}
        found = {m: self(pixels[m], np.random.default_rng((*seed, streams[m]))) for m in pixels}
        return {m: image for m, (image, _) in found.items()}, {m: box for m, (_, box) in found.items() if box}

    def __call__(self, pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Box | None]:
        """Return one augmented image, (H, W, 3), and the box to erase in it, if any."""
        if rng.random() < self.augment.flip:
            pixels = pixels[:, ::-1]
        pixels = self._pad_and_crop(pixels, rng)
        return pixels, self._box(pixels, rng) if rng.random() < self.augment.erase else None

    def _pad_and_crop(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        pad = self.augment.pad
        if not pad:
            return pixels
        top, left = rng.integers(0, 2 * pad + 1, size=2)
        padded = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)))
        return padded[top : top + pixels.shape[0], left : left + pixels.shape[1]]

    def _box(self, pixels: Pixels, rng: np.random.Generator) -> Box | None:
        """Draw a box of N(0, 1) noise; after ten boxes that do not fit the image stays as it is."""
        height, width, _ = pixels.shape
        low, high = np.log(self.augment.erase_aspect)
        for _ in range(10):
            area = rng.uniform(*self.augment.erase_area) * height * width
            aspect = np.exp(rng.uniform(low, high))
            h, w = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if 0 < h < height and 0 < w < width:
                top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
                return Box(top, left, rng.standard_normal((3, h, w), dtype=np.float32))
        return None
