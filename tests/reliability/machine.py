"""A small real run that can be started, killed and compared, many times a minute."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.running import environment
from tests.data.trees import plant

PROTOCOLS = ("R-to-NT", "RNT-to-RNT", "mixed-0.5-s0")
ARGUMENTS = (
    *("run", "--dataset", "msvr310", "--method", "single-classifier", "--device", "cpu", "--preset", "tiny"),
    *("--set", "trunk.pretrained=null", "--set", "trunk.layers=1", "--set", "image.size=[32, 32]"),
    *("--set", "batch.instances=2", "--batch-size", "4", "--epochs", "3", "--set", "evaluation.batch_size=4"),
    *(part for protocol in PROTOCOLS for part in ("--protocol", protocol)),
)
"""Three epochs, four parts of embeddings, three cells."""


@dataclass(frozen=True)
class Job:
    """A run on its way: process, file with all it prints, results folder."""

    pid: int
    output: Path
    results: Path

    @property
    def text(self) -> str:
        """What it printed."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    @property
    def operations(self) -> int:
        """How many operations on files of the results folder it did, once it ended by itself."""
        return int(self.output.with_suffix(".count").read_text())

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        os.kill(self.pid, number)


class Machine:
    """A data root, and a process that has torch imported and forks for every run.

    Args:
        base: folder for everything.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.jobs = 0
        plant(base / "data", "msvr310")
        own = {"MDREID_CACHE": str(base / "cache"), "HF_HOME": str(base / "hub"), "OMP_NUM_THREADS": "1"}
        self.environment = environment(**own)
        command = [sys.executable, "-m", "tests.reliability.server"]
        self.server = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(
        self,
        results: Path,
        *more: str,
        arguments: tuple[str, ...] = ARGUMENTS,
        kill_at: int = 0,
        fail_at: int = 0,
        file_limit: int = 0,
        part_seconds: float = 0.0,
        data: bool = True,
        watch: bool = False,
    ) -> Job:
        """Start a run; see :mod:`tests.reliability.server` for what can be done to it."""
        self.jobs += 1
        output = self.base / f"job{self.jobs}.txt"
        output.touch()
        root = ("--data-root", str(self.base / "data")) if data else ()
        common = (*root, "--results", str(results))
        order = {
            "arguments": [*arguments, *common, *more],
            "environment": self.environment,
            "output": str(output),
            "folder": str(results),
            "kill_at": kill_at,
            "fail_at": fail_at,
            "file_limit": file_limit,
            "part_seconds": part_seconds,
            "watch": watch,
        }
        return Job(self._ask(order), output, results)

    def wait(self, job: Job) -> int:
        """Return the exit code, negative for a signal."""
        return self._ask({"wait_for": job.pid})

    def run(self, results: Path, *more: str, **options: Any) -> tuple[int, Job]:
        """Start a run and wait for it."""
        job = self.start(results, *more, **options)
        return self.wait(job), job

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(timeout=30)

    def _ask(self, order: dict[str, Any]) -> int:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(order) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that should take a moment."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def measured(results: Path) -> dict[str, Any]:
    """Return everything in a results folder that must not depend on what happened on the way.

    Records without their provenance, logs of the training without its times; all else byte by byte. Files that are
    there only while somebody works would show up here, too.
    """
    found: dict[str, Any] = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if not path.is_file() or path.name == "run.log":
            continue
        if path.suffix == ".jsonl":
            entries = [json.loads(line) for line in path.read_text().splitlines()]
            steps = [entry for entry in entries if "losses" in entry]  # of looks in between, the clock decides
            found[name] = [{k: v for k, v in entry.items() if k not in ("seconds", "time")} for entry in steps]
        elif path.suffix == ".json" and path.name != "run.json":
            record = json.loads(path.read_text())
            found[name] = {k: v for k, v in record.items() if k not in ("provenance", "digest")}
        else:
            found[name] = path.read_bytes()
    return found
