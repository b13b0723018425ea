"""Peak memory of extraction and of training steps at the paper's size, each in a process of its own."""

import subprocess
import sys

import pytest

from tests.benchmarks.measuring import MEBIBYTE, Benchmark

CASES = {
    "extraction, fp32, 128 triplets": ("extract", "fp32", "128"),
    "extraction, bf16, 128 triplets": ("extract", "bf16", "128"),
    "training step, bf16, 16 triplets at once": ("step", "bf16", "16"),
    "training step, bf16, 16 triplets, 4 at a time": ("step", "bf16", "16", "4"),
}


@pytest.mark.parametrize("case", CASES)
def test_peak_memory(benchmark: Benchmark, case: str) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.peak_memory", *CASES[case]]
    done = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True, text=True), rounds=1)
    benchmark.extra_info["MiB added"] = round(int(done.stdout) / MEBIBYTE)
