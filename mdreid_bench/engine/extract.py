"""One pass over the distinct test images, seven embedding matrices on disk."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import Feeder, TestTriplets, worker_count
from mdreid_bench.evaluation.embeddings import EmbeddingFolder, TestItems
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Reporter
from mdreid_bench.results.atomic import replacing
from protocols.modality import SUBSETS, Modality


def extract(
    method: Method,
    index: DatasetIndex,
    config: RunConfig,
    folder: EmbeddingFolder,
    device: torch.device,
    reporter: Reporter,
) -> None:
    """Embed every distinct test triplet for all seven subsets and store the result.

    Args:
        method: trained; put into evaluation mode on ``device``.
        index: its test frame is embedded row by row.
        config: image size and batch size.
        folder: where the matrices go; complete once its item table exists.
        device: to compute on.
        reporter: receives progress.
    """
    method = method.to(device).eval()
    count, size = len(index.test), config.evaluation.batch_size
    cameras = torch.from_numpy(index.test["camera"].to_numpy(np.int64, copy=True))
    feeder = Feeder(TestTriplets(index, config), worker_count(config, count), pin=device.type == "cuda")
    batches = [range(start, min(start + size, count)) for start in range(0, count, size)]
    with ExitStack() as stack:
        targets: dict[Modality, np.memmap] = {}
        paths = {s: stack.enter_context(replacing(folder.matrix(s))) for s in SUBSETS}
        step = stack.enter_context(reporter.track(f"extracting {config.method} on {config.dataset}", count))
        for images, rows in feeder(batches):
            on_device = {m: x.to(device, non_blocking=True) for m, x in images.items()}
            vectors = method.embed_all(on_device, cameras[rows].to(device), SUBSETS)
            for subset, matrix in vectors.items():
                if subset not in targets:
                    targets[subset] = _new_matrix(paths[subset], count, matrix.shape[1])
                targets[subset][rows] = matrix.float().cpu().numpy()
            step(len(rows))
        for target in targets.values():
            target.flush()
    folder.write_items(TestItems.of(index))


def _new_matrix(path: Path, rows: int, width: int) -> np.memmap:
    matrix: np.memmap = open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
    return matrix
