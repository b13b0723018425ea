"""A plan carried out by jobs: what is not stored and in no queue is submitted, and what comes of it is waited for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING

import torch
import yaml

from mdreid_bench.cluster.files import Failure, JobError, Submission, log_of
from mdreid_bench.cluster.picture import Status, job_table
from mdreid_bench.cluster.scheduler import JobState, Wishes, cancelling, numbers, states, submit
from mdreid_bench.cluster.task import Task, tasks_of
from mdreid_bench.config.tree import Tree
from mdreid_bench.errors import MdreidError
from mdreid_bench.progress import Reporter
from mdreid_bench.report.table import Table
from mdreid_bench.results.progress import last_steps, seconds_left, tail
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.store import Store
from mdreid_bench.runs.outcome import Outcome, settled
from mdreid_bench.runs.plan import Cell, Plan
from mdreid_bench.runs.preflight import check_runs
from mdreid_bench.runs.run import Run
from mdreid_bench.wording import counted, duration

if TYPE_CHECKING:
    from mdreid_bench.cluster.job import Job

SECONDS = {"slurm": 10.0, "local": 0.5}
"""Between two looks, by launcher."""
_STAMP = len("2026-01-01 00:00:00 [")


@dataclass
class Campaign:
    """The tasks of a plan and their jobs.

    Args:
        command: words after ``mdreid-bench`` that a job is given.
        config: what was read from the file that ``--config`` names in them.
        labels: by run key, what a run is called in the command's tables.
    """

    plan: Plan
    store: Store
    wishes: Wishes
    command: Sequence[str]
    config: Tree
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tasks = tasks_of(self.plan, self.store)
        self._unfinished = {task.name for task in self.tasks if task.unfinished}
        self.jobs: dict[str, Submission] = {}
        """Of tasks that are waited for, by name."""
        self._states: dict[Submission, JobState] = {}
        self._place = self.store.root.absolute() / "jobs" / "submitit"
        self._over: set[str] = set()
        self._failed: set[str] = set()

    def look(self) -> None:
        """Ask which jobs of earlier commands have not come to the end of their tasks.

        Raises:
            MdreidError: when the scheduler cannot be asked.
        """
        left = [task for task in self.tasks if task.name in self._unfinished and task.ending is None]
        given = {task.name: task.submission for task in left}
        known = {name: one for name, one in given.items() if one is not None}
        self._states = states(known.values())
        self.jobs = {name: one for name, one in known.items() if one in self._states}

    def submit(self, reporter: Reporter, device: str) -> None:
        """Submit what is neither stored nor in a queue, to be computed on a kind of device.

        Raises:
            UsageError: when the training set of one cannot fill a batch.
            DataError: when weights of a trunk are not to be had; they are downloaded here, not in the jobs.
            MdreidError: when the scheduler takes no jobs.
        """
        folder = self.store.root / "jobs"
        with locked(folder / ".lock", "submitting jobs", reporter):
            self.look()
            if self.jobs:
                known = f"{counted(len(self.jobs), 'task')}, as {numbers(self.jobs.values())}"
                reporter.message(f"Queued or running already: {known}.")
            new = [task for task in self.tasks if task.name in self._unfinished and task.name not in self.jobs]
            if not new:
                return
            check_runs([pair for task in new for pair in task.part], torch.device(device))
            for task in new:
                if (ending := task.ending) and ending.failures:
                    reporter.message(f"Again: {self._title(task)}, which failed: {ending.failures[0].message}")
                task.forget()
            groups = _dealt(new, (self.wishes.at_once or 1) if self.wishes.launcher == "local" else len(new))
            words = self._words(folder.absolute())
            jobs = [self._job(number, group, words) for number, group in enumerate(groups)]
            given = submit(jobs, self.wishes, self._place)
            for group, one in zip(groups, given, strict=True):
                for task in group:
                    task.submitted(one)
                    self.jobs[task.name] = one
            where = "Slurm" if self.wishes.launcher == "slurm" else "this machine"
            reporter.message(
                f"Submitted to {where}: {counted(len(new), 'task')}, as {numbers(given)}; logs in {folder}."
            )
        self._states = {**self._states, **states(given)}

    def _words(self, folder: Path) -> Sequence[str]:
        """Return the command with a copy of its configuration, whose file may be a pipe, or change meanwhile.

        Raises:
            DataError: when the file system refuses.
        """
        if not any(word.partition("=")[0] == "--config" for word in self.command):
            return self.command
        copy = folder / f"config-{canonical_hash(self.config)[:10]}.yaml"
        write_text(copy, yaml.safe_dump(self.config, sort_keys=False))
        pairs = pairwise(("", *self.command))
        words = (str(copy) if before == "--config" else word for before, word in pairs)
        return [f"--config={copy}" if word.startswith("--config=") else word for word in words]

    def _job(self, number: int, group: Sequence[Task], words: Sequence[str]) -> "Job":
        from mdreid_bench.cluster.job import Job  # here, because it needs an extra

        gpus, environment = self.wishes.gpus, dict[str, str]()
        if self.wishes.launcher == "local" and gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(number * gpus, (number + 1) * gpus)))
        folder = (self.store.root / "jobs").absolute()
        return Job([task.name for task in group], folder, words, max(gpus, 1), environment)

    def outcomes(self, show: Callable[[Sequence[Status]], None]) -> Iterator[Outcome]:
        """Yield an outcome for each cell as soon as it is known, until all jobs are over; ``show`` gets states."""
        for task in self.tasks:
            for _, cells in task.part:
                yield from settled(cells)
        left = [task for task in self.tasks if task.name in self.jobs]
        missed: set[str] = set()
        while left:
            with suppress(MdreidError):  # which passes, and the jobs go on meanwhile
                self._states = states(self.jobs[task.name] for task in left)
            for task in list(left):
                gone = self.jobs[task.name] not in self._states
                if task.ending is not None or (gone and task.name in missed):
                    left.remove(task)
                    yield from self._settled(task)
                elif gone:  # on a shared file system, what it wrote may take a moment to be seen
                    missed.add(task.name)
            show(self.statuses())
            if left:
                sleep(SECONDS[self.wishes.launcher])

    def _settled(self, task: Task) -> Iterator[Outcome]:
        """Yield the outcomes of a task whose job is over."""
        self._over.add(task.name)
        job, ending, log = self.jobs[task.name].job, task.ending, log_of(task.folder, task.name)
        begun, said = log.exists(), self._place / f"{job}_0_log.err"
        last = "" if begun else " ".join(tail(said)[-1:])
        vanished = Failure(
            message=f"Its job {job} ended before it was done, as when it is cancelled or killed"
            f"{f' ({last})' if last else ''}; see {log if begun else said}, and give the command again to go on.",
            exit_code=JobError.exit_code,
        )
        failures = {one.cell: one for one in (ending.failures if ending else (vanished,))}
        told = {one.message: JobError(one.message, one.exit_code) for one in failures.values()}  # once for all cells
        for run, cells in task.part:
            for cell in (cell for cell in cells if cell.state == "new"):
                record = run.scope.believed(str(cell.setting), cell.form)
                if record is not None:
                    yield Outcome(cell, "done", record)
                    continue
                self._failed.add(task.name)
                failure = failures.get(cell.key) or failures.get(None) or vanished
                error = told.setdefault(failure.message, JobError(failure.message, failure.exit_code))
                yield Outcome(cell, "failed", error=error, where=failure.where or run.name)

    def statuses(self) -> list[Status]:
        """Return how far each task is."""
        return [self._status(task) for task in self.tasks]

    def table(self) -> Table:
        """Return the same as a table."""
        return job_table(self.statuses())

    def _status(self, task: Task) -> Status:
        title, job = self._title(task), self.jobs.get(task.name)
        if task.name in self._failed:
            return Status(title, "failed", job.job if job else "", f"see {log_of(task.folder, task.name)}")
        if task.name not in self._unfinished or task.name in self._over:
            return Status(title, "done", job.job if job else "")
        if job is None:
            return Status(title, "not submitted")
        state = self._states.get(job, JobState("running"))
        if state.kind == "queued" or not log_of(task.folder, task.name).exists():
            return Status(title, "queued", job.job, state.reason)
        return Status(title, "running", job.job, _how_far(task.part))

    def _title(self, task: Task) -> str:
        names = dict.fromkeys(self.labels.get(run.run_key, "") for run, _ in task.part)
        label = ", ".join(filter(None, names))
        return f"{label}, {task.part[0][0].title}" if label else task.part[0][0].title

    @property
    def cancel(self) -> str:
        """The command that ends the jobs that are waited for."""
        return cancelling(one for name, one in self.jobs.items() if name not in self._over)


def _dealt(tasks: Sequence[Task], hands: int) -> list[Sequence[Task]]:
    """Deal tasks to as many jobs; where these are fewer, each carries out several, one after the other."""
    return [dealt for number in range(hands) if (dealt := tasks[number::hands])]


def _how_far(part: Sequence[tuple[Run, Sequence[Cell]]]) -> str:
    """Return time left, epoch and step of a training, or else what the run at work said last, without its name."""
    for run, cells in part:
        if all(run.scope.record_path(str(cell.setting), cell.form).exists() for cell in cells if cell.state == "new"):
            continue
        steps = last_steps(run.training_folder.history) if run.must_train else []
        if not steps:
            last = tail(run.store.folder(run.id).log)[-1:]
            said = last[0][_STAMP:].partition("] ")[2].removeprefix(f"{run.name}: ") if last else ""
            for name in (run.title, run.name, f"{run.config.method} on {run.config.dataset}"):
                said = said.replace(f" {name}", "")
            return said
        now, left = steps[-1], seconds_left(steps)
        told = f"epoch {now['epoch']}/{now['epochs']}, step {now['step']}/{now['of']}"
        return f"about {duration(left)} left, {told}" if left else told
    return ""
