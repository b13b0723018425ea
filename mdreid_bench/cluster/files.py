"""What is kept of jobs beside the results, and read by whoever waits for them.

::

    results/jobs/
        <training>-<hash of the cells>.json      the job that these runs were given to
        <training>-<hash of the cells>.log       what that job said
        <training>-<hash of the cells>.end.json  what failed, once the job has ended by itself
        config-<hash>.yaml                       what the command had read from the file of its --config
        submitit/                                what submitit keeps, and what a job said before it began

A job is given the command as it was typed, but for that copy, and, in its environment, the name of its task.
"""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from mdreid_bench.errors import MdreidError
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.files import read_regular
from mdreid_bench.results.stored_part import Line, StoredPart

VARIABLE = "MDREID_TASK"
"""Names, in the environment of a job, the task that it is to carry out."""
Launcher = Literal["slurm", "local"]
LAUNCHERS: tuple[Launcher, ...] = ("slurm", "local")


class JobError(MdreidError):
    """What failed in a job."""

    def __init__(self, message: str, exit_code: int = MdreidError.exit_code) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Submission(StoredPart):
    """The job that a task was given to: of Slurm, or a process of a machine."""

    launcher: Launcher
    job: Line
    host: Line


class Failure(StoredPart):
    """What failed: one cell, or without one all that have no record."""

    message: str
    exit_code: int
    where: str = ""
    cell: tuple[str, str] | None = None


class Ending(StoredPart):
    """How a job ended that ended by itself."""

    failures: tuple[Failure, ...] = ()


def end_of(folder: Path, name: str) -> Path:
    """Return the file in which a job says how it ended."""
    return folder / f"{name}.end.json"


def log_of(folder: Path, name: str) -> Path:
    """Return the file of all that a job prints."""
    return folder / f"{name}.log"


def read_ending(folder: Path, name: str) -> Ending | None:
    """Return how the job of a task ended, if it has and could say so."""
    try:
        return Ending.model_validate_json(read_regular(end_of(folder, name)))
    except (OSError, ValidationError):
        return None


def write_ending(folder: Path, name: str, ending: Ending) -> None:
    """Say how the job of a task ended.

    Raises:
        DataError: when the file system refuses.
    """
    write_text(end_of(folder, name), ending.model_dump_json())
