"""Embeddings from stored ones: another pass over the images is spared where only options of the comparison differ."""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.results.storage.atomic import replacing
from protocols.modality import Modality, subsets


def derive(
    source: EmbeddingFolder, target: EmbeddingFolder, sensors: Modality, convert: Callable[[Tensor], Tensor]
) -> None:
    """Write embeddings that follow from others: ``convert`` makes vectors (n, E') of stored ones, (n, E).

    Raises:
        DataError: when stored embeddings are damaged.
    """
    items = source.read_items()
    with ExitStack() as stack:
        for subset in subsets(sensors):
            path = stack.enter_context(replacing(target.matrix(subset)))
            stored = torch.from_numpy(np.array(source.load(subset, items)))
            with path.open("wb") as file:
                np.save(file, convert(stored).numpy(), allow_pickle=False)
    target.write_items(items)
