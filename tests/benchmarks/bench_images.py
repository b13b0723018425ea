"""Whether reading, decoding and resizing keep up with the fastest trunk."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdreid_bench.data.feeding import Feeder
from mdreid_bench.data.loading import TestImages
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.progress import Silent
from protocols.modality import RNT, subsets
from tests.benchmarks.measuring import Benchmark, require
from tests.benchmarks.paper_trunk import CPU, cameras, configure, pictures, timed, untrained

WORKERS, BATCHES, BATCH = 2, 12, 32
TRUNK_TRIPLETS = 24


@pytest.mark.parametrize("dataset", ["rgbnt201", "rgbnt100"])
def test_images_against_the_trunk(benchmark: Benchmark, dataset: str) -> None:
    """Synthetic images of the published size, with two worker processes that are already running."""
    index = open_dataset(dataset, resolve_data_root(None, dataset, Silent()).root, Silent())
    rows = np.arange(BATCHES * BATCH) % len(index.test)
    index = replace(index, test=index.test.take(rows))
    feeder = Feeder(TestImages(index, configure("mdreid")), WORKERS)
    batches = [range(start, start + BATCH) for start in range(0, len(rows), BATCH)]

    def read() -> None:
        for _ in feeder(batches):
            pass

    read()
    benchmark.pedantic(read, rounds=3)
    method = inference_copy(untrained("mdreid"), CPU, torch.bfloat16)
    images, where = pictures(TRUNK_TRIPLETS), cameras(TRUNK_TRIPLETS)
    trunk = min(timed(lambda: method.embed_all(images, where, subsets(RNT)), CPU) for _ in range(4)) / TRUNK_TRIPLETS
    reading = benchmark.stats["min"] / len(rows)
    benchmark.extra_info["triplets per second"] = round(1 / reading)
    benchmark.extra_info["of the bf16 trunk"] = round(1 / trunk, 1)
    what = f"speed of the image pipeline with {WORKERS} workers against the bf16 trunk, {dataset}"
    require(benchmark, what, trunk / reading, 5.0, "times", least=True)
