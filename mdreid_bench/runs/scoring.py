"""Measuring the cells of a run one after the other, and writing each to disk while the next are measured."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from mdreid_bench.embedding.stored import StoredItems
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.lock import attempt, locked
from mdreid_bench.runs.outcome import Outcome
from mdreid_bench.runs.plan import Cell

WRITERS = 8
"""Most cells that are on their way to the disk at once: most of that time is spent waiting for it."""


@dataclass(frozen=True)
class _Begun:
    """A cell that is measured and perhaps not yet written, with the lock that it is held by until it is."""

    cell: Cell
    lock: ExitStack
    record: "Future[Record]"


def measured(cells: Sequence[Cell], scorer: CellScorer, items: StoredItems, log: RunLog) -> Iterator[Outcome]:
    """Measure cells, those that other processes are measuring last, and yield an outcome once each is on the disk.

    Whoever stops in between, or is interrupted, leaves on the disk what had been measured.
    """
    with closing(_Writing(scorer, log)) as writing:
        taken = []
        for cell in cells:
            lock = ExitStack()
            with log.failures():
                held = lock.enter_context(attempt(cell.lock))
            if held is None:
                taken.append(cell)
            else:
                yield from writing.measure(cell, items, lock)
        yield from writing.rest()
        for cell in taken:
            lock = ExitStack()
            with log.failures():
                lock.enter_context(locked(cell.lock, f"{cell.name} of {cell.run.name}", log))
            yield from writing.measure(cell, items, lock)
            yield from writing.rest()


class _Writing:
    """The cells of one scope that are being written."""

    def __init__(self, scorer: CellScorer, log: RunLog) -> None:
        self._scorer, self._log = scorer, log
        self._pool = ThreadPoolExecutor(WRITERS)
        self._begun = deque[_Begun]()

    def measure(self, cell: Cell, items: StoredItems, lock: ExitStack) -> Iterator[Outcome]:
        """Measure a cell, unless another process did so before; yield what is known of this one and earlier ones."""
        with self._log.failures(), ExitStack() as stack:
            stack.push(lock)
            stored, failure = cell.run.scope.believed(str(cell.setting), cell.form), None
            if stored is None:
                try:
                    found = replace(self._scorer, form=cell.form).measure(items, cell.setting)
                except MdreidError as error:
                    failure = self._failed(cell, error)
                else:
                    record = self._pool.submit(self._scorer.scope.write, *found)
                    self._begun.append(_Begun(cell, stack.pop_all(), record))
        if stored is not None or failure is not None:
            yield from self.rest()
            yield failure or Outcome(cell, "reused", stored)
        while self._begun and (len(self._begun) >= WRITERS or self._begun[0].record.done()):
            yield self._finish(self._begun.popleft())

    def rest(self) -> Iterator[Outcome]:
        """Yield the outcomes of all that was begun."""
        while self._begun:
            yield self._finish(self._begun.popleft())

    def close(self) -> None:
        """Wait for what is being written, and let go of its locks."""
        self._pool.shutdown()
        while self._begun:
            self._begun.popleft().lock.close()

    def _finish(self, begun: _Begun) -> Outcome:
        with self._log.failures(), begun.lock:
            try:
                return Outcome(begun.cell, "done", begun.record.result())
            except MdreidError as error:
                return self._failed(begun.cell, error)

    def _failed(self, cell: Cell, error: MdreidError) -> Outcome:
        self._log.note(f"failed: {cell.name}: {error}")
        return Outcome(cell, "failed", error=error, where=f"{cell.run.name}, {cell.name}")
