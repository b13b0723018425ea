"""Measuring the cells of a run one after the other, and writing each to disk while the next are measured."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from mdreid_bench.embedding.stored import StoredItems
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.results.form import Form
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.lock import attempt, locked
from protocols.suites import Setting

WRITERS = 8
"""Most cells that are on their way to the disk at once: most of that time is spent waiting for it."""
ToWrite: TypeAlias = Record | Callable[[], Record]
"""A record that is stored by now, or what writes the one that has been measured and returns it."""
Key: TypeAlias = tuple[Setting, Form]
"""What tells a cell from the others of a scope."""
Done: TypeAlias = tuple[Key, bool, Record | MdreidError]
"""What came of a cell, and whether it was written here: not when another process had measured it, or it failed."""
Measure: TypeAlias = Callable[[CellScorer, StoredItems, Setting], ToWrite]


def measure_cell(scorer: CellScorer, items: StoredItems, setting: Setting, *, again: bool = False) -> ToWrite:
    """Measure a cell, unless it is stored by now; ``again`` measures it even so.

    Raises: as :meth:`CellScorer.measure` does.
    """
    stored = None if again else scorer.scope.believed(str(setting), scorer.form)
    return stored or partial(scorer.scope.write, *scorer.measure(items, setting))


def measured(
    cells: Sequence[Key], scorer: CellScorer, items: StoredItems, log: RunLog, measure: Measure = measure_cell
) -> Iterator[Done]:
    """Measure cells, those that other processes are measuring last, and yield each once it is on the disk.

    Whoever stops in between, or is interrupted, leaves on the disk what had been measured.
    """
    scope, taken = scorer.scope, []
    with closing(_Writing(scorer, items, log, measure)) as writing:
        for key in cells:
            lock = ExitStack()
            with log.failures():
                held = lock.enter_context(attempt(scope.lock_path(str(key[0]), key[1])))
            if held is None:
                taken.append(key)
            else:
                yield from writing.measure(key, lock)
        yield from writing.rest()
        for setting, form in taken:
            lock = ExitStack()
            with log.failures():
                what = f"{form.cell(str(setting))} of {scope.path.parent.name}"
                lock.enter_context(locked(scope.lock_path(str(setting), form), what, log))
            yield from writing.measure((setting, form), lock)
            yield from writing.rest()


@dataclass(frozen=True)
class _Begun:
    """A cell that is measured and perhaps not yet written, with the lock that it is held by until it is."""

    key: Key
    lock: ExitStack
    record: "Future[Record]"


class _Writing:
    """The cells of one scope that are being written."""

    def __init__(self, scorer: CellScorer, items: StoredItems, log: RunLog, measure: Measure) -> None:
        self._scorer, self._items, self._log, self._measure = scorer, items, log, measure
        self._pool = ThreadPoolExecutor(WRITERS)
        self._begun = deque[_Begun]()

    def measure(self, key: Key, lock: ExitStack) -> Iterator[Done]:
        """Measure a cell, unless another process did so before; yield what is known of this one and earlier ones."""
        found: ToWrite | MdreidError
        with self._log.failures(), ExitStack() as stack:
            stack.push(lock)
            try:
                found = self._measure(replace(self._scorer, form=key[1]), self._items, key[0])
            except MdreidError as error:
                found = self._failure(key, error)
            if callable(found):
                self._begun.append(_Begun(key, stack.pop_all(), self._pool.submit(found)))
        if not callable(found):
            yield from self.rest()
            yield key, False, found
        while self._begun and (len(self._begun) >= WRITERS or self._begun[0].record.done()):
            yield self._finish(self._begun.popleft())

    def rest(self) -> Iterator[Done]:
        """Yield what came of all that was begun."""
        while self._begun:
            yield self._finish(self._begun.popleft())

    def close(self) -> None:
        """Wait for what is being written, and let go of its locks."""
        self._pool.shutdown()
        while self._begun:
            self._begun.popleft().lock.close()

    def _finish(self, begun: _Begun) -> Done:
        with self._log.failures(), begun.lock:
            try:
                return begun.key, True, begun.record.result()
            except MdreidError as error:
                return begun.key, False, self._failure(begun.key, error)

    def _failure(self, key: Key, error: MdreidError) -> MdreidError:
        self._log.note(f"failed: {key[1].cell(str(key[0]))}: {error}")
        return error
