"""The steps behind ``ablate``: rows to runs, each run once, one table for each study and dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mdreid_bench.cli.ablate_command import AblateOptions
from mdreid_bench.cli.console import Console
from mdreid_bench.cli.workspace import SMALLEST, Workspace
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.errors import UsageError
from mdreid_bench.models.mdreid import ablation
from mdreid_bench.models.mdreid.ablation import Study, StudyRow
from mdreid_bench.report.study_table import Gap, MeasuredRow, study_table
from mdreid_bench.report.table import Table
from mdreid_bench.runs.outcome import Outcomes, plan_table
from mdreid_bench.runs.plan import Cell, Request, Run, plan_cells, plan_runs
from mdreid_bench.runs.preflight import check_configurations

SUITE = "ablation"


def studies(options: AblateOptions) -> list[Study]:
    """Return the studies that the command line asks for.

    Raises:
        UnknownNameError: for an unknown sweep.
        UsageError: for values that are not numbers or go with no sweep, or when nothing is asked for.
    """
    if options.values is not None and len(set(options.sweeps)) != 1:
        raise UsageError("--values holds the values of one sweep; name it with --sweep.")
    values = _numbers(options.values) if options.values is not None else ()
    found = [ablation.ROWS] if options.rows else []
    found += [ablation.sweep(name, values) for name in dict.fromkeys(map(str.lower, options.sweeps))]
    found += [ablation.COMPONENTS] if options.components else []
    if not found:
        raise UsageError("--no-rows leaves nothing to measure; add --sweep or --components.")
    return found


def _numbers(text: str) -> tuple[float, ...]:
    numbers = []
    for part in text.split(","):
        try:
            numbers.append(float(part))
        except ValueError:
            raise UsageError(f"--values takes numbers separated by commas, such as 0.5,1,2, not {text!r}.") from None
        if not (math.isfinite(numbers[-1]) and numbers[-1] >= 0):
            raise UsageError(f"--values takes weights of 0 or more, not {part.strip()!r}.")
    return tuple(numbers)


@dataclass(frozen=True)
class PlannedRow:
    """A row of a study on one dataset: one run per seed."""

    row: StudyRow
    runs: Sequence[Run]


@dataclass(frozen=True)
class PlannedStudy:
    """A study on one dataset."""

    study: Study
    rows: Sequence[PlannedRow]


class AblateSession:
    """One call of ``ablate``; everything that can be refused is refused before data are read.

    Args:
        arguments: as typed.
        console: to show things on.

    Raises:
        UnknownNameError: for an unknown dataset, preset or key.
        UsageError: for values out of range, options that a study sets itself, or CUDA where there is none.
    """

    def __init__(self, arguments: AblateOptions, console: Console) -> None:
        self.arguments, self.console = arguments, console
        self.studies = studies(arguments)
        self.workspace = Workspace(arguments, (SUITE,), console)
        self.user = arguments.overrides().tree()
        for study in self.studies:
            ablation.check_study(study, self.user)
            for row in study.rows:
                check_configurations(self._request(row, arguments.preset or SMALLEST), self.workspace.cards)

    def _request(self, row: StudyRow, preset: str) -> Request:
        """Return what ``run`` would be asked for."""
        return Request(
            methods=(row.method,),
            preset=preset,
            seeds=self.arguments.seeds,
            settings=self.workspace.settings,
            overrides=Overrides(flags=ablation.row_overrides(row, self.user)),
        )

    @cached_property
    def planned(self) -> list[PlannedStudy]:
        """Every study on every dataset, datasets outermost."""
        indexes, preset, store = self.workspace.indexes, self.workspace.preset, self.workspace.store
        return [
            PlannedStudy(
                study,
                [PlannedRow(row, plan_runs(self._request(row, preset), [index], store)) for row in study.rows],
            )
            for index in indexes
            for study in self.studies
        ]

    def cells(self) -> list[tuple[Run, list[Cell]]]:
        """Return the cells of every distinct run; rows of several studies may share one."""
        runs = {run.run_key: run for study in self.planned for row in study.rows for run in row.runs}
        return [(run, plan_cells(run, self.workspace.settings)) for run in runs.values()]

    def show_plan(self) -> None:
        """Print one row per run: the rows of the tables that it stands for, and what is to be done."""
        labels: dict[str, list[str]] = {}
        for study in self.planned:
            for row in study.rows:
                for run in row.runs:
                    labels.setdefault(run.run_key, []).append(row.row.label)
        self.console.table(plan_table(self.cells(), {key: ", ".join(names) for key, names in labels.items()}))

    def carry_out(self) -> int:
        """Measure everything that is new, print the tables and the folder of the records; return the exit code."""
        outcomes = self.workspace.carry_out(self.cells())
        for study in self.planned:
            table = self._table(study, outcomes)
            if table is not None:
                self.console.table(table)
        if outcomes.last is not None:
            self.console.result(self.workspace.store.runs)
        return outcomes.exit_code

    def _table(self, planned: PlannedStudy, outcomes: Outcomes) -> Table | None:
        rows = []
        for row in planned.rows:
            seeds = {run.run_key: run.config.seed for run in row.runs}
            records = [record for record in outcomes.records if record.run_key in seeds]
            absent = [
                Gap(seeds[outcome.cell.run.run_key], str(outcome.cell.setting), outcome.reason)
                for outcome in outcomes.without_record
                if outcome.cell.run.run_key in seeds
            ]
            rows.append(MeasuredRow(row.row.label, records, absent))
        options = planned.rows[-1].runs[0].config.options
        title = planned.study.title.format(**options)
        return study_table(title, self.workspace.settings, rows, planned.study.note)
