"""What extraction, training and the reading of images reach on the card, at the paper's size."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from mdreid_bench.config.schema import Precision
from mdreid_bench.data import registry
from mdreid_bench.data.feeding import Feeder, worker_count
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import TestImages
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic.write import write_frames
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.models.trunk.inference_copy import inference_copy
from mdreid_bench.processes.device import DTYPES
from mdreid_bench.progress import Silent
from protocols.modality import RNT, subsets
from tests.benchmarks.paper_trunk import cameras, configure, pictures
from tests.benchmarks.steps import Step
from tests.data.trees import plant, small_plan
from tests.gpu.frame import Bench, Check, Line, required

SHARE = 0.45
"""Of the card's bf16 peak."""
BESIDE_TRUNK = 1.10
"""The most that a training step may take, in times of its trunk."""
BATCHES = 6
"""Of the images that are read."""
DATA_SHEET = {
    "H200": 989,
    "H100 NVL": 835,
    "H100 PCIe": 756,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "RTX 4090": 165,
    "A10": 125,
}
"""10^12 dense bf16 operations per second that the maker states, by a part of the name; the first that fits."""


def checks() -> Sequence[tuple[str, Check]]:
    """Return the checks of speed."""
    return (("peak", peak), ("extraction", extraction), ("training step", step), ("image pipeline", pipeline))


def square_rate(bench: Bench, dtype: torch.dtype = torch.bfloat16) -> float:
    """Return the operations per second of a large square product: what the card does at its best."""
    side = bench.sizes.side
    one, other = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
    return 2 * side**3 / bench.turns({"product": lambda: one @ other})["product"]


def peak(bench: Bench) -> Iterable[Line]:
    """Measure the square product, and tell what the data sheet says of a card that is known."""
    rate, side = square_rate(bench), bench.sizes.side
    name = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "a CPU"
    stated = next((f"{value} 10^12/s" for part, value in DATA_SHEET.items() if part in name), "not known here")
    shown = f"{rate / 1e12:.4g} 10^12/s; data sheet: {stated}"
    yield Line(f"peak of the card: bf16 product of matrices of side {side}", shown)


def extraction(bench: Bench) -> Iterable[Line]:
    """Embed a batch for all subsets in each precision; the share of the peak is required of bf16."""
    count, limit = bench.sizes.batch, square_rate(bench)
    whole, size = bench.untrained(), configure("mdreid", bench.sizes.preset).image_size
    images, where = pictures(count, bench.device, size), cameras(count, bench.device)
    precisions: tuple[Precision, ...] = ("bf16", "fp16", "fp32")
    for precision in precisions:
        method = inference_copy(whole, bench.device, DTYPES[precision])
        with FlopCounterMode(display=False) as counted:
            method.embed_all(images, where, subsets(RNT))
        work = {"batch": lambda method=method: method.embed_all(images, where, subsets(RNT))}
        taken = bench.turns(work)["batch"]
        more = f"{count / taken:.4g} triplets/s, {bench.peak_memory(work['batch'])}"
        what, share = f"extraction, batch of {count} triplets, {precision}", counted.get_total_flops() / taken / limit
        if precision == "bf16":
            yield required(f"{what}: share of the bf16 peak", share, SHARE, least=True, more=more)
        else:
            yield Line(f"{what}: share of the bf16 peak", f"{share:.3g}, {more}")


def step(bench: Bench) -> Iterable[Line]:
    """Take training steps of MDReID in bf16, by turns with its trunk alone."""
    count = bench.sizes.step
    work = Step("bf16", count, device=bench.device, preset=bench.sizes.preset)
    with FlopCounterMode(display=False) as counted:
        work()
    times = bench.turns({"step": work, "trunk": work.trunk})
    share = counted.get_total_flops() / times["step"] / square_rate(bench)
    more = f"{count / times['step']:.4g} triplets/s, {bench.peak_memory(work)}"
    what = f"training step, batch of {count} triplets, bf16"
    yield required(f"{what}: share of the bf16 peak", share, SHARE, least=True, more=more)
    yield required(f"{what}: against its trunk alone", times["step"] / times["trunk"], BESIDE_TRUNK, "times")


def synthetic(bench: Bench, items: int) -> DatasetIndex:
    """Return an index of so many triplets of RGBNT201, whose images repeat those of a few that are drawn."""
    root, known = bench.folder / "images", registry.get("rgbnt201")
    folder = plant(root, "rgbnt201")
    if bench.sizes.drawn:
        write_frames(folder, known.card.kind, "rgbnt201", 0, small_plan("rgbnt201"))
    index = open_dataset("rgbnt201", root, Silent())
    return replace(index, test=index.test.take(np.arange(items) % len(index.test)))


def pipeline(bench: Bench) -> Iterable[Line]:
    """Read, decode and resize images with as many processes as a run would start, against the bf16 trunk."""
    count = bench.sizes.batch
    config = configure("mdreid", bench.sizes.preset, evaluation={"batch_size": count, "precision": "bf16"})
    index = synthetic(bench, BATCHES * count)
    whole = bench.untrained()
    method = inference_copy(whole, bench.device, torch.bfloat16)
    images, where = pictures(count, bench.device, config.image_size), cameras(count, bench.device)
    works = {"trunk": lambda: method.embed_all(images, where, subsets(RNT))}
    trunk = bench.turns(works)["trunk"] / count
    workers = worker_count(config, len(index.test), bench.device)
    feeder = Feeder(TestImages(index, config), workers, pin=bench.device.type == "cuda")
    batches = [range(start, start + count) for start in range(0, len(index.test), count)]

    def read() -> None:
        for loaded in feeder(batches):
            loaded.pixels.to(bench.device, non_blocking=True)

    def run() -> None:
        embedded(whole, index, config, bench.device, subsets(RNT))

    short = replace(bench, sizes=replace(bench.sizes, rounds=min(2, bench.sizes.rounds)))
    reading = short.turns({"reading": read})["reading"] / len(index.test)
    more = f"{3 / reading:.4g} images/s read by {workers} processes, {3 / trunk:.4g} images/s through the trunk"
    yield required("image pipeline against the bf16 trunk", trunk / reading, 1.0, "times", least=True, more=more)
    together = short.turns({"run": run})["run"] / len(index.test)
    yield Line("extraction with its images, processes started anew", f"{1 / together:.4g} triplets/s")
