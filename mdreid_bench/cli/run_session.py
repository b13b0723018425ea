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
from mdreid_bench.runs.outcome import Outcomes, plan_table
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
        outcomes = self.workspace.carry_out(self.cells(), self.arguments.memory_budget)
        order = {str(setting): place for place, setting in enumerate(self.settings)}
        records = sorted(outcomes.records, key=lambda record: order[record.protocol])
        for table in run_tables(records, _absent(outcomes)):
            self.console.table(table)
        if outcomes.last is not None:
            # Of several records, the folder of all of them.
            self.console.result(outcomes.last if outcomes.cells == 1 else self.workspace.store.runs)
        return outcomes.exit_code


def _method_of(weights: Path, named: Sequence[str]) -> str:
    """Return the method that weights belong to.

    Raises:
        UsageError: when others are named.
    """
    method = recognise(weights).method
    if named and list(named) != [method]:
        raise UsageError(f"--weights {weights} holds weights of {method}, not of {', '.join(named)}.")
    return method


def _absent(outcomes: Outcomes) -> list[Absent]:
    """Return the cells that have no record, and why."""
    return [
        Absent(cell.run.config.dataset, cell.run.config.method, str(cell.setting), outcome.reason)
        for outcome in outcomes.without_record
        for cell in [outcome.cell]
    ]
