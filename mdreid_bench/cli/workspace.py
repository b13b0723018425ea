"""What commands that train have in common before they plan: device, data, preset."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import DEFAULT_RESULTS, TrainingOptions
from mdreid_bench.cli.values import chosen, sources_of, splits_of
from mdreid_bench.cluster.files import VARIABLE
from mdreid_bench.config import presets
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import given_root, resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.transfer import Contents, shared_images
from mdreid_bench.errors import UsageError
from mdreid_bench.processes.kind import device_kind
from mdreid_bench.processes.launch import launched
from mdreid_bench.report.conclusion import conclusion
from mdreid_bench.report.decoupling import decoupling_tables
from mdreid_bench.report.table import Table
from mdreid_bench.results.store import Store
from mdreid_bench.runs.outcome import Outcome, Outcomes, plan_line, plan_table
from mdreid_bench.runs.plan import Plan
from mdreid_bench.runs.preflight import notes
from mdreid_bench.runs.run import Run
from mdreid_bench.runs.tidy import nothing_new
from protocols.ranking import DEFAULT_MEMORY_BUDGET
from protocols.suites import Setting, resolve

if TYPE_CHECKING:
    from mdreid_bench.cluster.campaign import Campaign
    from mdreid_bench.cluster.scheduler import Wishes
    from mdreid_bench.processes.ranks import Ranks


class Workspace:
    """Where the work is done and what on; data are not read before they are asked for.

    Args:
        protocols: names of what is measured; without any, each dataset has its own.

    Raises:
        UnknownNameError: for an unknown dataset, protocol or device.
        UsageError: for CUDA where there is none, or a mode that none of the datasets has.
    """

    def __init__(
        self, options: TrainingOptions, protocols: Sequence[str], console: Console, weights: Path | None = None
    ) -> None:
        self.options, self.protocols, self.weights, self.console = options, protocols, weights, console
        needed = None if given_root(options.data_root) else console.message
        self.dataset_names = chosen(
            options.datasets, datasets.names(), "dataset", lambda: datasets.usable(console.warn, needed)
        )
        self.cards = [datasets.get(name).card for name in self.dataset_names]
        self.source_names = sources_of(options.sources, self.cards)
        if not self.source_names and (options.source_root or options.source_cameras):
            raise UsageError("--source-root and --source-cameras go with --source; add it, or leave them out.")
        if self.source_names and weights:
            raise UsageError("--weights trains nothing, so --source has no use; leave it out.")
        self.all_settings = tuple(dict.fromkeys(setting for card in self.cards for setting in self.settings(card)))
        for setting in self.all_settings:
            if setting.mode and not any(setting.mode in card.modes for card in self.cards):
                lacking = "; ".join(filter(None, (card.lacks(setting) for card in self.cards)))
                raise UsageError(f"No dataset can serve {setting}: {lacking}.")
        self.splits = splits_of(self.dataset_names, options.splits)
        if options.tensorboard and find_spec("tensorboard") is None:
            raise UsageError(
                "--tensorboard needs TensorBoard, which is not installed; add it with: pip install "
                "'mdreid-bench[tensorboard]'."
            )
        self.wishes = self._wishes()
        self.device_kind = self._asked if self.wishes else device_kind(options.device)
        self.ranks = self._meet() if launched()[1] > 1 else None
        self.store = Store(options.results)
        try:
            str(options.results.absolute()).encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"--results {options.results} is not UTF-8, as paths of weights must be; name another folder."
            ) from None

    def _meet(self) -> "Ranks":
        """Meet the processes that share the work."""
        from mdreid_bench.processes.device import pick_device
        from mdreid_bench.processes.ranks import Ranks

        return Ranks.join(pick_device(self.device_kind))

    def settings(self, card: DatasetCard) -> tuple[Setting, ...]:
        """Return what is measured on a dataset; suites are made of its sensors."""
        return resolve(self.protocols or card.default_protocols, card.sensors)

    def _wishes(self) -> "Wishes | None":
        """Return what jobs are to have that this process submits; None where it does the work itself, as a job does.

        Raises:
            UsageError: for options that do not go with jobs, or when none can be submitted.
        """
        wishes = self.options.wishes()
        if wishes is None or VARIABLE in os.environ:
            return None
        if not self.options.keep_going:
            raise UsageError("--fail-fast and --launcher do not go together: jobs know nothing of each other.")
        if launched()[1] > 1:
            raise UsageError("--launcher starts processes of its own; give the command without torchrun.")
        return wishes

    @property
    def _asked(self) -> str:
        """The kind of device that jobs are to compute on, whatever there is where this is asked."""
        given = self.options
        return "cuda" if given.device == "cuda" or (given.gpus and given.device == "auto") else "cpu"

    def _campaign(self, plan: Plan, command: Sequence[str], labels: Mapping[str, str]) -> "Campaign":
        """Return the jobs that a plan is carried out by."""
        from mdreid_bench.cluster.campaign import Campaign

        assert self.wishes is not None
        return Campaign(plan, self.store, self.wishes, command, self.options.config, labels)

    def preview(self, plan: Plan, command: Sequence[str], labels: Mapping[str, str] | None = None) -> None:
        """Show what would be done, and how far jobs are, without doing anything."""
        self.console.table(plan_table(plan, labels))
        if self.wishes is not None:
            campaign = self._campaign(plan, command, labels or {})
            campaign.look()
            self.console.table(campaign.table())

    def carry_out(
        self,
        plan: Plan,
        command: Sequence[str] = (),
        memory_budget: int = DEFAULT_MEMORY_BUDGET,
        labels: Mapping[str, str] | None = None,
    ) -> Outcomes:
        """Measure everything that is new; say what is to be done, what fails, and what came of it.

        Of several processes that share the work, the first one alone has outcomes. Afterwards, ``partial`` tells
        whether they are those of a part of the plan: in a job, and when jobs are not waited for.

        Args:
            command: what was typed after ``mdreid-bench``, for jobs.
            labels: by run key, what a run is called in the command's tables.

        Raises:
            UsageError: before anything is trained, when a training set cannot fill a batch.
            DataError: likewise, when weights of the trunk are not to be had.
        """
        given, found, labels, task = self.options, list[Outcome](), labels or {}, None
        if VARIABLE in os.environ:
            from mdreid_bench.cluster.task import own_task

            task = own_task(plan, self.store)
            plan = task.part
        for note in notes(plan):
            self.console.message(note)
        by = {"slurm": "by jobs of Slurm", "local": "by processes of this machine"}
        self.console.message(plan_line(plan, by[self.wishes.launcher] if self.wishes else f"on {self.device_kind}"))
        with ExitStack() as until_done:
            if self.wishes:
                coming = self._by_jobs(plan, command, labels)
            else:
                coming = self._here(plan, memory_budget, until_done.enter_context(self._announcing(plan, labels)))
            for outcome in coming:
                if outcome.error is not None and (not found or found[-1].error is not outcome.error):
                    self.console.error(f"{outcome.where}: {outcome.error}")
                found.append(outcome)
        outcomes = Outcomes(plan, found)
        if any(outcome.error for outcome in found) and not given.keep_going:
            self.console.message("Stopping at the first failure, as --fail-fast asks for.")
        self.partial = task is not None or outcomes.cells > len(found)
        if task is not None and (self.ranks is None or self.ranks.leads):
            task.end(outcomes)
        if task is not None or not self.partial:
            self.console.message(outcomes.summary)
        return outcomes

    def _by_jobs(self, plan: Plan, command: Sequence[str], labels: Mapping[str, str]) -> Iterator[Outcome]:
        """Have the work done by jobs, and wait for them unless the user wants to leave."""
        from mdreid_bench.cluster.picture import headline, picture

        campaign = self._campaign(plan, command, labels)
        campaign.submit(self.console, self._asked)
        if self.options.detach and campaign.jobs:
            self.console.table(campaign.table())
            self.console.message(f"The same command goes on from here; '{campaign.cancel}' ends the jobs.")
            return
        try:
            with self.console.picture() as show:
                yield from campaign.outcomes(lambda found: show(partial(picture, found), headline(found)))
        except KeyboardInterrupt:
            self.console.message(f"The jobs go on without this command; '{campaign.cancel}' ends them.")
            raise

    @contextmanager
    def _announcing(self, plan: Plan, labels: Mapping[str, str]) -> Iterator[Callable[[Run], None]]:
        """Show how many of the runs of a plan have begun; what is yielded is called with each that begins."""
        ahead = sum(any(cell.state == "new" for cell in cells) for _, cells in plan)
        with self.console.runs(ahead) as begin:
            yield lambda run: begin(", ".join([*([labels[run.run_key]] if labels else []), run.title]))

    def _here(self, plan: Plan, memory_budget: int, begin: Callable[[Run], None]) -> Iterator[Outcome]:
        """Do the work in this process, or in those that share it.

        It takes torch; where all is stored and one process works alone, nothing does.
        """
        stored = None if self.ranks else nothing_new(plan)
        if stored is not None:
            return iter(stored)
        from mdreid_bench.processes.device import pick_device
        from mdreid_bench.processes.ranks import ALONE
        from mdreid_bench.runs.execute import Means, execute

        given, device, ranks = self.options, pick_device(self.device_kind), self.ranks or ALONE
        means = Means(device, self.console, memory_budget, given.on_nan, ranks, given.tensorboard, begin)
        return execute(plan, means, keep_going=given.keep_going)

    def conclude(self, tables: Sequence[Table], outcomes: Outcomes) -> None:
        """Show how far parts are kept apart, say in one sentence what was found, and what may be done next."""
        for table in decoupling_tables(outcomes.records, lambda record: self.store.folder(record).path, ideal=False):
            self.console.table(table)
        if not (found := conclusion(tables)):
            return
        self.console.message(found)
        place = [] if self.store.root == DEFAULT_RESULTS else ["--results", str(self.store.root)]
        measured = [outcome.cell.run for outcome in outcomes.by_cell if outcome.record is not None]
        apart = {(run.config.method, str(run.config.options)): run.id.folder_name for run in reversed(measured)}
        commands = [["mdreid-bench", "report", *place]]
        commands += [["mdreid-bench", "compare", *[*apart.values()][:-3:-1], *place]] if len(apart) > 1 else []
        self.console.message(f"Next: {' or '.join(map(shlex.join, commands))}")

    @cached_property
    def indexes(self) -> list[DatasetIndex]:
        """The datasets, located, checked and limited; one of which several splits are asked for once for each."""
        found = []
        for name in self.dataset_names:
            for index in self._opened(name, self.options.data_root, self.splits[name]):
                found.append(index if self.options.limit is None else index.limited(self.options.limit))
        return found

    @cached_property
    def sources(self) -> list[DatasetIndex]:
        """Other datasets to train on, located and checked; says what they share with the datasets."""
        root = self.options.source_root or self.options.data_root
        found = [index for name in self.source_names for index in self._opened(name, root, [None])]
        for target in map(Contents.of, self.indexes if found else []):
            for shared in filter(None, (shared_images(target, source) for source in map(Contents.of, found))):
                self.console.warn(shared.sentence)
        return found

    def _opened(self, name: str, root: Path | None, splits: Sequence[str | None]) -> list[DatasetIndex]:
        location, incomplete = resolve_data_root(root, name, self.console), self.options.allow_incomplete
        self.console.message(f"Data: {location.reason}")
        return [open_dataset(name, location.root, self.console, split, incomplete=incomplete) for split in splits]

    @cached_property
    def preset(self) -> str:
        """The preset asked for, or one that suits data and device; opens the datasets."""
        if self.options.preset is not None:
            return self.options.preset
        if self.weights:
            from mdreid_bench.weights.weights_file import recognise

            if recognise(self.weights).released:
                self.console.message(f"Preset: {presets.FULL}, because the weights were released with a paper.")
                return presets.FULL
        synthetic = any(index.synthetic for index in (*self.indexes, *self.sources))
        kind = self._asked if self.options.launcher else self.device_kind
        preset = presets.usual(synthetic, kind == "cuda")
        why = "the data are synthetic" if synthetic else f"the device is {kind} and the data are real"
        self.console.message(f"Preset: {preset}, because {why}; choose another with --preset.")
        return preset
