"""From decoded images to normalised tensors, with random draws that depend on nothing but a seed."""

from collections.abc import Mapping

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
    """Return (3, H, W) float32 from (H, W, 3) uint8: divided by 255, minus the mean, divided by the std."""
    scaled = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)
    return scaled.sub_(config.mean).div_(config.std)


class TrainTransform:
    """Flip, pad and crop, normalise, erase, from an explicit random generator.

    See docs/methods/training.md, "Image transforms".

    Args:
        augment: probabilities and ranges.
        image: pixel statistics.
    """

    def __init__(self, augment: AugmentConfig, image: ImageConfig) -> None:
        self.augment, self.image = augment, image

    def each(self, pixels: Mapping[Modality, Pixels], seed: tuple[int, ...]) -> dict[Modality, Tensor]:
        """Return the augmented images of an item, (3, H, W) by modality.

        Each sensor has draws of its own, the same ones whatever other sensors there are, unless ``sync`` is set.

        Args:
            pixels: (H, W, 3) uint8 by modality.
            seed: what the draws depend on, for example (seed, epoch, position in the epoch).
        """
        streams = {m: (0 if self.augment.sync else m.value) for m in pixels}
        return {m: self(pixels[m], np.random.default_rng((*seed, streams[m]))) for m in pixels}

    def __call__(self, pixels: Pixels, rng: np.random.Generator) -> Tensor:
        """Return one augmented image (3, H, W) float32."""
        if rng.random() < self.augment.flip:
            pixels = pixels[:, ::-1]
        tensor = normalise(self._pad_and_crop(pixels, rng), self.image)
        if rng.random() < self.augment.erase:
            self._erase(tensor, rng)
        return tensor

    def _pad_and_crop(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        pad = self.augment.pad
        if not pad:
            return pixels
        top, left = rng.integers(0, 2 * pad + 1, size=2)
        padded = np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)))
        return padded[top : top + pixels.shape[0], left : left + pixels.shape[1]]

    def _erase(self, tensor: Tensor, rng: np.random.Generator) -> None:
        """Fill one box with N(0, 1) noise in place; after ten boxes that do not fit the image stays as it is."""
        _, height, width = tensor.shape
        low, high = np.log(self.augment.erase_aspect)
        for _ in range(10):
            area = rng.uniform(*self.augment.erase_area) * height * width
            aspect = np.exp(rng.uniform(low, high))
            h, w = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if 0 < h < height and 0 < w < width:
                top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
                noise = rng.standard_normal((3, h, w), dtype=np.float32)
                tensor[:, top : top + h, left : left + w] = torch.from_numpy(noise)
                return
