"""What a training step at the paper's size costs beyond its trunk, and what saving memory costs."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mdreid_bench.engine.device import DTYPES
from mdreid_bench.engine.forward import Forward
from mdreid_bench.engine.nonfinite import is_finite_gradient
from mdreid_bench.engine.optim import build_optimizer
from mdreid_bench.engine.ranks import ALONE
from mdreid_bench.models.mdreid import MDReID
from mdreid_bench.models.method import TrainingBatch
from mdreid_bench.models.stacking import run_trunk
from tests.benchmarks.measuring import MEBIBYTE, Benchmark, require, resident_growth
from tests.benchmarks.paper_trunk import CPU, cameras, configure, pictures, timed, untrained

TRIPLETS = {"fp32": 16, "bf16": 32}
INSTANCES = 8
ROUNDS = 3


class Step:
    """Steps of MDReID: losses, gradients, their check, Adam; and the trunk's share of it."""

    def __init__(self, precision: str, triplets: int, micro_batch: int | None = None) -> None:
        memory = {"micro_batch": micro_batch}
        self.config = configure("mdreid", memory=memory)
        method = untrained("mdreid")
        assert isinstance(method, MDReID)
        self.method, self.precision = method.train(), precision
        self.forward = Forward(method, self.config, precision, ALONE)  # type: ignore[arg-type]
        self.optimizer = build_optimizer(method, self.config)
        self.images, self.cameras = pictures(triplets), cameras(triplets)
        self.identity = torch.arange(triplets) // INSTANCES

    def __call__(self) -> None:
        """Do what the trainer does with a batch."""
        terms = self.forward(TrainingBatch(self.images, self.identity, self.cameras))
        values = [term.item() for term in terms.values()]
        assert all(map(torch.isfinite, map(torch.tensor, values)))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        assert is_finite_gradient(list(self.method.parameters()))
        self.optimizer.step()

    def trunk(self) -> None:
        """Forward and backward of the trunk alone, with a loss that costs nothing."""
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", DTYPES[self.precision], enabled=self.precision != "fp32"):
            tokens = run_trunk(self.method.trunk, self.images, self.cameras)
        total: Tensor = torch.stack([part.float().sum() for part in tokens.values()]).sum()
        torch.autograd.backward(total)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_step_against_its_trunk(benchmark: Benchmark, precision: str) -> None:
    step = Step(precision, TRIPLETS[precision])
    trunk: list[float] = []
    step.trunk()
    benchmark.pedantic(step, setup=lambda: trunk.append(timed(step.trunk, CPU)), rounds=ROUNDS, warmup_rounds=1)
    fastest = benchmark.stats["min"]
    benchmark.extra_info["ms a triplet"] = round(1000 * fastest / TRIPLETS[precision])
    what = f"training step of MDReID against its trunk alone, {precision}, {TRIPLETS[precision]} triplets"
    require(benchmark, what, fastest / min(trunk[1:]), 1.10, "times")


@pytest.mark.parametrize("micro_batch", [None, 4], ids=["at once", "4 at a time"])
def test_memory_of_a_step(benchmark: Benchmark, micro_batch: int | None, tmp_path: Path) -> None:
    step = Step("bf16", TRIPLETS["bf16"], micro_batch)
    step.optimizer.zero_grad(set_to_none=True)
    with resident_growth() as growth:
        benchmark.pedantic(step, rounds=1)
        benchmark.extra_info["MiB added"] = round(growth() / MEBIBYTE)
