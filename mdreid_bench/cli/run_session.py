"""The steps behind ``run``: resolve what was asked, say what was chosen and why, carry it out, show tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import ALL, chosen
from mdreid_bench.config.resolve import Overrides
from mdreid_bench.config.tree import Tree
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.engine.device import pick_device
from mdreid_bench.engine.execute import Executor
from mdreid_bench.engine.plan import Cell, Request, Run, plan_cells, plan_runs
from mdreid_bench.engine.preflight import check_configurations, check_runs
from mdreid_bench.errors import MdreidError, UsageError
from mdreid_bench.models import registry as methods
from mdreid_bench.report.run_table import Absent, run_tables
from mdreid_bench.report.table import Column, Table
from mdreid_bench.results.schema import Record
from mdreid_bench.results.store import Store
from protocols.names import UnknownNameError
from protocols.suites import Setting, resolve

SMALLEST = "tiny"


@dataclass(frozen=True)
class Arguments:
    """The command line of ``run``, as typed."""

    datasets: Sequence[str]
    protocols: Sequence[str]
    methods: Sequence[str]
    data_root: Path | None
    preset: str | None
    seeds: Sequence[int]
    epochs: int | None
    batch_size: int | None
    device: str
    weights: Path | None
    config: Path | None
    assignments: Sequence[str]
    limit: int | None
    results: Path

    def flags(self) -> Tree:
        """Return the shorthand flags as a configuration tree."""
        tree: Tree = {}
        if self.epochs is not None:
            tree["schedule"] = {"epochs": self.epochs}
        if self.batch_size is not None:
            tree["batch"] = {"size": self.batch_size}
        return tree


class RunSession:
    """One call of ``run``; everything that can be refused is refused before data are read.

    Args:
        arguments: as typed.
        console: to show things on.

    Raises:
        UnknownNameError: for an unknown dataset, protocol or method.
        UsageError: for arguments that do not go together, or CUDA where there is none.
    """

    def __init__(self, arguments: Arguments, console: Console) -> None:
        self.arguments, self.console = arguments, console
        self.settings: tuple[Setting, ...] = resolve(arguments.protocols)
        self.dataset_names = chosen(arguments.datasets, datasets.names(), "dataset")
        self.method_names = chosen(arguments.methods or [ALL], methods.names(), "method")
        if arguments.weights and len(self.method_names) != 1:
            raise UsageError("--weights holds the weights of one method; name it with --method.")
        if arguments.device not in ("auto", "cpu", "cuda"):
            raise UnknownNameError("device", arguments.device, ("auto", "cpu", "cuda"))
        self.device = pick_device(arguments.device)
        self.store = Store(arguments.results)
        cards = [datasets.get(name).card for name in self.dataset_names]
        check_configurations(self._request(arguments.preset or SMALLEST), cards)

    @cached_property
    def indexes(self) -> list[DatasetIndex]:
        """The datasets, located, checked and limited."""
        found = []
        for name in self.dataset_names:
            location = resolve_data_root(self.arguments.data_root, name, self.console)
            self.console.message(f"Data: {location.reason}")
            index = open_dataset(name, location.root, self.console)
            found.append(index if self.arguments.limit is None else index.limited(self.arguments.limit))
        return found

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of the request; what was chosen is said on the way."""
        indexes = self.indexes
        preset = self.arguments.preset or self._default_preset()
        return plan_runs(self._request(preset), indexes, self.store)

    def _request(self, preset: str) -> Request:
        given = self.arguments
        return Request(
            methods=self.method_names,
            preset=preset,
            seeds=given.seeds,
            settings=self.settings,
            overrides=Overrides(given.config, given.assignments, given.flags()),
            weights=given.weights,
        )

    def _default_preset(self) -> str:
        synthetic = any(index.synthetic for index in self.indexes)
        preset = "paper" if self.device.type == "cuda" and not synthetic else SMALLEST
        why = "the data are synthetic" if synthetic else f"the device is {self.device.type} and the data are real"
        self.console.message(f"Preset: {preset}, because {why}; choose another with --preset.")
        return preset

    def cells(self) -> list[tuple[Run, list[Cell]]]:
        """Return the cells of every run with what is stored of them."""
        return [(run, plan_cells(run, self.settings)) for run in self.runs]

    def show_plan(self) -> None:
        """Print one row per run: how many cells are cached and new, and whether training is needed."""
        rows = []
        for run, cells in self.cells():
            new = sum(cell.state == "new" for cell in cells)
            rows.append(
                (
                    run.config.dataset,
                    run.config.method,
                    str(run.config.seed),
                    run.config.preset,
                    str(len(cells) - new),
                    str(new),
                    _work(run, new),
                    run.id.folder_name,
                )
            )
        titles = ("dataset", "method", "seed", "preset", "cached", "new", "to do", "run")
        self.console.table(Table(title="Plan", columns=tuple(map(Column, titles)), rows=tuple(rows)))

    def carry_out(self) -> int:
        """Measure everything that is new, print the tables and the path of the records; return the exit code.

        A run that fails does not keep the others from being finished. When all fail alike, so does the command.
        """
        plan = self.cells()
        self._announce(plan)
        check_runs(plan)
        executor = Executor(self.device, self.console)
        records: list[Record] = []
        absent: list[Absent] = []
        failures: list[int] = []
        last: Path | None = None
        for run, cells in plan:
            try:
                executor.execute(run, cells, lambda _, record: records.append(record))
                last = run.scope.record_path(str(cells[-1].setting))
            except MdreidError as error:
                self.console.error(f"{run.name}: {error}")
                failures.append(error.exit_code)
                absent += [_absent(cell, str(error)) for cell in cells if cell.record is None]
        order = {str(setting): place for place, setting in enumerate(self.settings)}
        records.sort(key=lambda record: order[record.protocol])
        for table in run_tables(records, absent):
            self.console.table(table)
        self._close(plan, last)
        if len(failures) == len(plan) and len(set(failures)) == 1:
            return failures[0]
        return MdreidError.exit_code if failures else 0

    def _announce(self, plan: Sequence[tuple[Run, list[Cell]]]) -> None:
        new = sum(cell.state == "new" for _, cells in plan for cell in cells)
        total = sum(len(cells) for _, cells in plan)
        self.console.message(
            f"Plan: {len(plan)} runs, {total} cells ({new} new, {total - new} cached), on {self.device.type}."
        )

    def _close(self, plan: Sequence[tuple[Run, list[Cell]]], last: Path | None) -> None:
        """End with the path of the record, or of the folder of all of them when there are several."""
        if last is None:
            return
        single = sum(len(cells) for _, cells in plan) == 1
        self.console.result(last if single else self.store.runs)


def _absent(cell: Cell, reason: str) -> Absent:
    config: Any = cell.run.config
    return Absent(config.dataset, config.method, str(cell.setting), f"failed: {reason}")


def _work(run: Run, new: int) -> str:
    if not new:
        return "nothing"
    if run.embeddings.items_file.exists():
        return "score"
    return "train, extract, score" if run.must_train else "extract, score"
