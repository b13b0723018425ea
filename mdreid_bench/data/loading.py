"""Batches of tensors for training and for extraction; the worker count never changes what is loaded."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.transforms import Pixels, TrainTransform, normalise, resize
from protocols.modality import Modality

Sample = tuple[dict[Modality, Tensor], int]
Draw = tuple[int, int, int]
"""(row, epoch, position in the epoch): the row to read and what its augmentation depends on."""


class ItemReader:
    """Reads and resizes items, keeping the resized pixels in memory while they fit.

    Args:
        index: the dataset.
        items: its training or test items.
        config: size of the images and range of counts.
        training: which interpolation to resize with.
        cache_bytes: memory for resized items; 0 keeps none.
    """

    def __init__(
        self, index: DatasetIndex, items: Items, config: RunConfig, *, training: bool, cache_bytes: int = 0
    ) -> None:
        self.index, self.images, self.training = index, items.images, training
        self.size, self.counts = config.image_size, config.image.counts
        self.capacity = cache_bytes // (len(index.sensors) * 3 * self.size[0] * self.size[1])
        self._cache: dict[int, dict[Modality, Pixels]] = {}

    def __call__(self, row: int) -> dict[Modality, Pixels]:
        """Return the resized images of a row, (H, W, 3) uint8 by modality."""
        if row in self._cache:
            return self._cache[row]
        images = self.index.read(self.images[row], self.counts)
        pixels = {m: resize(image, self.size, training=self.training) for m, image in images.items()}
        if len(self._cache) < self.capacity:
            self._cache[row] = pixels
        return pixels


class TrainingImages(TorchDataset[Sample]):
    """Augmented images of training items by ``Draw``, with the row number."""

    def __init__(self, index: DatasetIndex, config: RunConfig) -> None:
        self.read = ItemReader(index, index.train, config, training=True, cache_bytes=config.data.cache_mb << 20)
        self.transform, self.seed = TrainTransform(config.augment, config.image), config.seed

    def __getitem__(self, draw: Draw) -> Sample:
        row, epoch, position = draw
        return self.transform.each(self.read(row), (self.seed, epoch, position)), row


class TestImages(TorchDataset[Sample]):
    """Images of test items by row number, not augmented."""

    def __init__(self, index: DatasetIndex, config: RunConfig) -> None:
        self.read = ItemReader(index, index.test, config, training=False)
        self.image = config.image

    def __getitem__(self, row: int) -> Sample:
        return {m: normalise(p, self.image) for m, p in self.read(row).items()}, row


def collate(samples: Sequence[Sample]) -> tuple[dict[Modality, Tensor], NDArray[np.int64]]:
    """Stack samples with the same sensors: images (B, 3, H, W) by modality and row numbers (B,).

    Raises:
        ValueError: when their sensors differ.
    """
    sensors = samples[0][0].keys()
    if any(sample[0].keys() != sensors for sample in samples):
        raise ValueError("the items of a batch must have the same sensors")
    images = {m: torch.stack([sample[0][m] for sample in samples]) for m in sensors}
    return images, np.array([sample[1] for sample in samples], dtype=np.int64)


class _Batches:
    """A batch sampler whose content is set anew for every epoch, so that workers can stay alive."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Feeder:
    """Loads given batches of keys from a dataset, in order, with optional worker processes.

    Args:
        dataset: maps a key to a sample.
        workers: processes; 0 loads in this one.
        pin: page-lock the tensors for a CUDA copy.
    """

    def __init__(self, dataset: TorchDataset[Sample], workers: int, *, pin: bool) -> None:
        self._batches = _Batches()
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self._batches,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pin,
            worker_init_fn=_single_thread,
        )

    def __call__(
        self, batches: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[dict[Modality, Tensor], NDArray[np.int64]]]:
        """Yield one loaded batch for each list of keys."""
        self._batches.batches = [list(batch) for batch in batches]
        yield from self._loader


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)


def worker_count(config: RunConfig, items: int, device: torch.device) -> int:
    """Return the configured number of loader processes, or a guess: up to 8, but none for small sets on a CPU.

    A trunk on a CPU takes many times as long as reading its images, so that starting processes pays late.

    Args:
        config: its ``data.workers`` wins when given.
        items: number of items that will be read.
        device: that computes.
    """
    if config.data.workers is not None:
        return config.data.workers
    return 0 if device.type == "cpu" and items < 2_000 else min(8, os.cpu_count() or 1)
