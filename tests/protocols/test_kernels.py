"""The same ranking from any matrix kernels, with any number of threads, budget and order of the gallery."""

import json
import os
import signal
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest

from protocols import blas
from protocols.scoring import inner_products
from tests.protocols.kernel_ranking import WIDTHS
from tests.support import mostly_slow

OLDER = ("Sandybridge", "Zen")
"""Between two that the tests take: Sandybridge after Nehalem, Zen with the kernels of Haswell."""
KERNELS = mostly_slow(("Nehalem", "Haswell", "SkylakeX", *OLDER), ("Nehalem", "Haswell"))
each_width = pytest.mark.parametrize("width", [str(width) for width in WIDTHS])


@cache
def ranked(kernels: str, threads: int) -> dict[str, Any]:
    """Rank in a process of its own, as the choice of kernels is made when NumPy is loaded."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernels, "OMP_NUM_THREADS": str(threads)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    command = [sys.executable, "-m", "tests.protocols.kernel_ranking"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGILL:
        pytest.skip(f"this processor cannot run the kernels {kernels}")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@each_width
@pytest.mark.parametrize("kernels", KERNELS)
def test_a_ranking_depends_on_the_vectors_alone(kernels: str, width: str) -> None:
    one, two = ranked(kernels, 1)[width], ranked(kernels, 2)[width]
    assert len(one["digests"]) == 1
    assert one["digests"] == two["digests"]
    assert one["twins"] > 0.8
    assert one["constant is chance"]
    assert two["constant is chance"]


@each_width
@pytest.mark.parametrize("others", [("Haswell",), pytest.param(OLDER, marks=pytest.mark.slow)], ids="-".join)
def test_exact_sums_are_the_same_on_every_processor(width: str, others: tuple[str, ...]) -> None:
    if blas.openblas_kernels() is None:
        pytest.skip("NumPy's BLAS is not OpenBLAS, so its kernels cannot be chosen")
    found = {ranked(kernels, 1)[width]["digests"][0] for kernels in ("Nehalem", *others)}
    assert len(found) == 1


def test_another_blas_has_no_kernels_and_gets_exact_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    blas.openblas_kernels.cache_clear()
    monkeypatch.setattr(blas, "_EXTENSION", "math")
    try:
        assert blas.openblas_kernels() is None
        monkeypatch.setattr(blas, "_EXTENSION", "no_such_module")
        blas.openblas_kernels.cache_clear()
        assert blas.openblas_kernels() is None
        values = np.full((1, 3), 0.1, dtype=np.float32)
        out = np.empty((1, 1), dtype=np.float32)
        inner_products(values, values, out)
        assert out[0, 0] == np.float32(3 * np.float64(np.float32(0.1)) ** 2)
    finally:
        blas.openblas_kernels.cache_clear()
