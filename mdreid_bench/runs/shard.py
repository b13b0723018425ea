"""A share of a plan, the same on every machine that is given the same command."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mdreid_bench.errors import UsageError
from mdreid_bench.runs.run import Run


@dataclass(frozen=True)
class Shard:
    """The part ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``"1/4"``.

        Raises:
            UsageError: for anything else, or a number beyond the count.
        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip(), re.ASCII)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard takes a part and the number of parts, such as 1/4, not {text!r}.")
        return cls(int(match[1]), int(match[2]))

    def take(self, runs: Iterable[Run]) -> list[Run]:
        """Return the runs of this part, in their order; runs that share a training stay together."""
        runs = list(runs)
        ours = sorted({training_of(run) for run in runs})[self.number - 1 :: self.count]
        return [run for run in runs if training_of(run) in ours]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def training_of(run: Run) -> tuple[str, str, int, str]:
    """Return what runs that share a training have in common; it sorts alike however they were asked for."""
    return run.config.dataset, run.config.method, run.config.seed, run.training_key
