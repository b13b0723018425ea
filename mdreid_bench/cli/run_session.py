"""The steps behind ``run``: resolve what was asked, say what was chosen and why, carry it out, show tables."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.run_command import RunOptions
from mdreid_bench.cli.values import ALL, chosen
from mdreid_bench.cli.workspace import SMALLEST, Workspace
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry as methods
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.runs.execute import Executor
from mdreid_bench.runs.outcome import Outcome, carry_out, plan_table
from mdreid_bench.runs.plan import Cell, Request, Run, plan_cells, plan_runs
from mdreid_bench.runs.preflight import check_configurations
from mdreid_bench.runs.shard import Shard
from mdreid_bench.weights.weights_file import recognise


class RunSession:
    """One call of ``run``; everything that can be refused is refused before data are read.

    Args:
        arguments: as typed.
        console: to show things on.

    Raises:
        UnknownNameError: for an unknown dataset, protocol or method.
        UsageError: for arguments that do not go together, or CUDA where there is none.
    """

    def __init__(self, arguments: RunOptions, console: Console) -> None:
        self.arguments, self.console = arguments, console
        self.shard = None if arguments.shard is None else Shard.parse(arguments.shard)
        self.workspace = Workspace(arguments, arguments.settings(), console, arguments.weights)
        self.settings = self.workspace.settings
        self.method_names = chosen(arguments.methods or [ALL], methods.names(), "method")
        if arguments.weights:
            self.method_names = [_method_of(arguments.weights, arguments.methods and self.method_names)]
        check_configurations(self._request(arguments.preset or SMALLEST), self.workspace.cards)

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of the request, or of the shard asked for; what was chosen is said on the way."""
        indexes = self.workspace.indexes
        runs = plan_runs(self._request(self.workspace.preset), indexes, self.workspace.store)
        if self.shard is None:
            return runs
        ours = self.shard.take(runs)
        self.console.message(f"Shard: {self.shard}, which holds {len(ours)} of {len(runs)} runs.")
        return ours

    def _request(self, preset: str) -> Request:
        given = self.arguments
        return Request(
            methods=self.method_names,
            preset=preset,
            seeds=given.seeds,
            settings=self.settings,
            overrides=given.overrides(),
            weights=given.weights,
        )

    def cells(self) -> list[tuple[Run, list[Cell]]]:
        """Return the cells of every run with what is stored of them."""
        form = self.arguments.average_precision
        return [(run, plan_cells(run, self.settings, form)) for run in self.runs]

    def show_plan(self) -> None:
        """Print one row per run: how many cells are cached and new, and whether training is needed."""
        self.console.table(plan_table(self.cells()))

    def carry_out(self) -> int:
        """Measure everything that is new, print the tables and the path of the records; return the exit code.

        A cell that fails does not keep the others from being finished, unless the user wants that. When all fail
        alike, so does the command.
        """
        plan = self.cells()
        given = self.arguments
        executor = Executor(
            self.workspace.device, self.console, given.memory_budget, given.on_nan, self.workspace.ranks
        )
        outcome = carry_out(plan, executor, self.console, keep_going=given.keep_going)
        order = {str(setting): place for place, setting in enumerate(self.settings)}
        records = sorted(outcome.records, key=lambda record: order[record.protocol])
        for table in run_tables(records, _absent(outcome)):
            self.console.table(table)
        if outcome.last is not None:
            self.console.result(self._written(plan, outcome.last))
        return outcome.exit_code(len(plan))

    def _written(self, plan: list[tuple[Run, list[Cell]]], last: Path) -> Path:
        """Return the path of the record, or of the folder of all of them when there are several."""
        return last if sum(len(cells) for _, cells in plan) == 1 else self.workspace.store.runs


def _method_of(weights: Path, named: Sequence[str]) -> str:
    """Return the method that weights belong to.

    Raises:
        UsageError: when others are named.
    """
    method = recognise(weights).method
    if named and list(named) != [method]:
        raise UsageError(f"--weights {weights} holds weights of {method}, not of {', '.join(named)}.")
    return method


def _absent(outcome: Outcome) -> list[Absent]:
    """Return the cells that have no record, and why."""
    reasons = [(run, cells, f"failed: {error}") for run, cells, error in outcome.failures]
    reasons += [(run, cells, "skipped after a failure") for run, cells in outcome.skipped]
    return [
        Absent(run.config.dataset, run.config.method, str(cell.setting), reason)
        for run, cells, reason in reasons
        for cell in cells
    ]
