"""How alike the parts of an item are that a method keeps apart."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.feeding import feeder
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.loading import TestImages
from mdreid_bench.data.transforms import normalised
from mdreid_bench.embedding.extract import ready
from mdreid_bench.errors import UsageError
from mdreid_bench.models.method import Decoupling, Method
from mdreid_bench.progress import Silent
from protocols.modality import Modality

MOST_ITEMS = 128
"""Test items that are looked at, evenly spaced; the mean of so many cosines is known to about 0.01."""
_BATCH = 16


@torch.inference_mode()
def mean_similarity(
    method: Method,
    wanted: Decoupling,
    index: DatasetIndex,
    sensors: Modality,
    config: RunConfig,
    device: torch.device,
) -> tuple[NDArray[np.float64], int]:
    """Return the mean cosines (P, P) between the P parts of one test item, and how many items they are means over.

    They are at most :data:`MOST_ITEMS` of those that all ``sensors`` saw; with none of these, all is 0. The method
    stays as it is; a copy in the precision of evaluation does the work.

    Raises:
        UsageError: when the method returns anything but a vector for each part that it names.
    """
    copied, parts = ready(method, config, device), len(wanted.names)
    total, items = torch.zeros(parts, parts, dtype=torch.float64), _chosen(index, sensors)
    if not len(items):
        return total.numpy(), 0
    config = config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})
    feed = feeder(TestImages(index, config, items), _BATCH, config, device, Silent())
    cameras = torch.from_numpy(items.labels.camera)
    for loaded in feed(items.batches(_BATCH)):
        images = {m: normalised(loaded.images[m].to(device), config.image) for m in sensors}
        found = copied.parts(copied.encode(images, cameras[loaded.rows].to(device)))
        if found.ndim != 3 or found.shape[:2] != (len(loaded.rows), parts):
            raise UsageError(
                f"The method {method.card.name} breaks its contract: parts of the shape {tuple(found.shape)}, which "
                f"must be a vector of each of {len(loaded.rows)} items for {', '.join(wanted.names)}."
            )
        unit = F.normalize(found.float(), dim=-1)
        total += (unit @ unit.transpose(1, 2)).double().sum(0).cpu()
    return (total / len(items)).numpy(), len(items)


def _chosen(index: DatasetIndex, sensors: Modality) -> Items:
    """Return test items that all of these sensors saw, whatever the limit, evenly spaced."""
    items = (index.unlimited or index).test
    rows = np.flatnonzero((items.sensors & sensors.value) == sensors.value)
    return items.take(rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ITEMS)).round().astype(np.int64)])
