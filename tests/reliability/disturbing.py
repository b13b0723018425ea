"""Ways to disturb a small real run, each finished afterwards and compared with an undisturbed one."""

import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.reliability.machine import PROTOCOLS, Machine, measured

Counts = Counter[str]


def finish(machine: Machine, results: Path, expected: dict[str, Any]) -> None:
    """Give the command once more and compare everything with the undisturbed run."""
    code, job = machine.run(results)
    assert code == 0, job.text
    assert "Traceback" not in job.text
    found = measured(results)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def reached(results: Path) -> str:
    """Return how far a run has come, by its files."""
    if not list(results.glob("trained/*")):
        return "before training"
    if not list(results.glob("trained/*/weights.safetensors")):
        return "in training"
    if not list(results.glob("runs/*/full/embeddings/items.npz")):
        return "in extraction"
    return "in scoring" if len(list(results.glob("runs/*/full/*.json"))) < len(PROTOCOLS) else "at the end"


def kill_at_random(machine: Machine, base: Path, expected: dict[str, Any], kills: int) -> Counts:
    """Kill runs at moments spread over their whole length until there were ``kills``; finish and compare each run.

    Returns:
        How often a run was killed in each phase, and ``runs``, how many runs there were.
    """
    rng, counts = random.Random(0), Counter[str]()
    start = time.monotonic()
    machine.run(base / "measure")
    whole = time.monotonic() - start
    done = 0
    while done < kills:
        results = base / f"run{counts['runs']}"
        while done < kills:
            job = machine.start(results)
            time.sleep(rng.uniform(0, 0.9 * whole))
            with suppress(ProcessLookupError):
                job.signal(signal.SIGKILL)
            code = machine.wait(job)
            if code == 0:
                break
            assert code == -signal.SIGKILL, job.text
            done += 1
            counts[reached(results)] += 1
        finish(machine, results, expected)
        shutil.rmtree(results)
        counts["runs"] += 1
    return counts


def _operations(machine: Machine, base: Path, step: int) -> Iterator[int]:
    """Count the operations of a run on its files, and yield every ``step``-th."""
    code, job = machine.run(base / "counted")
    assert code == 0, job.text
    assert job.operations > 50
    yield from range(1, job.operations + 1, step)


def kill_at_operations(machine: Machine, base: Path, expected: dict[str, Any], step: int) -> Counts:
    """Kill a fresh run just before every ``step``-th of its operations on files, finish and compare it."""
    counts = Counter[str]()
    for number in _operations(machine, base, step):
        results = base / str(number)
        code, job = machine.run(results, kill_at=number)
        assert code == -signal.SIGKILL, job.text
        counts[reached(results)] += 1
        finish(machine, results, expected)
        shutil.rmtree(results)
    return counts


def fill_disk(machine: Machine, base: Path, expected: dict[str, Any], step: int) -> Counts:
    """Let the disk be full from every ``step``-th operation on; the run goes on when there is room again.

    Returns:
        How often each exit code came, with ``exit 0`` for what only the log or the message of a lock needed.
    """
    counts = Counter[str]()
    for number in _operations(machine, base, step):
        results = base / str(number)
        code, job = machine.run(results, fail_at=number)
        assert "Traceback" not in job.text
        assert "this should not happen" not in job.text
        if code:  # 1 when some cells were done before
            assert code == (1 if re.search("[1-9] done", job.text) else 3), job.text
            assert "No space left on device" in job.text
        counts[f"exit {code}"] += 1
        finish(machine, results, expected)
        shutil.rmtree(results)
    return counts


class NoMountError(Exception):
    """This user may not mount a disk of a given size."""


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of a given size on a folder for the block.

    Raises:
        NoMountError: when that is not allowed.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise NoMountError from None
    if done.returncode:
        raise NoMountError
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_small_disk(machine: Machine, base: Path, expected: dict[str, Any], size: str) -> str:
    """Run on a disk that is really full at some time, give it more room, finish and compare; return the phase.

    Raises:
        NoMountError: when no disk can be mounted.
    """
    folder = base / f"disk{size}"
    with small_disk(folder, size):
        results = folder / "r"
        code, job = machine.run(results)
        assert code == 3, job.text
        assert "No space left on device" in job.text
        assert "Traceback" not in job.text
        phase = reached(results)
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        finish(machine, results, expected)
    return phase
