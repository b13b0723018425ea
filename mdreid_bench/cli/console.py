"""The only place that prints: results to stdout, everything else to stderr."""

import codecs
import io
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.measure import measure_renderables
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column as RichColumn
from rich.table import Table as RichTable
from rich.text import Text

from mdreid_bench.cli.sparse import LINE_SECONDS, RunsAhead, SparseTask
from mdreid_bench.errors import DataError, MdreidError
from mdreid_bench.processes.launch import launched
from mdreid_bench.progress import Step
from mdreid_bench.report.render.terminal import render_rich
from mdreid_bench.report.table import Table
from mdreid_bench.wording import printable

NARROWEST = 40
"""Columns of text below which words would be cut."""
_SPELT = {"±": "+-", "—": "-", "…": "..."}
PIPE_WIDTH = 120
"""Columns of text assumed where there is no terminal to ask; tables take as many as they need."""


class ReaderGoneError(MdreidError):
    """Nobody reads the output any more, as after ``| head``; there is nobody to tell either."""

    exit_code = 141  # as shells report a program that SIGPIPE has ended


class _Stream(RichConsole):
    """A stream that leaves it to others to end the program when nobody reads it."""

    def on_broken_pipe(self) -> None:
        """Say so.

        Raises:
            ReaderGoneError: always.
        """
        raise ReaderGoneError


class Console:
    """Shows messages, progress, tables and results; implements :class:`mdreid_bench.progress.Reporter`.

    On a terminal, running tasks have a bar with the time left. Elsewhere a task prints a line now and then, and
    there are no colours. Of several processes that work together, only the first prints anything but errors.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        follows = launched()[0] > 0
        self._out = _Stream(quiet=follows, highlight=False, markup=False, emoji=False)
        self._err = _Stream(stderr=True, quiet=follows, highlight=False, markup=False, emoji=False)
        for console in (self._out, self._err):
            if not console.is_terminal:
                console.width = max(console.width, PIPE_WIDTH)
        self._clock = clock
        self._progress: _Bars | None = None
        self._runs: RunsAhead | None = None
        self._tasks: list[SparseTask] = []

    @property
    def ascii_only(self) -> bool:
        """Whether stdout takes nothing but ASCII."""
        return not self._out.encoding.startswith("utf")

    @property
    def width(self) -> int:
        """Columns of text of stdout."""
        return self._out.width

    @property
    def height(self) -> int | None:
        """Lines of stdout at a time; None where it is no terminal."""
        return self._out.height if self._out.is_terminal else None

    @contextmanager
    def live(self) -> Iterator[Callable[[Text], None]]:
        """Show a picture on stdout, which each call replaces by the next; without a terminal, the last one alone."""
        pictures = [Text()]
        with writing():
            if self._out.is_terminal:
                with Live(console=self._out, auto_refresh=False) as live:
                    yield lambda shown: live.update(shown, refresh=True)
                return
            yield lambda shown: pictures.__setitem__(0, shown)
            self._out.print(pictures[0], soft_wrap=True)

    @contextmanager
    def picture(self) -> Iterator[Callable[[Callable[[int, int], Text], str], None]]:
        """Show what is drawn for a width and a height on stderr; without a terminal, its line, where that is new."""
        shown = [("", -LINE_SECONDS)]

        def write(draw: Callable[[int, int], Text], line: str) -> None:
            text, last = shown[0]
            if line != text and self._clock() - last >= LINE_SECONDS:
                shown[0] = line, self._clock()
                self._line(line)

        if not self._err.is_terminal:
            yield write
            return
        with writing(), Live(console=self._err, auto_refresh=False, transient=True) as live:
            yield lambda draw, line: live.update(draw(self._err.width, self._err.height), refresh=True)

    def message(self, text: str) -> None:
        """Show one line of plain text on stderr."""
        self._line(text)

    def warn(self, text: str) -> None:
        """Show a warning on stderr."""
        self._line(text, "Warning: ", "yellow")

    def error(self, text: str) -> None:
        """Show an error on stderr."""
        self._err.quiet = False
        self._line(text, "Error: ", "bold red")

    def traceback(self) -> None:
        """Show the traceback of the exception being handled on stderr."""
        with writing():
            self._err.out(traceback.format_exc(), end="")

    def result(self, text: str | Path) -> None:
        """Write one line to stdout, never wrapped."""
        with writing():
            self._out.out(printable(str(text)))

    def json(self, value: Any) -> None:
        """Write plain values to stdout as indented JSON; what could steer a terminal is escaped."""
        text = json.dumps(value, indent=2, ensure_ascii=self.ascii_only, allow_nan=False)  # JSON has its own escapes
        safe = (char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)
        with writing():
            self._out.out("".join(safe))

    def table(self, table: Table) -> None:
        """Write a table to stdout and an empty line after it; nothing in it is cut short.

        Where the output is piped, the lines are as long as the cells need; on a terminal, the table is fitted to it.
        """
        drawn = render_rich(table, max(self._out.width, NARROWEST) if self._out.is_terminal else None)
        self._out.width = max(self._out.width, self._room(drawn))
        with writing():
            self._out.print(drawn)
            self._out.line()

    def _room(self, drawn: Group) -> int:
        """Return the columns of text that a table needs when no cell wraps."""
        unbounded = self._out.options.update(max_width=10_000)
        grids = [part for part in drawn.renderables if isinstance(part, RichTable)]
        return measure_renderables(self._out, unbounded, grids).maximum

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Step]:
        """Show a task of ``total`` units while the block runs."""
        bars = self._err.is_terminal
        lines = SparseTask(description, total, self._line, self._clock, running=not bars)
        self._tasks.append(lines)
        try:
            if bars:
                with self._bar(description, total, lines) as step:
                    yield step
            else:
                yield lines.step
        finally:
            self._tasks.remove(lines)
        lines.close()

    @contextmanager
    def runs(self, total: int) -> Iterator[Callable[[str], None]]:
        """Show which of ``total`` runs is at work while the block runs; the yielded function begins the next one."""
        ahead = self._runs = RunsAhead(total, self._clock)

        def begin(label: str) -> None:
            ahead.begin(label)
            if not self._err.is_terminal and ahead.due():
                self._line(f"{ahead.headline()}.")

        try:
            yield begin
        finally:
            self._runs = None

    def _headline(self) -> str:
        """Return what stands above the bars, if anything."""
        return printable(self._runs.headline(self._tasks[-1] if self._tasks else None)) if self._runs else ""

    @contextmanager
    def _bar(self, description: str, total: int, lines: SparseTask) -> Iterator[Step]:
        """Draw a bar below those of the tasks around this one; ``lines`` learns of every step too."""
        outermost = self._progress is None
        progress = self._progress = self._progress or _Bars(self._err, self._headline)
        progress.start()
        task = progress.add_task(printable(description), total=total, note="")

        def step(count: int = 1, note: str = "") -> None:
            lines.step(count, note)
            progress.advance(task, count)
            if note:
                progress.update(task, note=printable(note))

        try:
            yield step
        finally:
            progress.remove_task(task)
            if outermost:
                progress.stop()
                self._progress = None

    def _line(self, text: str, label: str = "", style: str = "") -> None:
        with writing():
            self._err.print(Text.assemble((label, style), printable(text)), soft_wrap=True)


@contextmanager
def writing() -> Iterator[None]:
    """Say that it is the output which cannot be written, not a file."""
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None
    except OSError as error:
        raise DataError(f"The output cannot be written: {error.strerror}.") from None


def ready_streams() -> None:
    """Let the standard streams write anything, whatever their encoding: what it lacks is spelt in ASCII.

    On a terminal too narrow for any text, lines are longer than it is.
    """
    if os.environ.get("COLUMNS") == "0" or shutil.get_terminal_size().columns < NARROWEST:
        os.environ["COLUMNS"] = str(NARROWEST)
    codecs.register_error("spelt", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="spelt")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SPELT.get(char, ascii(char)[1:-1]) for char in lacking), error.end


def release_streams() -> None:
    """Flush the standard streams at the end; what one does not take goes nowhere, or Python would complain of it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except (AttributeError, ValueError):  # there is none, or it is closed
            continue


class _Bars(Progress):
    """Bars with a line above them; what a task says of itself has the room that bar, count and time leave."""

    def __init__(self, console: RichConsole, headline: Callable[[], str]) -> None:
        self._headline = headline
        super().__init__(
            TextColumn("{task.description}", markup=False, table_column=RichColumn(no_wrap=True)),
            BarColumn(bar_width=max(8, min(40, console.width // 8))),
            MofNCompleteColumn(table_column=RichColumn(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=RichColumn(no_wrap=True)),
            TextColumn(
                "{task.fields[note]}",
                markup=False,
                table_column=RichColumn(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=console,
            transient=True,
            expand=True,
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the line, then the bars."""
        if line := self._headline():
            yield Text(line)
        yield from super().get_renderables()
