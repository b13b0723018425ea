"""What runs inside a job: the command as it was typed, once for each of its tasks, with one process for each GPU."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from submitit.core.utils import DelayedSubmission, UncompletedJobError

from mdreid_bench.cluster.files import VARIABLE, Ending, Failure, log_of, read_ending, write_ending

_PATIENCE, _LOOK = 20.0, 0.1
"""Seconds that a process has to end when it is asked to, and between two looks; it is killed afterwards, which loses
no complete epoch."""
_SHOWN = 400


@dataclass
class Job:
    """Carries out tasks one after the other; submitit calls it, and stores it anew when the job is queued again.

    Args:
        tasks: names, in order.
        folder: of the files of all jobs, absolute.
        command: words after ``mdreid-bench``.
        processes: how many share a task, as with torchrun.
        environment: what is set besides.
    """

    tasks: Sequence[str]
    folder: Path
    command: Sequence[str]
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False, repr=False)
    _stopped: bool = field(default=False, init=False, repr=False)

    def __call__(self) -> None:
        """Carry out what has not ended yet; what was begun goes on from what is stored."""
        signal.signal(signal.SIGTERM, self._stop)
        for name in self.tasks:
            if not self._stopped and read_ending(self.folder, name) is None:
                self._carry_out(name)

    def checkpoint(self) -> DelayedSubmission:
        """Stop at once, because the job is about to be queued again, and return what is to be done then."""
        self._end_child()
        return DelayedSubmission(replace(self))

    def _carry_out(self, name: str) -> None:
        log = log_of(self.folder, name)
        try:
            with log.open("ab") as output:
                self._child = subprocess.Popen(
                    self._words,
                    env={**os.environ, **self.environment, VARIABLE: name},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=_leave_warning_to_parent,
                )
            while (code := self._child.poll()) is None:  # a wait without end would keep checkpoint() from waiting
                time.sleep(_LOOK)
        except UncompletedJobError as error:
            text = f"It was not queued again ({error}); allow more with --time, or give the command again to go on."
            write_ending(self.folder, name, Ending(failures=(Failure(message=text, exit_code=1),)))
            raise
        if not self._stopped and read_ending(self.folder, name) is None:
            write_ending(self.folder, name, Ending(failures=(_failure(code, log),) if code else ()))

    @property
    def _words(self) -> list[str]:
        several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(self.processes), "-m"]
        return [sys.executable, "-m", *(several if self.processes > 1 else []), "mdreid_bench", *self.command]

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Pass on that the job is to end; whoever ended it knows why, so nothing is said to have failed."""
        self._stopped = True
        if self._child is not None:
            self._child.send_signal(number)

    def _end_child(self) -> None:
        self._stopped = True
        if self._child is None:
            return
        self._child.terminate()
        last = time.monotonic() + _PATIENCE
        while self._child.poll() is None and time.monotonic() < last:
            time.sleep(_LOOK)
        self._child.kill()


def _leave_warning_to_parent() -> None:
    """Ignore the signal that announces the end of the job, which Slurm sends to all of its processes."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _failure(code: int, log: Path) -> Failure:
    """Return what to say of a process that ended without saying what failed: its last error, or how it ended."""
    if code < 0:
        name = signal.Signals(-code).name
        memory = ", perhaps because memory was short" if -code == signal.SIGKILL else ""
        return Failure(message=f"It was ended by {name}{memory}; see {log}.", exit_code=1)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = next((line.removeprefix("Error: ") for line in reversed(lines) if line.startswith("Error: ")), "")
    return Failure(message=told[:_SHOWN] or f"It ended with exit code {code}; see {log}.", exit_code=max(code, 1))
