"""Peak memory of a piece of work at the paper's size, in a process of its own.

``python -m tests.benchmarks.peak_memory extract|step PRECISION TRIPLETS [MICRO_BATCH]`` writes one number: the bytes
added to what the process had with the method loaded.
"""

import sys
from collections.abc import Sequence

import torch

from mdreid_bench.config.schema import PRECISIONS, Precision
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.processes.device import DTYPES
from protocols.modality import RNT, subsets
from tests.benchmarks.measuring import resident_growth
from tests.benchmarks.paper_trunk import CPU, cameras, pictures, untrained
from tests.benchmarks.steps import Step


def extraction(precision: Precision, triplets: int) -> int:
    """Embed a batch."""
    method = inference_copy(untrained("mdreid"), CPU, DTYPES[precision])
    images, where = pictures(triplets), cameras(triplets)
    with resident_growth() as growth:
        method.embed_all(images, where, subsets(RNT))
        return growth()


def training(precision: Precision, triplets: int, micro_batch: int | None) -> int:
    """Take one step, the first, in which the optimiser makes its slots."""
    step = Step(precision, triplets, micro_batch)
    with resident_growth() as growth:
        step()
        return growth()


def main(arguments: Sequence[str]) -> None:
    """Do the work and write the number."""
    torch.manual_seed(0)
    work, name, triplets, *rest = arguments
    precision = next(known for known in PRECISIONS if known == name)
    if work == "extract":
        found = extraction(precision, int(triplets))
    else:
        found = training(precision, int(triplets), int(rest[0]) if rest else None)
    sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
