"""Stands for the command that a job carries out: it waits until it is told how to end.

``python -m tests.cluster.fake RESULTS SIGNS`` notes its task in the file ``begun`` of the second folder, and goes on
once there is a file with the name of the task: with an error to print, or a folder of a run to copy.
"""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.cluster.files import VARIABLE
from mdreid_bench.cluster.job import Job


@dataclass
class FakeJob(Job):
    """A job whose command is this module."""

    @property
    def _words(self) -> list[str]:
        return [sys.executable, "-m", "tests.cluster.fake", str(self.folder.parent), os.environ["SIGNS"]]


def main(results: Path, signs: Path) -> int:
    """Carry out the task that the environment names."""
    name = os.environ[VARIABLE]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parent = os.getppid()
    with (signs / "begun").open("a") as file:
        file.write(f"{name} {parent}\n")
    while not (signs / name).exists():
        if os.getppid() != parent:
            return 1
        time.sleep(0.02)
    told = json.loads((signs / name).read_text())
    if "error" in told:
        sys.stderr.write(f"Error: {told['error']}\n")
        return 3
    shutil.copytree(told["run"], results / "runs" / Path(told["run"]).name)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
