"""What a training step at the paper's size costs beyond its trunk."""

import pytest

from mdreid_bench.config.schema import Precision
from tests.benchmarks.measuring import Benchmark, require
from tests.benchmarks.paper_trunk import CPU, timed
from tests.benchmarks.steps import Step

TRIPLETS: dict[Precision, int] = {"fp32": 16, "bf16": 32}
ROUNDS = 3


@pytest.mark.parametrize("precision", TRIPLETS)
def test_step_against_its_trunk(benchmark: Benchmark, precision: Precision) -> None:
    step = Step(precision, TRIPLETS[precision])
    trunk: list[float] = []
    step.trunk()
    benchmark.pedantic(step, setup=lambda: trunk.append(timed(step.trunk, CPU)), rounds=ROUNDS, warmup_rounds=1)
    fastest = benchmark.stats["min"]
    benchmark.extra_info["ms a triplet"] = round(1000 * fastest / TRIPLETS[precision])
    what = f"training step of MDReID against its trunk alone, {precision}, {TRIPLETS[precision]} triplets"
    require(benchmark, what, fastest / min(trunk[1:]), 1.10, "times")
