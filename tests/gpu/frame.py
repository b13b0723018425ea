"""What the checks of a GPU share: what they are given, the lines they yield, and works that are timed by turns."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from mdreid_bench.models.method import Method
from tests.benchmarks.paper_trunk import timed, untrained

Verdict = Literal["pass", "FAIL", "measured"]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: was looked at.
        measured: what was found, in words or as a number with its unit.
        required: what it must be; empty where nothing is required.
        verdict: whether it is.
    """

    what: str
    measured: str
    required: str = ""
    verdict: Verdict = "measured"


@dataclass(frozen=True)
class Sizes:
    """How much is done; the defaults are those of the paper, on a GPU.

    Attributes:
        preset: whose trunk and image size are measured.
        step: triplets of a training step.
        batch: triplets of a batch of extraction.
        side: of the square matrices whose product shows what the card can do.
        rounds: how often everything is timed.
        epochs: of the training that is killed.
        methods: whose contract is checked; all without any.
        compiled: whether trunks are compiled, which takes its time.
        drawn: whether the images of the pipeline are drawn, and not of one colour.
    """

    preset: str = "paper"
    step: int = 64
    batch: int = 128
    side: int = 8192
    rounds: int = 10
    epochs: int = 30
    methods: tuple[str, ...] = ()
    compiled: bool = True
    drawn: bool = True


TINY = Sizes("tiny", 16, 1, 64, 1, 3, ("mdreid",), compiled=False, drawn=False)
"""For a moment on a CPU, to see that the checks themselves work; the figures mean nothing."""


@dataclass(frozen=True)
class Bench:
    """What a check is given: the device, sizes, and an empty folder."""

    device: torch.device
    sizes: Sizes
    folder: Path

    def untrained(self, name: str = "mdreid") -> Method:
        """Return a method at the size in question, with seeded random weights, on the CPU."""
        return untrained(name, self.sizes.preset)

    def peak_memory(self, work: Callable[[], object]) -> str:
        """Do a piece of work and say how much memory of the card was taken at its peak."""
        if self.device.type != "cuda":
            work()
            return "memory is counted on CUDA alone"
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        return f"{torch.cuda.max_memory_allocated(self.device) / 2**30:.2f} GiB"

    def turns(self, works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """Return the fastest time of each work in seconds; they take turns, after one round that is not counted."""
        fastest = dict.fromkeys(works, math.inf)
        for number in range(self.sizes.rounds + 1):
            for name, work in works.items():
                taken = timed(work, self.device)
                if number:
                    fastest[name] = min(fastest[name], taken)
        return fastest


Check = Callable[[Bench], Iterable[Line]]
"""Yields lines as it finds them, so that those before an error are kept."""


def required(
    what: str, measured: float, limit: float, unit: str = "", *, least: bool = False, more: str = ""
) -> Line:
    """Return the line of a number with a limit; ``more`` is added to what was measured."""
    met = measured >= limit if least else measured <= limit
    unit = f" {unit}" if unit else ""
    side = "at least" if least else "at most"
    shown = f"{measured:.6g}{unit}{', ' * bool(more)}{more}"
    return Line(what, shown, f"{side} {limit:g}{unit}", "pass" if met else "FAIL")


def chosen(what: str, times: Mapping[str, float], choice: str) -> Line:
    """Return the line of a choice that the suite has made, which must not be slower than another by more than 5 %."""
    best = min(times, key=times.__getitem__)
    shown = ", ".join(f"{name} {1000 * seconds:.3g} ms" for name, seconds in times.items())
    met = times[choice] <= 1.05 * times[best]
    return Line(what, shown, f"{choice} within 5 % of the fastest", "pass" if met else "FAIL")
