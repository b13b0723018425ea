"""Embeddings of images outside any dataset, whatever sensors each of them has."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.images import BadImageError, load_rgb
from mdreid_bench.data.items import Items
from mdreid_bench.data.transforms import resize
from mdreid_bench.embedding.extract import Embedder, ready
from mdreid_bench.errors import DataError
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter
from protocols.modality import Modality


def embed(
    method: Method,
    config: RunConfig,
    items: Items,
    camera: int,
    device: torch.device,
    reporter: Reporter,
) -> NDArray[np.float32]:
    """Embed one item or more, each from the sensors that saw it; the paths of their images are whole.

    All were taken by one camera, counted from 0. The method stays as it is.

    Returns:
        ``(n, E)``, in the order of the items.

    Raises:
        UsageError: when the method does not return one vector of the same length for each item.
        DataError: for an unreadable image, or an embedding that is not finite.
        MdreidError: when not even a single item fits into the memory.
    """
    copied = ready(method, config, device)
    embedder = Embedder(copied, device, config, reporter)
    parts: dict[int, NDArray[np.float32]] = {}
    with reporter.track(f"embedding with {config.method}", len(items)) as step, ThreadPoolExecutor() as pool:
        for subset, rows in _batches(items, config.evaluation.batch_size):
            loaded = list(pool.map(lambda row: _load(items.images[row], config), rows))
            images = {m: torch.stack([sample[m] for sample in loaded]) for m in subset}
            cameras = torch.full((len(rows),), camera, dtype=torch.int64)
            vectors = embedder(images, cameras, items.names[rows], (subset,))[subset]
            parts |= dict(zip(rows, vectors, strict=True))
            step(len(rows))
    return np.stack([parts[row] for row in range(len(items))])


def _batches(items: Items, size: int) -> list[tuple[Modality, list[int]]]:
    """Group rows by their sensors, because a batch is encoded with the same sensors for all."""
    batches = []
    for value in np.unique(items.sensors):
        rows = np.flatnonzero(items.sensors == value).tolist()
        batches += [(Modality(int(value)), rows[start : start + size]) for start in range(0, len(rows), size)]
    return batches


def _load(paths: Mapping[Modality, str], config: RunConfig) -> Mapping[Modality, Tensor]:
    """Read and resize the images of an item, each (3, H, W) uint8."""
    images = {}
    for modality, path in paths.items():
        try:
            pixels = resize(load_rgb(Path(path), config.image.counts), config.image_size, training=False)
        except BadImageError as error:
            raise DataError(f"The image {path} cannot be used: {error}.") from None
        images[modality] = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return images
