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
    """Return float32 from uint8 (..., 3, H, W): divided by 255, minus the mean, divided by the std.

    The 256 results are computed once, on the CPU, and looked up, so that they are the same on every device.
    """
    mean, std = config.mean, config.std
    if not isinstance(mean, tuple) and not isinstance(std, tuple):
        return _looked_up(pixels, mean, std)
    means, stds = (value if isinstance(value, tuple) else (value,) * 3 for value in (mean, std))
    channels = zip(pixels.unbind(-3), means, stds, strict=True)
    return torch.stack([_looked_up(channel, *statistics) for channel, *statistics in channels], dim=-3)


def _looked_up(pixels: Tensor, mean: float, std: float) -> Tensor:
    levels = torch.arange(256, dtype=torch.uint8).float().div_(255).sub_(mean).div_(std)
    return levels.to(pixels.device).index_select(0, pixels.flatten().int()).view(pixels.shape)


class Box(NamedTuple):
    """A part of a normalised image that something else, most often noise, takes the place of.

    Its corner, and what takes its place, (3, h, w) float32.
    """

    top: int
    left: int
    noise: NDArray[np.float32]


GREY = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of an image (ITU-R BT.601)."""


class TrainTransform:
    """Flip, pad and crop, and a box to erase once the image is normalised, from an explicit random generator.

    Channels of RGB images may be exchanged in the end. See docs/methods/training.md, "Image transforms".

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
        found = {}
        for m, image in pixels.items():
            rng = np.random.default_rng((*seed, 0 if self.augment.sync else m.value))
            found[m] = self(image, rng)
            if self.augment.channels and m == Modality.R:
                found[m] = exchange_channels(*found[m], rng)
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
        """Draw a box and its noise or fill; after ten boxes that do not fit the image stays as it is."""
        height, width, _ = pixels.shape
        low, high = np.log(self.augment.erase_aspect)
        for _ in range(10):
            area = rng.uniform(*self.augment.erase_area) * height * width
            aspect = np.exp(rng.uniform(low, high))
            h, w = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if 0 < h < height and 0 < w < width:
                top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
                if self.augment.erase_fill is None:
                    return Box(top, left, rng.standard_normal((3, h, w), dtype=np.float32))
                values = np.array(self.augment.erase_fill, dtype=np.float32)[:, None, None]
                return Box(top, left, np.broadcast_to(values, (3, h, w)))
        return None


def exchange_channels(pixels: Pixels, box: Box | None, rng: np.random.Generator) -> tuple[Pixels, Box | None]:
    """Put one of the channels in the place of all, with equal chance, or take the brightness or nothing.

    Ye et al. 2021, "Channel Augmented Joint Learning for Visible-Infrared Recognition": of four equal chances, three
    are the channels, and half of the fourth is the grey image. What is erased is treated like the pixels.
    """
    choice = int(rng.integers(4))
    if choice == 3 and rng.random() >= 0.5:
        return pixels, box
    shares = np.array(GREY if choice == 3 else np.eye(3)[choice], dtype=np.float32)
    shares /= shares.sum()
    one = np.rint(pixels @ shares).astype(np.uint8)
    if box is not None:
        box = box._replace(noise=np.broadcast_to(np.tensordot(shares, box.noise, 1), box.noise.shape))
    return np.repeat(one[:, :, None], 3, axis=2), box
