"""A log file per run: what was said and done, when, and by which process."""

import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from mdreid_bench.errors import MdreidError
from mdreid_bench.progress import Reporter, Step
from mdreid_bench.results.storage.files import open_own
from mdreid_bench.wording import printable

_PROGRESS_SECONDS = 60.0


class RunLog:
    """Passes everything on to another reporter and appends it to a file; implements the same protocol.

    A log that cannot be written, for example for want of its folder, is no reason to stop.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.path, self.reporter = path, reporter

    def message(self, text: str) -> None:
        """Log and show one line."""
        self.note(text)
        self.reporter.message(text)

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Step]:
        """Log the beginning and the end of a task, its notes, and a line a minute in between."""
        start = last = time.monotonic()
        reached = 0
        self.note(f"{description}: {total} to do")
        with self.reporter.track(description, total) as step:

            def both(count: int = 1, note: str = "") -> None:
                nonlocal reached, last
                reached += count
                now = time.monotonic()
                if note or now - last >= _PROGRESS_SECONDS:
                    self.note(f"{description}: {reached}/{total} {note}".rstrip())
                    last = now
                step(count, note)

            yield both
        self.note(f"{description}: {reached}/{total} after {time.monotonic() - start:.1f} s")

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Log whatever ends the block early, with the traceback when nobody expected it."""
        try:
            yield
        except MdreidError as error:
            self.note(f"failed: {error}")
            raise
        except Exception:
            for line in traceback.format_exc().splitlines():
                self.note(line)
            raise
        except BaseException as stop:
            self.note(f"stopped by {type(stop).__name__}")
            raise

    def note(self, text: str) -> None:
        """Append one line to the file."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        line = f"{now} [{os.getpid()}] {printable(text)}\n"
        with suppress(OSError), os.fdopen(open_own(self.path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            file.write(line.encode("utf-8", errors="backslashreplace"))
