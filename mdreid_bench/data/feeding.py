"""Batches from loader processes or from this one; how many there are never changes what is loaded."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info
from torch.utils.data import Dataset as TorchDataset

from mdreid_bench.config.schema import ImageConfig, RunConfig
from mdreid_bench.data.transforms import Box, Pixels, normalised
from mdreid_bench.errors import MdreidError, expected, is_lost_process
from mdreid_bench.progress import Reporter
from protocols.modality import Modality

_SHARED = "/dev/shm"
_AHEAD = 2
"""Batches that each loader process prepares before they are asked for."""
_IN_USE = 2
"""Batches that are in use or on the way beside those."""


Rows = int | tuple[int, ...]
"""The row of an item, or of one item for each sensor."""


class Sample(NamedTuple):
    """The images of one item, (H, W, 3) uint8 by modality, boxes to be filled with noise, and the row of the item."""

    pixels: Mapping[Modality, Pixels]
    boxes: Mapping[Modality, Box]
    row: Rows


class Source(Protocol):
    """Maps keys, such as rows, to samples."""

    item_bytes: int
    """At most so much is passed on for one sample."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, key: Any) -> Sample:
        """Read one."""


class Loaded(NamedTuple):
    """A batch of B samples, in a form that is small to pass on.

    Attributes:
        sensors: the S modalities of all samples.
        pixels: (S, B, 3, H, W) uint8.
        erased: (k, 6), boxes to be filled: sensor, sample, top, left, height and width.
        noise: float32, what they are filled with, (3, height, width) each, one after the other.
        rows: (B,) of the items; (B, S) where each sensor has items of its own.
    """

    sensors: Sequence[Modality]
    pixels: Tensor
    erased: NDArray[np.int64]
    noise: Tensor
    rows: NDArray[np.int64]

    @property
    def images(self) -> dict[Modality, Tensor]:
        """The pixels by modality, (B, 3, H, W) uint8."""
        return dict(zip(self.sensors, self.pixels, strict=True))

    def on(self, device: torch.device, image: ImageConfig) -> dict[Modality, Tensor]:
        """Return the normalised images on a device, (B, 3, H, W) float32 by modality, boxes filled."""
        found = [normalised(x.to(device, non_blocking=True), image) for x in self.pixels]
        noise, start = self.noise.to(device, non_blocking=True), 0
        for sensor, sample, top, left, height, width in self.erased.tolist():
            end = start + 3 * height * width
            box = noise[start:end].view(3, height, width)
            found[sensor][sample, :, top : top + height, left : left + width] = box
            start = end
        return dict(zip(self.sensors, found, strict=True))


def collate(samples: Sequence[Sample]) -> Loaded:
    """Make a batch of samples with the same sensors.

    In a loader process everything large lies in shared memory from the start, so that a lack of it is an error here;
    found out only as the batch is handed over, it would be an error of a thread that nobody waits for.

    Raises:
        ValueError: when their sensors differ.
        RuntimeError: when there is too little shared memory.
    """
    sensors = tuple(samples[0].pixels)
    if any(tuple(sample.pixels) != sensors for sample in samples):
        raise ValueError("the items of a batch must have the same sensors")
    height, width, _ = samples[0].pixels[sensors[0]].shape
    pixels = torch.empty((len(sensors), len(samples), 3, height, width), dtype=torch.uint8)
    erased: list[tuple[int, ...]] = []
    noise: list[NDArray[np.float32]] = []
    _share(pixels)
    planes = pixels.numpy()
    for s, sensor in enumerate(sensors):
        for b, sample in enumerate(samples):
            planes[s, b] = sample.pixels[sensor].transpose(2, 0, 1)
            if sensor in sample.boxes:
                box = sample.boxes[sensor]
                erased.append((s, b, box.top, box.left, *box.noise.shape[1:]))
                noise.append(box.noise.ravel())
    filling = torch.from_numpy(np.concatenate([np.empty(0, dtype=np.float32), *noise]))
    _share(filling)
    rows = np.array([sample.row for sample in samples], dtype=np.int64)
    return Loaded(sensors, pixels, np.array(erased, dtype=np.int64).reshape(-1, 6), filling, rows)


def _share(tensor: Tensor) -> None:
    """Move a tensor to shared memory, in a loader process."""
    if get_worker_info() is not None:
        tensor.share_memory_()  # type: ignore[no-untyped-call]


class _Whole(TorchDataset[Loaded | MdreidError]):
    """Maps the keys of a batch to the batch, or to the error to be raised by whoever asked for it."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, keys: Sequence[Any]) -> Loaded | MdreidError:
        try:
            return collate([self.source[key] for key in keys])
        except MdreidError as error:
            return error
        except RuntimeError as error:
            if "shared memory" not in str(error):
                raise
            return MdreidError(
                f"The shared memory in {_SHARED} is full; use fewer loader processes with --set data.workers=1 or "
                "data.workers=0, or give a container more of it (docker run --shm-size=2g)."
            )


class _Batches:
    """A sampler whose batches are set anew for every epoch, so that loader processes can stay alive."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Feeder:
    """Loads given batches of keys from a source, in order.

    Args:
        source: maps a key to a sample.
        workers: loader processes; 0 loads in this one.
        pin: page-lock the tensors for a CUDA copy.
    """

    def __init__(self, source: Source, workers: int, *, pin: bool = False) -> None:
        self._batches = _Batches()
        self._loader: DataLoader[Any] = DataLoader(
            _Whole(source),
            sampler=self._batches,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=workers,
            prefetch_factor=_AHEAD if workers else None,
            persistent_workers=workers > 0,
            pin_memory=pin,
            worker_init_fn=_single_thread,
            generator=torch.Generator(),
        )

    def __call__(self, batches: Sequence[Sequence[Any]]) -> Iterator[Loaded]:
        """Yield one loaded batch for each list of keys.

        Raises:
            MdreidError: when a loader process has died, or the shared memory is full.
            DataError: for an image that cannot be read any more.
        """
        self._batches.batches = [list(batch) for batch in batches]
        # The loader would take a number from torch's stream whenever it starts its processes anew; here one is taken
        # every time, so that what a network draws afterwards does not depend on how many processes there are.
        torch.empty((), dtype=torch.int64).random_()
        loaded: Loaded | MdreidError | None = None
        try:
            for loaded in self._loader:
                if isinstance(loaded, MdreidError):
                    raise loaded
                yield loaded
        except RuntimeError as error:
            if is_lost_process(error):
                raise expected(error) from error
            raise
        finally:
            # An error that holds this frame, which holds the error, would be left to the collector of garbage, which
            # ends what the processes wait for before it tells them to end, so that it waits five seconds for them.
            loaded = None


def feeder(
    source: Source, batch: int, config: RunConfig, device: torch.device, reporter: Reporter, processes: int = 1
) -> Feeder:
    """Return a feeder with as many loader processes as are asked for, make sense, and fit into the shared memory.

    Args:
        source: maps a key to a sample.
        batch: samples in a batch.
        config: says how many processes, or leaves it open.
        device: that computes.
        reporter: told when there is too little shared memory.
        processes: of this machine that load batches of that size at the same time.
    """
    wanted = worker_count(config, len(source), device)
    free, each = shared_space(), processes * min(batch, len(source)) * source.item_bytes
    workers = fitting(wanted, each, free)
    if workers < wanted:
        needed = (each * (wanted * _AHEAD + _IN_USE) * 5 // 4 >> 20) + 1
        reporter.message(
            f"The {(free or 0) >> 20} MB that are free in {_SHARED} are enough for {workers or 'none'} of {wanted} "
            f"loader processes; a container gets more with docker run --shm-size={needed}m."
        )
    return Feeder(source, workers, pin=device.type == "cuda")


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


def fitting(wanted: int, batch_bytes: int, free: int | None) -> int:
    """Return how many of the wanted loader processes find room for their batches in four fifths of what is free."""
    if free is None:
        return wanted
    batches = free * 4 // 5 // batch_bytes
    return max(0, min(wanted, (batches - _IN_USE) // _AHEAD))


def shared_space() -> int | None:
    """Return how many bytes of shared memory are free; None on a system that does not show it as a folder."""
    try:
        status = os.statvfs(_SHARED)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _as_it_is(loaded: Any) -> Any:
    return loaded


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)
