"""Processes that work together as ``torchrun`` would start them, forked from one that has torch imported."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1}
"""Audit events besides ``open`` that change files, and how many of their first arguments are paths."""


@dataclass(frozen=True)
class Ended:
    """What became of the processes, by rank.

    Attributes:
        codes: exit codes, negative for a signal.
        stdout: what each printed.
        stderr: likewise.
        answers: what each returned, None for one that did not get so far.
        seconds: until the last one ended.
    """

    codes: list[int]
    stdout: list[str]
    stderr: list[str]
    answers: list[Any]
    seconds: float


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Team:
    """Starts a function in several processes that can meet each other.

    Args:
        base: folder for what they print.
        environment: laid over theirs.
    """

    def __init__(self, base: Path, environment: Mapping[str, str]) -> None:
        self.base, self.environment, self.started = base, dict(environment), 0
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(
            ["mdreid_bench.cli.run_session", "mdreid_bench.training.train", "open_clip", "sklearn.cluster"]
        )

    def __call__(self, work: Callable[..., Any], *arguments: Any, size: int = 2, seconds: float = 60) -> Ended:
        """Call ``work(*arguments)`` in every process and wait for all; those that take too long are killed.

        Args:
            work: a function of a module.
            arguments: the same for all; they must be picklable.
            size: number of processes.
            seconds: that may pass until all have ended.
        """
        self.started += 1
        place = self.base / f"team{self.started}"
        place.mkdir(parents=True)
        launched = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        members: list[BaseProcess] = []
        start = time.monotonic()
        for rank in range(size):
            environment = self.environment | launched | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            members.append(self.context.Process(target=_member, args=(place, rank, environment, work, arguments)))
            members[-1].start()
        for member in members:
            member.join(max(0.0, start + seconds - time.monotonic()))
            if member.is_alive():
                member.kill()
                member.join()
        return Ended(
            codes=[member.exitcode or 0 for member in members],
            stdout=[(place / f"{rank}.out").read_text() for rank in range(size)],
            stderr=[(place / f"{rank}.err").read_text() for rank in range(size)],
            answers=[_answer(place / f"{rank}.pt") for rank in range(size)],
            seconds=time.monotonic() - start,
        )


def _answer(path: Path) -> Any:
    import torch

    return torch.load(path, weights_only=False) if path.exists() else None


def _member(place: Path, rank: int, environment: dict[str, str], work: Callable[..., Any], arguments: Any) -> None:
    import torch

    for number, suffix in ((1, "out"), (2, "err")):
        os.dup2(os.open(place / f"{rank}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    os.environ.update(environment)
    torch.set_num_threads(1)
    torch.save(work(*arguments), place / f"{rank}.pt")


@dataclass
class Seen:
    """What one process did in a run.

    Attributes:
        code: exit code of the command.
        drawn: row, epoch and place of every training triplet that it loaded.
        embedded: row of every test triplet that it loaded.
        written: files below the results folder that it opened for writing, renamed, removed or made.
    """

    code: int = 0
    drawn: list[tuple[int, int, int]] = field(default_factory=list)
    embedded: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)


Change = Callable[[int], None]
"""What is changed in a process before it runs the command; is told its rank."""


def command(arguments: tuple[str, ...], results: Path, change: Change | None = None) -> Seen:
    """Run ``mdreid-bench`` in this process and return what it did.

    Args:
        arguments: of the command line, without ``--results``.
        results: folder of the results.
        change: called before, if given.
    """
    from mdreid_bench.cli.app import main
    from mdreid_bench.data.loading import TestImages, TrainingImages

    seen = Seen()

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            paths = given[:1] if isinstance(given[2], int) and given[2] & _WRITING else ()
        else:
            paths = given[: _CHANGES.get(event, 0)]
        seen.written.extend(str(path) for path in paths if str(path).startswith(str(results)))

    def noting(original: Callable[[Any, Any], Any], notes: list[Any]) -> Callable[[Any, Any], Any]:
        def get(self: Any, key: Any) -> Any:
            notes.append(key)
            return original(self, key)

        return get

    if change is not None:
        change(int(os.environ["RANK"]))
    for kind, notes in ((TrainingImages, seen.drawn), (TestImages, seen.embedded)):
        kind.__getitem__ = noting(kind.__getitem__, notes)  # type: ignore[method-assign]
    sys.addaudithook(watch)
    sys.argv = ["mdreid-bench", *arguments, "--results", str(results)]
    try:
        main()
    except SystemExit as end:
        seen.code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return seen
