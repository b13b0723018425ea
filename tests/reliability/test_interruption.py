"""Killed, stopped, out of room: the same command, given again, ends with the same bytes."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.disturbing import (
    NoMountError,
    fill_disk,
    fill_small_disk,
    finish,
    kill_at_operations,
    kill_at_random,
)
from tests.reliability.machine import Machine, measured, wait_until

SIZES = ("8k", "400k", "4m", "5m", "6m")
"""Sizes of disks, of which each is full at another time."""
LIKELY = (39, 74)
"""Operations before which an epoch and a part were complete when this was written."""


@pytest.mark.slow
def test_killed_at_random_moments(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    counts = kill_at_random(machine, tmp_path, undisturbed, 5)
    assert counts.total() - counts["runs"] == 5


@pytest.mark.slow
def test_killed_at_very_many_random_moments(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    counts = kill_at_random(machine, tmp_path, undisturbed, 300)
    assert all(counts[phase] for phase in ("before training", "in training", "in extraction", "in scoring"))


def test_killed_before_an_operation_on_files(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    assert kill_at_operations(machine, tmp_path, undisturbed, 41).total() >= 3


@pytest.mark.slow
def test_killed_before_every_operation(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    assert kill_at_operations(machine, tmp_path, undisturbed, 1).total() > 50


def test_work_of_complete_epochs_and_parts_is_not_repeated(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """Find, by killing later and later, a moment after the second epoch and one after the second part."""
    seen: set[str] = set()
    for number in (*LIKELY, *range(24, 100, 5)):
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
            assert any("training" in line and re.search(r"epoch [23]/3, resumed", line) for line in lines)
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
    finish(machine, tmp_path / "r", undisturbed)


def test_a_disk_full_from_some_operation_on(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    assert fill_disk(machine, tmp_path, undisturbed, 37)["exit 3"] >= 2


@pytest.mark.slow
def test_a_disk_full_from_any_operation_on(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    assert fill_disk(machine, tmp_path, undisturbed, 1)["exit 3"] >= 50


@pytest.mark.parametrize("limit", [5_000, 2_000_000])
def test_a_file_system_that_takes_a_part_of_a_file(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path, limit: int
) -> None:
    """The system itself refuses to let files grow beyond a limit, in the middle of a write."""
    code, job = machine.run(tmp_path / "r", file_limit=limit)
    assert code == 3, job.text
    assert "File too large" in job.text
    assert "Traceback" not in job.text
    finish(machine, tmp_path / "r", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_a_disk_that_is_really_full(machine: Machine, undisturbed: dict[str, Any], tmp_path: Path, size: str) -> None:
    try:
        fill_small_disk(machine, tmp_path, undisturbed, size)
    except NoMountError:
        pytest.skip("this user may not mount a small disk")


@pytest.mark.slow
def test_the_best_epoch_survives_a_kill(machine: Machine, tmp_path: Path) -> None:
    """The weights of the best epoch so far are a second file that training must not lose."""
    chosen = ("--select", "best-test")
    code, job = machine.run(tmp_path / "whole", *chosen)
    assert code == 0, job.text
    expected = measured(tmp_path / "whole")
    for number in range(20, job.operations, 3):
        results = tmp_path / str(number)
        code, _ = machine.run(results, *chosen, kill_at=number)
        assert code == -signal.SIGKILL
        code, job = machine.run(results, *chosen)
        assert code == 0, job.text
        assert measured(results) == expected
