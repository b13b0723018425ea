"""Embeddings from stored ones: another pass over the images is spared where only options of the comparison differ."""

from contextlib import ExitStack

import numpy as np
import torch

from mdreid_bench.results.storage.atomic import replacing
from mdreid_bench.runs.run import Run
from protocols.modality import subsets


def derive(run: Run, source: Run) -> None:
    """Write the embeddings of a run.

    Args:
        run: without embeddings.
        source: the run's own ``source``, with embeddings.

    Raises:
        DataError: when stored embeddings are damaged.
    """
    items = source.embeddings.read_items()
    with ExitStack() as stack:
        for subset in subsets(run.index.sensors):
            path = stack.enter_context(replacing(run.embeddings.matrix(subset)))
            stored = torch.from_numpy(np.array(source.embeddings.load(subset, items)))
            with path.open("wb") as file:
                np.save(
                    file,
                    run.method.derive(stored, run.config.options, run.facts.modalities).numpy(),
                    allow_pickle=False,
                )
    run.embeddings.write_items(items)
