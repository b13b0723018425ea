"""What comes of a plan: an outcome for every cell, the summary and the exit code; and the plan itself as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, get_args

from mdreid_bench.errors import MdreidError
from mdreid_bench.report.table import Column, Table
from mdreid_bench.results.schema import Record
from mdreid_bench.runs.plan import STATES, Cell, Plan, unembedded
from mdreid_bench.runs.run import Run
from mdreid_bench.wording import by_kind, counted

Status = Literal["reused", "done", "skipped", "failed", "not applicable"]
STATUSES: tuple[Status, ...] = get_args(Status)
UNFIT: Final = "not applicable"


@dataclass(frozen=True)
class Outcome:
    """What became of one cell.

    Attributes:
        status: ``reused`` when its record was stored before or measured by another process meanwhile.
        error: of one that failed; the cells of a run that failed as a whole share it.
    """

    cell: Cell
    status: Status
    record: Record | None = None
    error: MdreidError | None = None
    where: str = ""

    @property
    def path(self) -> Path:
        """Where the record lies, if there is one."""
        return self.cell.run.scope.record_path(str(self.cell.setting), self.cell.form)

    @property
    def reason(self) -> str:
        """Why there is no record, for tables."""
        if self.status == "failed":
            return f"failed: {self.error}"
        return "skipped after a failure" if self.status == "skipped" else f"{self.status}: {self.cell.why_not}"


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a plan, in the order in which they came."""

    plan: Plan
    all: Sequence[Outcome] = field(default=())

    @cached_property
    def by_cell(self) -> list[Outcome]:
        """The outcomes in the order of the plan."""
        found = {outcome.cell.key: outcome for outcome in self.all}
        return [found[cell.key] for _, cells in self.plan for cell in cells if cell.key in found]

    @property
    def cells(self) -> int:
        """How many cells the plan has."""
        return sum(len(cells) for _, cells in self.plan)

    @property
    def records(self) -> list[Record]:
        """Those measured and those found."""
        return [outcome.record for outcome in self.by_cell if outcome.record is not None]

    @property
    def without_record(self) -> list[Outcome]:
        """The cells that have none: failed, skipped, not applicable."""
        return [outcome for outcome in self.by_cell if outcome.record is None]

    @property
    def last(self) -> Path | None:
        """The path of the record that came last, if there is any."""
        return next((outcome.path for outcome in reversed(self.all) if outcome.record is not None), None)

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, the common code if all runs failed alike and there is no record, else 1."""
        errors = [outcome.error for outcome in self.all if outcome.error is not None]
        codes = {error.exit_code for error in errors}
        failed = {outcome.cell.run.run_key for outcome in self.all if outcome.error is not None}
        tried = {outcome.cell.run.run_key for outcome in self.all if outcome.status != UNFIT}
        if len(codes) == 1 and failed == tried and not self.records:
            return codes.pop()
        return MdreidError.exit_code if codes else 0

    @property
    def summary(self) -> str:
        """How many cells were reused, done, skipped and failed, on one line."""
        found = [outcome.status for outcome in self.all]
        shown = [f"{found.count(status)} {status}" for status in STATUSES if status in found or status != UNFIT]
        return f"Cells: {', '.join(shown)}."


def settled(cells: Sequence[Cell]) -> Iterator[Outcome]:
    """Yield the outcomes of cells that nothing has to be measured for: reused records, then what cannot be had."""
    yield from (Outcome(cell, "reused", cell.record) for cell in cells if cell.record is not None)
    yield from (Outcome(cell, UNFIT) for cell in cells if cell.state == UNFIT)


def plan_line(plan: Plan, means: str) -> str:
    """Say in one line how much is to be done, and by what, such as ``on cpu``."""
    states = [cell.state for _, cells in plan for cell in cells]
    shown = [f"{states.count(state)} {state}" for state in STATES if state in states or state != UNFIT]
    return f"Plan: {counted(len(plan), 'run')}, {counted(len(states), 'cell')} ({', '.join(shown)}), {means}."


def plan_table(plan: Plan, labels: Mapping[str, str] | None = None) -> Table:
    """Return one row per run: how many cells are cached and new, and what is to be done, in the order of the plan.

    Labels, by run key, say what the run is called in the command's tables.
    """
    rows, reasons = [], dict[str, None]()
    ahead: set[str] = set()
    splits, sources = (any(found) for found in zip(*((run.index.split, run.sources) for run, _ in plan), strict=True))
    lost = any(run.config.data.missing for run, _ in plan)
    unfit = any(cell.why_not for _, cells in plan for cell in cells)
    for run, cells in plan:
        states = [cell.state for cell in cells]
        counts = [str(states.count("cached")), str(states.count("new"))]
        counts += [str(states.count(UNFIT))] if unfit else []
        reasons |= dict.fromkeys(f"{cell.setting}: {cell.why_not}" for cell in cells if cell.why_not)
        source = [" + ".join(one.card.title for one in run.sources) or "—"] if sources else []
        split = [*source, *([run.index.split or "—"] if splits else [])]
        rate = [f"{run.config.data.missing:g}"] if lost else []
        facts = (run.index.card.title, *split, run.card.title, *rate, str(run.config.seed), run.config.preset)
        row = (*facts, *counts, _work(run, cells, ahead), run.id.folder_name)
        rows.append(row if labels is None else (labels[run.run_key], *row))
    numbers = ("cached", "new", UNFIT) if unfit else ("cached", "new")
    split = [*(["source"] if sources else []), *(["split"] if splits else [])]
    titles = ("dataset", *split, "method", *(["missing"] if lost else []), "seed", "preset", *numbers, "to do", "run")
    columns = titles if labels is None else ("row", *titles)
    notes = [f"Not applicable: {reason}." for reason in reasons]
    found = ((run.index.card.title, by_kind(run.index.findings)) for run, _ in plan)
    notes += dict.fromkeys(f"Faults of {title}: {kinds}." for title, kinds in found if kinds)
    return Table(title="Plan", columns=tuple(map(Column, columns)), rows=tuple(rows), footnotes=tuple(notes))


def _work(run: Run, cells: Sequence[Cell], ahead: set[str]) -> str:
    """Say what a run needs after those whose trainings and extractions are ``ahead``, to which its own are added."""
    if all(cell.state != "new" for cell in cells):
        return "nothing"
    source = (run.source or run).run_key
    wanted = {source + (found.images if found else "") for found in unembedded(run, cells)} - ahead
    if not wanted:
        return "score"
    trained = not run.must_train or run.training_key in ahead
    ahead |= {*wanted, run.training_key}
    return "extract, score" if trained else "train, extract, score"
