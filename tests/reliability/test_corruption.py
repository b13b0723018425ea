"""Damaged files: a clean error or the same content, never a wrong number."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.damage import HARMLESS, sweep
from tests.reliability.machine import Machine, measured
from tests.reliability.sweeps import SWEEPS
from tests.support import mostly_slow

STEPS = {"image (JPEG)": 229, "record": 29, "per-query values": 61, "checkpoint": 61, "table of embeddings": 61}
SPARSE = 17


@pytest.mark.parametrize("name", SWEEPS)
def test_damage_at_many_places(name: str, tmp_path: Path) -> None:
    counts = SWEEPS[name](tmp_path, STEPS.get(name, SPARSE))
    assert sum(counts.values()) > 40
    assert sum(count for outcome, count in counts.items() if "refused" in outcome) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", SWEEPS)
def test_damage_at_every_place(name: str, tmp_path: Path) -> None:
    counts = SWEEPS[name](tmp_path, 1)
    assert sum(counts.values()) > 1_000
    assert counts[f"cut: {HARMLESS}"] <= 2  # the line end of a text, a zero at the end of a number


def test_a_reader_that_believes_everything_does_not_pass_the_sweep() -> None:
    content = bytes(range(100))

    def credulous(damaged: bytes) -> str:
        assert damaged == content
        return HARMLESS

    with pytest.raises(AssertionError):
        sweep(content, 10, credulous)


Spoil = Callable[[bytes], bytes]
SPOILS: dict[str, Spoil] = {
    "emptied": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "overwritten": lambda content: b"\x80\x04\x95" + content[3:],
}
STORED = {
    "runs/*/full/R-to-NT.json": 0,
    "runs/*/full/embeddings/items.npz": 1,
    "runs/*/full/embeddings/R.npy": 1,
    "runs/*/run.json": 0,
    "runs/*/config.yaml": 0,
    "runs/*/run.log": 0,
}
"""Stored files -> exit code of a run for one more cell: 0 where they are made again, 1 where only that cell fails."""


@pytest.fixture(scope="module")
def finished(machine: Machine) -> Path:
    code, job = machine.run(machine.base / "finished")
    assert code == 0, job.text
    return job.results


@pytest.mark.parametrize(
    ("pattern", "how"),
    mostly_slow(
        product(STORED, SPOILS),
        {
            *product(STORED, ("halved",)),
            *product(("runs/*/full/R-to-NT.json", "runs/*/full/embeddings/R.npy"), SPOILS),
        },
    ),
)
def test_a_run_on_damaged_files(
    machine: Machine, finished: Path, undisturbed: dict[str, Any], pattern: str, how: str
) -> None:
    """Ask for one more cell; what is damaged is made again or named in one sentence, and repaired it goes on."""
    (path,) = finished.glob(pattern)
    before = path.read_bytes()
    extra = finished.glob("runs/*/full/R-to-R.*")
    for old in extra:
        old.unlink()
    path.write_bytes(SPOILS[how](before))
    try:
        code, job = machine.run(finished, "--protocol", "R-to-R")
        assert code == STORED[pattern], job.text
        assert "Traceback" not in job.text
        assert "this should not happen" not in job.text
        if code:
            assert path.name in job.text
    finally:
        if STORED[pattern] or path.name == "run.log":
            path.write_bytes(before)
    code, job = machine.run(finished, "--protocol", "R-to-R")
    assert code == 0, job.text
    found = measured(finished)
    assert [name for name in undisturbed if found[name] != undisturbed[name]] == []


@pytest.mark.parametrize("how", mostly_slow(SPOILS, ("halved",)))
@pytest.mark.parametrize("pattern", ["runs/*/run.json", "runs/*/config.yaml"])
def test_a_damaged_description_is_made_again_though_nothing_is_measured(
    machine: Machine, finished: Path, pattern: str, how: str
) -> None:
    """What ``score`` and ``search`` read and ask to be made again by the very command that made it."""
    (path,) = finished.glob(pattern)
    before = path.read_bytes()
    path.write_bytes(SPOILS[how](before))
    code, job = machine.run(finished)
    assert code == 0, job.text
    assert "0 done" in job.text
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", mostly_slow(SPOILS, ("halved",)))
def test_a_damaged_state_of_the_training_is_named(machine: Machine, tmp_path: Path, how: str) -> None:
    results = tmp_path / "r"
    for number in range(30, 60, 4):
        machine.run(results, kill_at=number)
        states = list(results.glob("trained/*/state.safetensors"))
        if states:
            break
    (state,) = states
    state.write_bytes(SPOILS[how](state.read_bytes()))
    code, job = machine.run(results)
    assert code == 3, job.text
    assert "state.safetensors cannot be read" in job.text
    assert "move it away to train anew" in job.text
    state.unlink()
    code, job = machine.run(results)
    assert code == 0, job.text
