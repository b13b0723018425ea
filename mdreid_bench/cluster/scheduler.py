"""Gives jobs to Slurm, or to processes of this machine, by submitit, and asks what has become of them."""

import io
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mdreid_bench.cluster.files import Launcher, Submission
from mdreid_bench.errors import MdreidError, UsageError
from mdreid_bench.results.storage.lock import host_name

if TYPE_CHECKING:
    from mdreid_bench.cluster.job import Job

DAY = 24 * 60
_TIMEOUTS = {"slurm": 20, "local": 5}
"""How often a job is queued again because its time is up."""
_WARNING = 90
"""Seconds before that, at which a job is told."""


@dataclass(frozen=True)
class Wishes:
    """What a job is to have.

    Attributes:
        minutes: that it may take at a time.
        memory: in bytes.
        at_once: most jobs that work at the same time; None for as many as there is room for.
    """

    launcher: Launcher
    gpus: int = 0
    cpus: int | None = None
    memory: int | None = None
    partition: str | None = None
    minutes: int = DAY
    at_once: int | None = None


@dataclass(frozen=True)
class JobState:
    """Of a job that is not over: whether it waits or works, and what for, in the scheduler's words."""

    kind: Literal["queued", "running"]
    reason: str = ""


def check(launcher: Launcher) -> None:
    """See that jobs can be submitted.

    Raises:
        UsageError: without submitit or, for Slurm, its programs.
    """
    if find_spec("submitit") is None:
        raise UsageError(
            "--launcher needs submitit, which is not installed; add it with: pip install 'mdreid-bench[cluster]'."
        )
    missing = [name for name in ("sbatch", "squeue", "srun") if launcher == "slurm" and not shutil.which(name)]
    if missing:
        raise UsageError(
            f"--launcher slurm needs {missing[0]}, which was not found; give the command on a login node of the "
            "cluster, or split the plan with --shard."
        )


def submit(jobs: "Sequence[Job]", wishes: Wishes, folder: Path) -> list[Submission]:
    """Give jobs to the scheduler, as one array where it has arrays.

    Raises:
        MdreidError: when it refuses them.
    """
    from submitit import AutoExecutor  # here, because it is an extra
    from submitit.core.utils import FailedJobError

    limits = {f"{name}_max_num_timeout": most for name, most in _TIMEOUTS.items()}
    executor = AutoExecutor(folder=folder, cluster=wishes.launcher, **limits)
    executor.update_parameters(
        name="mdreid-bench",
        timeout_min=wishes.minutes,
        gpus_per_node=wishes.gpus or None,
        cpus_per_task=wishes.cpus,
        mem_gb=None if wishes.memory is None else wishes.memory / 2**30,
        slurm_partition=wishes.partition,
        slurm_array_parallelism=wishes.at_once or len(jobs),
        slurm_signal_delay_s=min(_WARNING, wishes.minutes * 15),
        slurm_srun_args=[f"--cpus-per-task={wishes.cpus}"] if wishes.cpus else None,  # srun does not take sbatch's
        slurm_additional_parameters={"requeue": True},
    )
    said = io.StringIO()
    try:
        with redirect_stderr(said), _left_alone(), executor.batch():
            given = [executor.submit(job) for job in jobs]
    except FailedJobError as error:
        reason = " ".join(str(error).split()).removeprefix("sbatch: ").removeprefix("error: ")
        raise MdreidError(f"Slurm took no job: {reason.rstrip('.')}.") from None
    return [Submission(launcher=wishes.launcher, job=job.job_id, host=host_name()) for job in given]


@contextmanager
def _left_alone() -> Iterator[None]:
    """Let processes that are started in the block outlive this one: Ctrl-C and the end of the terminal are ours."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def states(submissions: Iterable[Submission]) -> dict[Submission, JobState]:
    """Return the jobs that are queued or running.

    Raises:
        MdreidError: when the scheduler cannot be asked.
    """
    found, queue = dict[Submission, JobState](), None
    for one in submissions:
        if one.launcher == "local":
            if one.host == host_name() and _lives(int(one.job)):
                found[one] = JobState("running")
            continue
        queue = _queue() if queue is None else queue
        if one.job in queue:
            found[one] = queue[one.job]
    return found


def _queue() -> dict[str, JobState]:
    """Return the user's jobs in Slurm by their number, which no accounting is needed for."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MdreidError(f"Slurm cannot be asked for jobs: {error}.") from None
    if done.returncode:
        reason = " ".join(done.stderr.split()).removeprefix("slurm_load_jobs error: ")
        raise MdreidError(f"Slurm cannot be asked for jobs: {reason.rstrip('.')}.")
    rows = (line.strip().split("|") for line in done.stdout.splitlines())
    return {
        row[0]: JobState("queued", row[2].replace("None", "")) if row[1] == "PENDING" else JobState("running")
        for row in rows
        if len(row) == 3
    }


def _lives(process: int) -> bool:
    """Tell whether a process is there that has not ended; one that we started and that has is forgotten."""
    with suppress(ChildProcessError):
        os.waitpid(process, os.WNOHANG)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def numbers(submissions: Iterable[Submission]) -> str:
    """Return the numbers of jobs, each array once."""
    return " ".join(dict.fromkeys(one.job.partition("_")[0] for one in submissions))


def cancelling(submissions: Iterable[Submission]) -> str:
    """Return the command that ends jobs."""
    given = list(submissions)
    return f"{'kill' if any(one.launcher == 'local' for one in given) else 'scancel'} {numbers(given)}"
