"""Embeddings of images outside any data set, whatever sensors each of them has."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.images import BadImageError, load_rgb
from mdreid_bench.data.transforms import normalise, resize
from mdreid_bench.embedding.extract import Embedder, ready
from mdreid_bench.errors import DataError
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter
from mdreid_bench.search.gallery import Sighting
from protocols.modality import SUBSETS, Modality


def embed(
    method: Method,
    config: RunConfig,
    sightings: Sequence[Sighting],
    camera: int,
    device: torch.device,
    reporter: Reporter,
) -> NDArray[np.float32]:
    """Embed n sightings, each from the sensors that it has.

    Args:
        method: trained; stays as it is.
        config: image size, pixel statistics, batch size and precision.
        sightings: any number, at least one.
        camera: index of the camera that took them all, from 0.
        device: to compute on.
        reporter: receives progress.

    Returns:
        ``(n, E)``, in the order of the sightings.

    Raises:
        DataError: for an unreadable image, or an embedding that is not finite.
        MdreidError: when not even a single sighting fits into the memory.
    """
    copied = ready(method, config, device)
    embedders = {subset: Embedder(copied, device, (subset,), config, reporter) for subset in SUBSETS}
    parts: dict[int, NDArray[np.float32]] = {}
    with reporter.track(f"embedding with {config.method}", len(sightings)) as step, ThreadPoolExecutor() as pool:
        for subset, rows in _batches(sightings, config.evaluation.batch_size):
            loaded = list(pool.map(lambda row: _load(sightings[row], config), rows))
            images = {m: torch.stack([sample[m] for sample in loaded]) for m in subset}
            vectors = embedders[subset](images, torch.full((len(rows),), camera, dtype=torch.int64))[subset]
            parts |= dict(zip(rows, vectors, strict=True))
            step(len(rows))
    result = np.stack([parts[row] for row in range(len(sightings))])
    broken = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(broken):
        raise DataError(f"The embedding of {sightings[int(broken[0])].name} by {config.method} is not finite.")
    return result


def _batches(sightings: Sequence[Sighting], size: int) -> list[tuple[Modality, list[int]]]:
    """Group rows by their sensors, because a batch is encoded with the same sensors for all."""
    batches = []
    for subset in SUBSETS:
        rows = [row for row, sighting in enumerate(sightings) if sighting.available == subset]
        batches += [(subset, rows[start : start + size]) for start in range(0, len(rows), size)]
    return batches


def _load(sighting: Sighting, config: RunConfig) -> Mapping[Modality, Tensor]:
    """Read, resize and normalise the images of a sighting, each (3, H, W)."""
    images = {}
    for modality, path in sighting.paths.items():
        try:
            pixels = resize(load_rgb(path), config.image_size, training=False)
        except BadImageError as error:
            raise DataError(f"The image {path} cannot be used: {error}.") from None
        images[modality] = normalise(pixels, config.image)
    return images
