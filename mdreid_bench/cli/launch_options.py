"""The options of commands that can have their runs carried out by jobs."""

import re
from dataclasses import dataclass
from typing import Annotated

from mdreid_bench.cli.command import CLUSTER, option
from mdreid_bench.cli.values import choice, count, parse_size, reader
from mdreid_bench.cluster.files import LAUNCHERS, Launcher
from mdreid_bench.cluster.scheduler import DAY, Wishes, check
from mdreid_bench.errors import UsageError

_TIME = re.compile(r"(?:(?P<days>\d{1,3})-)?(?P<parts>\d{1,6}(?::\d{1,2}){0,2})", re.ASCII)


def parse_minutes(text: str) -> int:
    """Read a time span as Slurm does, in whole minutes: ``"90"``, ``"4:00:00"``, ``"2-12"`` (days and hours).

    Raises:
        UsageError: for another form, or less than a minute.
    """
    found = _TIME.fullmatch(text.strip())
    parts = [int(part) for part in found["parts"].split(":")] if found else []
    if found and found["days"]:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    else:
        hours, minutes, seconds = parts if len(parts) == 3 else (0, *parts, 0, 0)[:3]
    whole = (int(found["days"] or 0) * 24 + hours) * 60 + minutes + (seconds > 0) if found else 0
    if whole < 1:
        raise UsageError(
            f"--time takes minutes, hours:minutes:seconds or days-hours, such as 90, 4:00:00 or 2-12, not {text!r}."
        )
    return whole


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """By whose jobs the runs are carried out, and what a job is to have."""

    launcher: Annotated[
        Launcher | None,
        choice(
            CLUSTER,
            "--launcher",
            "Carry out the runs as jobs, one for each training with all of its protocols: of Slurm, or processes of "
            "this machine. Waits, shows how far they are, and ends as without jobs; Ctrl-C leaves them at work, and "
            "the same command returns to them.",
            LAUNCHERS,
        ),
    ] = None
    gpus: Annotated[
        int | None,
        count(CLUSTER, "--gpus", "GPUs of a job; several share each training, as with torchrun.", least=1),
    ] = None
    jobs: Annotated[
        int | None,
        count(
            CLUSTER, "--jobs", "Most jobs at work at the same time. Default: what Slurm allows; local: 1.", least=1
        ),
    ] = None
    time: Annotated[
        int | None,
        option(
            CLUSTER,
            "--time",
            "Longest that a job may take at a time, such as 4:00:00; it is queued again then and goes on. "
            "Default: a day.",
            metavar="<str>",
            parser=reader(parse_minutes),
        ),
    ] = None
    partition: Annotated[str | None, option(CLUSTER, "--partition", "Slurm's partition. Default: Slurm's own.")] = (
        None
    )
    cpus: Annotated[int | None, count(CLUSTER, "--cpus", "CPU cores of a job. Default: Slurm's own.", least=1)] = None
    memory: Annotated[
        int | None,
        option(
            CLUSTER,
            "--memory",
            "Memory of a job, such as 32GB. Default: Slurm's own.",
            metavar="<str>",
            parser=reader(lambda text: parse_size(text, "--memory")),
        ),
    ] = None
    detach: Annotated[
        bool, option(CLUSTER, "--detach", "Submit, show how far everything is, and end.", default=True)
    ] = False

    def wishes(self) -> Wishes | None:
        """Return what a job is to have; None without a launcher.

        Raises:
            UsageError: for options that go with a launcher that was not given, or when this one cannot be used.
        """
        of_slurm = {"--partition": self.partition, "--cpus": self.cpus, "--memory": self.memory}
        every = {"--gpus": self.gpus, "--jobs": self.jobs, "--time": self.time, "--detach": self.detach or None}
        given = [flag for flag, value in {**every, **of_slurm}.items() if value is not None]
        if self.launcher is None:
            if given:
                raise UsageError(f"{given[0]} is for jobs; add --launcher slurm, or leave it out.")
            return None
        if self.launcher == "local" and (stray := [flag for flag in given if flag in of_slurm]):
            raise UsageError(f"{stray[0]} goes with --launcher slurm; leave it out.")
        check(self.launcher)
        asked = (self.launcher, self.gpus or 0, self.cpus, self.memory, self.partition, self.time or DAY, self.jobs)
        return Wishes(*asked)
