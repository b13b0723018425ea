"""How long-running code reports what it does, without knowing about terminals."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """Advances a task by ``count`` units and optionally shows a short note, such as the losses."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """Advance."""


class Reporter(Protocol):
    """Receives messages and task progress; the console implements it, tests and Python users may too."""

    def message(self, text: str) -> None:
        """Show one line of plain text."""

    def track(self, description: str, total: int) -> AbstractContextManager[Step]:
        """Open a task of ``total`` units; the yielded function advances it."""


class Silent:
    """A reporter that shows nothing."""

    def message(self, text: str) -> None:
        """Ignore the line."""

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Step]:
        """Yield a function that ignores its arguments."""

        def step(count: int = 1, note: str = "") -> None:
            return None

        yield step
