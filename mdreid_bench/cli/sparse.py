"""Progress as plain lines, for logs and pipes, and for what stays on a terminal when a bar is gone."""

import statistics
from collections.abc import Callable

from mdreid_bench.wording import duration

LINE_SECONDS, LATEST_SECONDS, SHARE = 10.0, 30.0, 0.1
"""A running task writes a line when a tenth more is done, 10 s after the last at the soonest, 30 s at the latest."""
QUIET_SECONDS = 2.0
"""A task that ends sooner leaves nothing on a terminal; elsewhere, where a line is one for ever, one sooner than
``LINE_SECONDS``."""


class SparseTask:
    """One task that writes a line now and then and one at its end.

    Args:
        clock: seconds from any origin.
        running: whether there are lines while the task runs, beside the last one.
    """

    def __init__(
        self,
        description: str,
        total: int,
        write: Callable[[str], None],
        clock: Callable[[], float],
        running: bool = True,
    ) -> None:
        self._description, self._total, self._write, self._clock = description, total, write, clock
        self._running = running
        self._done, self._shown, self._note = 0, 0, ""
        self._start = self._last = clock()

    def step(self, count: int = 1, note: str = "") -> None:
        """Advance by ``count`` units and remember ``note``."""
        self._done += count
        self._note = note or self._note
        now = self._clock()
        waited, gained = now - self._last, self._done - self._shown
        due = waited >= LATEST_SECONDS or (waited >= LINE_SECONDS and gained >= SHARE * self._total)
        if self._running and due and self._done < self._total:
            self._last, self._shown = now, self._done
            self._line(f"{duration(self.whole(now) - (now - self._start))} left")

    def whole(self, now: float) -> float:
        """Return the seconds that the task takes in all, as far as can be told at a time; infinite at its start."""
        return (now - self._start) * self._total / self._done if self._done else float("inf")

    def close(self) -> None:
        """Write the last line, with the time that the task took, unless it took hardly any."""
        elapsed = self._clock() - self._start
        if elapsed >= (LINE_SECONDS if self._running else QUIET_SECONDS):
            self._line(f"took {duration(elapsed)}")

    def _line(self, timing: str) -> None:
        parts = [f"{self._description}: {self._done}/{self._total}", timing, self._note]
        self._write(", ".join(part for part in parts if part))


class RunsAhead:
    """Which run of a plan is at work, and how long the whole plan takes, as far as the runs so far can tell.

    Args:
        total: runs that have something to measure.
        clock: seconds from any origin.
    """

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total, self._clock = total, clock
        self._took: list[float] = []
        self._start: float | None = None
        self._shown: tuple[float, int] | None = None
        self._label = ""

    def begin(self, label: str) -> None:
        """Go on to the next run, which ends the one before."""
        now = self._clock()
        if self._start is not None:
            self._took.append(now - self._start)
        self._start, self._label = now, label

    def due(self) -> bool:
        """Tell whether a line is due where lines stay: with every tenth of the runs, or after 30 s."""
        begun, number = self._start or 0.0, len(self._took) + 1
        if self._shown is not None:
            waited, gained = begun - self._shown[0], number - self._shown[1]
            if waited < LATEST_SECONDS and gained < SHARE * self._total:
                return False
        self._shown = begun, number
        return True

    def headline(self, task: SparseTask | None = None) -> str:
        """Return one line on the run at work; in the first one, its running task tells the time left."""
        if self._start is None:
            return ""
        now, number = self._clock(), len(self._took) + 1
        each = statistics.fmean(self._took) if self._took else task.whole(now) if task else float("inf")
        left = max(each - (now - self._start), 0.0) + each * (self._total - number)
        told = f"; about {duration(left)} left for all" if left < float("inf") else ""
        return f"Run {number} of {self._total}: {self._label}{told}"
