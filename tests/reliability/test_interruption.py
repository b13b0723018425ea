"""Killed, stopped, out of room: the same command, given again, ends with the same bytes."""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.machine import Machine, measured, wait_until


def _finish(machine: Machine, results: Path, expected: dict[str, Any]) -> None:
    """Give the command once more and compare everything with the undisturbed run."""
    code, job = machine.run(results)
    assert code == 0, job.text
    assert "Traceback" not in job.text
    found = measured(results)
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def _kill_at_random(machine: Machine, base: Path, expected: dict[str, Any], kills: int) -> None:
    """Kill runs at moments spread over their whole length until there were ``kills``; finish and compare each."""
    rng = random.Random(0)
    start = time.monotonic()
    machine.run(base / "measure")
    whole = time.monotonic() - start
    done = finished = 0
    while done < kills:
        results = base / str(finished)
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
        _finish(machine, results, expected)
        finished += 1


def test_killed_at_random_moments(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    _kill_at_random(machine, tmp_path, undisturbed, 25)


@pytest.mark.slow
def test_killed_at_very_many_random_moments(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    _kill_at_random(machine, tmp_path, undisturbed, 300)


def _operations(machine: Machine, base: Path, step: int) -> Iterator[int]:
    """Count the operations of a run on its files, and yield every ``step``-th."""
    code, job = machine.run(base / "counted")
    assert code == 0, job.text
    assert job.operations > 50
    yield from range(1, job.operations + 1, step)


def _kill_at_operations(machine: Machine, base: Path, expected: dict[str, Any], step: int) -> int:
    """Kill a fresh run just before each of its operations on files, finish and compare it."""
    points = list(_operations(machine, base, step))
    for number in points:
        results = base / str(number)
        code, job = machine.run(results, kill_at=number)
        assert code == -signal.SIGKILL, job.text
        _finish(machine, results, expected)
    return len(points)


def test_killed_before_an_operation_on_files(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    assert _kill_at_operations(machine, tmp_path, undisturbed, 17) >= 5


@pytest.mark.slow
def test_killed_before_every_operation_on_files(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    assert _kill_at_operations(machine, tmp_path, undisturbed, 1) > 50


def test_work_of_complete_epochs_and_parts_is_not_repeated(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Find, by killing later and later, a moment after the second epoch and one after the second part."""
    seen: set[str] = set()
    for number in range(24, 100, 5):
        if len(seen) == 2:
            break
        results = tmp_path / str(number)
        machine.run(results, kill_at=number)
        epochs = [len(path.read_text().splitlines()) for path in results.glob("trained/*/log.jsonl")]
        parts = len(list(results.glob("runs/*/full/embeddings/parts/*.safetensors")))
        interesting = "epochs" if epochs == [2] else "parts" if parts in (2, 3) else ""
        if not interesting or interesting in seen:
            continue
        seen.add(interesting)
        code, job = machine.run(results)
        assert code == 0, job.text
        (log,) = results.glob("runs/*/run.log")
        lines = [line for line in log.read_text().splitlines() if "resumed" in line]
        if interesting == "epochs":
            # The state is written before the log, so a third epoch may be complete.
            assert any("training" in line and re.search(r"[23]/3 resumed", line) for line in lines)
        else:
            assert any("extracting" in line and f"{4 * parts}/16 resumed" in line for line in lines)
        assert measured(results) == undisturbed
    assert seen == {"epochs", "parts"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_polite_signal_ends_the_run_cleanly(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path, number: int, code: int
) -> None:
    job = machine.start(tmp_path / "r")
    wait_until(lambda: any((tmp_path / "r").glob("trained/*/state.safetensors")))
    job.signal(number)
    assert machine.wait(job) == code
    assert "the same command goes on from here" in job.text
    assert "Traceback" not in job.text
    left = [path.name for path in (tmp_path / "r").rglob("*") if path.suffix in (".tmp", ".lock")]
    assert left == []
    _finish(machine, tmp_path / "r", undisturbed)


def _full_disk(machine: Machine, base: Path, expected: dict[str, Any], step: int) -> None:
    """Let the disk be full from an operation on; the run ends with one sentence, and goes on when there is room."""
    for number in _operations(machine, base, step):
        results = base / str(number)
        code, job = machine.run(results, fail_at=number)
        assert "Traceback" not in job.text
        assert "this should not happen" not in job.text
        if code:  # 1 when some cells were done before
            assert code == (1 if re.search("[1-9] done", job.text) else 3), job.text
            assert "No space left on device" in job.text
        _finish(machine, results, expected)


def test_a_disk_full_from_some_operation_on(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    _full_disk(machine, tmp_path, undisturbed, 23)


@pytest.mark.slow
def test_a_disk_full_from_any_operation_on(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    _full_disk(machine, tmp_path, undisturbed, 1)


@pytest.mark.parametrize("limit", [5_000, 2_000_000])
def test_a_file_system_that_takes_a_part_of_a_file(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path, limit: int
) -> None:
    """The system itself refuses to let files grow beyond a limit, in the middle of a write."""
    code, job = machine.run(tmp_path / "r", file_limit=limit)
    assert code == 3, job.text
    assert "File too large" in job.text
    assert "Traceback" not in job.text
    _finish(machine, tmp_path / "r", undisturbed)


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["8k", "400k", "4m", "5m", "6m"])
def test_a_disk_that_is_really_full(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path, size: str) -> None:
    with _small_disk(tmp_path / "small", size):
        results = tmp_path / "small" / "r"
        code, job = machine.run(results)
        assert code == 3, job.text
        assert "No space left on device" in job.text
        assert "Traceback" not in job.text
        os.system(f"mount -o remount,size=64m {tmp_path / 'small'}")
        _finish(machine, results, undisturbed)
