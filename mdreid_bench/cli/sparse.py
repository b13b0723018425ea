"""Progress as plain lines, for logs and pipes, and for what stays on a terminal when a bar is gone."""

from collections.abc import Callable

LINE_SECONDS = 5.0
QUIET_SECONDS = 2.0
"""A task that ends sooner prints nothing at all."""


class SparseTask:
    """One task that writes a line now and then and one at its end.

    Args:
        clock: seconds from any origin.
        every: least seconds between two lines while the task runs.
    """

    def __init__(
        self,
        description: str,
        total: int,
        write: Callable[[str], None],
        clock: Callable[[], float],
        every: float = LINE_SECONDS,
    ) -> None:
        self._description, self._total, self._write, self._clock = description, total, write, clock
        self._every = every
        self._done, self._note = 0, ""
        self._start = self._last = clock()

    def step(self, count: int = 1, note: str = "") -> None:
        """Advance by ``count`` units and remember ``note``."""
        self._done += count
        self._note = note or self._note
        now = self._clock()
        if now - self._last >= self._every and self._done < self._total:
            self._last = now
            elapsed = now - self._start
            left = elapsed * (self._total - self._done) / max(self._done, 1)
            self._line(f"{duration(left)} left")

    def close(self) -> None:
        """Write the last line, with the time that the task took, unless it took hardly any."""
        elapsed = self._clock() - self._start
        if elapsed >= QUIET_SECONDS:
            self._line(f"took {duration(elapsed)}")

    def _line(self, timing: str) -> None:
        parts = [f"{self._description}: {self._done}/{self._total}", timing, self._note]
        self._write(", ".join(part for part in parts if part))


def duration(seconds: float) -> str:
    """Write a time span with its two largest units: ``"42 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
