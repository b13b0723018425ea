"""What the benchmarks share: requirements that end up in the report, ratios, and the memory of this process."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

FULL = bool(os.environ.get("MDREID_BENCH_FULL"))
MEBIBYTE = 2**20
REQUIRED = "required"
"""Where the requirements stand in the extra information of a benchmark."""
PEER = "peer"
"""Where a benchmark of another package's work says what it found; report.py knows the keys."""
Benchmark: TypeAlias = Any
"""The fixture of pytest-benchmark, whose methods have no types."""


def require(
    benchmark: Benchmark, what: str, measured: float, limit: float, unit: str, *, least: bool = False
) -> None:
    """Note a requirement for the report, then fail unless it is met.

    Args:
        benchmark: whose requirement it is.
        what: is required, in words.
        measured: what was reached.
        limit: the most that is allowed, or the least.
        unit: of both.
        least: whether the limit is the least.
    """
    entry = {"what": what, "measured": round(measured, 3), "limit": limit, "unit": unit, "least": least}
    benchmark.extra_info.setdefault(REQUIRED, []).append(entry)
    side = "at least" if least else "at most"
    assert met(entry), f"{what}: {measured:.3g} {unit}, {side} {limit:g} required"


def met(entry: dict[str, Any]) -> bool:
    """Tell whether a requirement is met."""
    measured, limit = entry["measured"], entry["limit"]
    return bool(measured >= limit if entry["least"] else measured <= limit)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(work: Callable[[], object], reference: Callable[[], object], rounds: int = 7) -> float:
    """Divide the fastest times of two pieces of work that take turns, so that a busy machine slows down both."""
    fastest = [float("inf"), float("inf")]
    for _ in range(rounds):
        for number, call in enumerate((work, reference)):
            fastest[number] = min(fastest[number], seconds(call))
    return fastest[0] / fastest[1]


@contextmanager
def resident_growth() -> Iterator[Callable[[], int]]:
    """Watch the memory of this process; the yielded function returns its largest growth so far in bytes."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("resident memory is read from /proc")

    def resident() -> int:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    start, peak, done = resident(), [resident()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak[0] - start
    finally:
        done.set()
        thread.join()
