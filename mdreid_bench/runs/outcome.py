"""Carrying out a plan: say what it is, measure what is new, go on after failures, know the exit code."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import typer

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.errors import expected
from mdreid_bench.errors import MdreidError
from mdreid_bench.processes.ranks import PeerFailedError, Ranks
from mdreid_bench.report.table import Column, Table
from mdreid_bench.results.schema import Record
from mdreid_bench.runs.execute import Executor
from mdreid_bench.runs.follow import Order, follow
from mdreid_bench.runs.plan import Cell, Run
from mdreid_bench.runs.preflight import check_runs

Plan = Sequence[tuple[Run, Sequence[Cell]]]
"""Every run with its cells."""


@dataclass
class Outcome:
    """What came of a plan.

    Attributes:
        records: those measured and those found, in the order of the plan.
        failures: runs that could not be finished, with the cells that failed and the error.
        skipped: runs with cells that were not tried because an earlier one failed.
        reused: number of cells that were stored before, or measured by another process meanwhile.
        done: number of cells measured.
        last: path of the record of the last cell that was finished.
    """

    records: list[Record] = field(default_factory=list)
    failures: list[tuple[Run, Sequence[Cell], MdreidError]] = field(default_factory=list)
    skipped: list[tuple[Run, Sequence[Cell]]] = field(default_factory=list)
    reused: int = 0
    done: int = 0
    last: Path | None = None

    def exit_code(self, runs: int) -> int:
        """Return 0 if nothing failed, the common code if all runs failed alike and there is no record, else 1."""
        codes = {error.exit_code for _, _, error in self.failures}
        failed = {run.run_key for run, _, _ in self.failures}
        if len(failed) == runs and len(codes) == 1 and not self.records:
            return codes.pop()
        return MdreidError.exit_code if codes else 0

    @property
    def summary(self) -> str:
        """What was reused, done, skipped and failed, on one line."""
        failed = sum(len(cells) for _, cells, _ in self.failures)
        skipped = sum(len(cells) for _, cells in self.skipped)
        return f"Cells: {self.reused} reused, {self.done} done, {skipped} skipped, {failed} failed."


class _StopError(Exception):
    """A cell failed and the others are not to be tried."""


class _Carrier:
    """Carries out the runs of a plan one after the other and keeps count."""

    def __init__(self, plan: Plan, executor: Executor, console: Console, *, keep_going: bool) -> None:
        self.plan, self.executor, self.console, self.keep_going = plan, executor, console, keep_going
        self.outcome = Outcome()
        self.records: dict[tuple[str, str], Record] = {}
        self.failed: set[tuple[str, str]] = set()

    def carry_out(self) -> Outcome:
        """Try every run; those that another process is busy with come last."""
        try:
            taken = []
            for run, cells in self.plan:
                if self.executor.is_taken(run):
                    taken.append((run, cells))
                else:
                    self._try(run, cells)
            for run, cells in taken:
                self._try(run, cells)
        except _StopError:
            self.console.message("Stopping at the first failure, as --fail-fast asks for.")
        self._collect()
        return self.outcome

    def _try(self, run: Run, cells: Sequence[Cell]) -> None:
        def done(cell: Cell, record: Record) -> None:
            self.records[_key(cell)] = record
            self.outcome.last = run.scope.record_path(str(cell.setting), cell.average_precision)
            if cell.record is None:
                self.outcome.done += 1
            else:
                self.outcome.reused += 1

        try:
            self.executor.execute(run, cells, done, lambda cell, error: self._fail(run, [cell], error))
        except _StopError:
            raise
        except Exception as error:
            left = [cell for cell in cells if _key(cell) not in self.records and _key(cell) not in self.failed]
            self._fail(run, left, expected(error))

    def _fail(self, run: Run, cells: Sequence[Cell], error: MdreidError) -> None:
        settings = f", {cells[0].setting}" if len(cells) == 1 else ""
        self.console.error(f"{run.name}{settings}: {error}")
        self.outcome.failures.append((run, cells, error))
        self.failed |= {_key(cell) for cell in cells}
        if not self.keep_going:
            raise _StopError

    def _collect(self) -> None:
        for run, cells in self.plan:
            self.outcome.records += [self.records[_key(cell)] for cell in cells if _key(cell) in self.records]
            left = [cell for cell in cells if _key(cell) not in self.records and _key(cell) not in self.failed]
            if left:
                self.outcome.skipped.append((run, left))


def _key(cell: Cell) -> tuple[str, str]:
    return cell.run.run_key, str(cell.setting)


def carry_out(plan: Plan, executor: Executor, console: Console, *, keep_going: bool = True) -> Outcome:
    """Measure everything that is new, and say in one line what came of it.

    Args:
        plan: what is asked for.
        executor: to measure with.
        console: to show things on.
        keep_going: finish the other cells when one fails.

    Of several processes that share the work, one leads and gets here to the end; the others follow it and exit.

    Raises:
        UsageError: before anything is trained, when a training set cannot fill a batch.
        DataError: likewise, when weights of the trunk are not to be had.
    """
    ranks = executor.ranks
    if not ranks.leads:
        raise typer.Exit(follow([run for run, _ in plan], ranks, executor.device, executor.on_nan))
    try:
        outcome = _lead(plan, executor, console, keep_going)
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            _dismiss(ranks)
        raise
    _dismiss(ranks)
    return outcome


def _dismiss(ranks: Ranks) -> None:
    """Let the processes that follow end; those that are gone need not be told."""
    with suppress(PeerFailedError):
        ranks.agree(Order("end"))


def _lead(plan: Plan, executor: Executor, console: Console, keep_going: bool) -> Outcome:
    new = sum(cell.state == "new" for _, cells in plan for cell in cells)
    total = sum(len(cells) for _, cells in plan)
    console.message(
        f"Plan: {len(plan)} runs, {total} cells ({new} new, {total - new} cached), on {executor.device.type}."
    )
    check_runs(plan, executor.device)
    outcome = _Carrier(plan, executor, console, keep_going=keep_going).carry_out()
    console.message(outcome.summary)
    return outcome


def plan_table(plan: Plan, labels: Mapping[str, str] | None = None) -> Table:
    """Return one row per run: how many cells are cached and new, and what is to be done.

    Args:
        plan: what would be carried out, in this order.
        labels: run key -> what the run is called in the command's tables.
    """
    rows = []
    ahead: set[str] = set()
    for run, cells in plan:
        new = sum(cell.state == "new" for cell in cells)
        facts = (run.config.dataset, run.config.method, str(run.config.seed), run.config.preset)
        row = (*facts, str(len(cells) - new), str(new), _work(run, new, ahead), run.id.folder_name)
        rows.append(row if labels is None else (labels[run.run_key], *row))
    titles = ("dataset", "method", "seed", "preset", "cached", "new", "to do", "run")
    columns = titles if labels is None else ("row", *titles)
    return Table(title="Plan", columns=tuple(map(Column, columns)), rows=tuple(rows))


def _work(run: Run, new: int, ahead: set[str]) -> str:
    """Say what a run needs after those whose trainings and extractions are ``ahead``, to which its own are added."""
    if not new:
        return "nothing"
    source = run.source or run
    if source.embedded or run.embedded or source.run_key in ahead:
        return "score"
    trained = not run.must_train or run.training_key in ahead
    ahead |= {source.run_key, run.training_key}
    return "extract, score" if trained else "train, extract, score"
