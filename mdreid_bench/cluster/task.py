"""A part of a plan that one job carries out: the runs that share a training, with all their protocols."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mdreid_bench.cluster.files import (
    VARIABLE,
    Ending,
    Failure,
    JobError,
    Submission,
    end_of,
    log_of,
    read_ending,
    write_ending,
)
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import Store
from mdreid_bench.runs.outcome import Outcomes
from mdreid_bench.runs.plan import Cell, Plan, lacks_calibration
from mdreid_bench.runs.run import Run
from mdreid_bench.runs.shard import training_of


@dataclass(frozen=True)
class Task:
    """Runs that share a training, and the files of the job that carries them out."""

    name: str
    folder: Path
    part: Sequence[tuple[Run, Sequence[Cell]]]

    @property
    def file(self) -> Path:
        """Says which job the task was given to."""
        return self.folder / f"{self.name}.json"

    @property
    def unfinished(self) -> bool:
        """Whether anything is left to be measured, as far as was stored when it was planned."""
        return any(
            any(cell.state == "new" for cell in cells) or lacks_calibration(run, cells) for run, cells in self.part
        )

    @property
    def submission(self) -> Submission | None:
        """The job that it was given to last."""
        try:
            return Submission.model_validate_json(read_regular(self.file))
        except (OSError, ValidationError):
            return None

    @property
    def ending(self) -> Ending | None:
        """What failed in it; None while it is not over, or when it was ended from outside."""
        return read_ending(self.folder, self.name)

    def submitted(self, submission: Submission) -> None:
        """Remember the job.

        Raises:
            DataError: when the file system refuses.
        """
        write_text(self.file, submission.model_dump_json())

    def forget(self) -> None:
        """Forget how the job before ended, and what it said."""
        for path in (log_of(self.folder, self.name), end_of(self.folder, self.name)):
            path.unlink(missing_ok=True)

    def end(self, outcomes: Outcomes) -> None:
        """Leave to whoever waits for this job what failed in it.

        Raises:
            DataError: when the file system refuses.
        """
        failures = (
            Failure(message=str(one.error), exit_code=one.error.exit_code, where=one.where, cell=one.cell.key)
            for one in outcomes.all
            if one.error is not None
        )
        write_ending(self.folder, self.name, Ending(failures=tuple(failures)))


def tasks_of(plan: Plan, store: Store) -> list[Task]:
    """Return the tasks of a plan, in its order; the same plan gives the same names."""
    parts: dict[tuple[str, str, int, str], list[tuple[Run, Sequence[Cell]]]] = {}
    for run, cells in plan:
        parts.setdefault(training_of(run), []).append((run, cells))
    found = []
    for part in parts.values():
        places = sorted(str(cell.lock.relative_to(store.root)) for _, cells in part for cell in cells)
        name = f"{part[0][0].training_folder.path.name}-{canonical_hash(places)[:6]}"
        found.append(Task(name, store.root / "jobs", part))
    return found


def own_task(plan: Plan, store: Store) -> Task:
    """Return the task that this process was started for as a job.

    Raises:
        JobError: when the plan has none of that name.
    """
    name = os.environ[VARIABLE]
    for task in tasks_of(plan, store):
        if task.name == name:
            return task
    raise JobError(
        f"The plan has no part {name} any more: data, configuration or code are others here than where it was "
        "submitted; give the command again."
    )
