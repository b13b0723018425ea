"""Runs shared by two processes measure what one measures, write once, end together, and go on where they were."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdreid_bench.results.record_file import decode
from tests.cli.running import environment
from tests.data.trees import plant
from tests.processes.together import Change, Ended, Seen, Team, command, free_port
from tests.training.mishaps import (
    another_kind_of_cpu,
    cannot_build,
    die_after_an_epoch,
    die_in_an_epoch,
    lose_an_image,
)

EPOCHS, BATCH = 3, 4
COMMON = (
    *("run", "--dataset", "msvr310", "--device", "cpu", "--preset", "tiny", "--epochs", str(EPOCHS)),
    *("--set", "trunk.pretrained=null", "--set", "trunk.layers=2", "--set", "image.size=[32, 32]"),
    *("--batch-size", str(BATCH), "--set", "batch.instances=2", "--set", "evaluation.batch_size=5"),
    *("--protocol", "R-to-NT", "--protocol", "RNT-to-RNT"),
)
ONE = ("--method", "single-classifier")
TWO = (*ONE, "--method", "clip-zero-shot")
SGD = ("--set", "optimizer.name=sgd", "--set", "optimizer.lr=0.01", "--set", "optimizer.trunk_lr=0.01")
EDITOR = ("--method", "editor", "--set", "options.drop_path=0", *SGD)
"""Gathers tensors of three kinds. Which branches are left out would depend on who draws for which items."""
ACCELERATE = (
    *("--multi_gpu", "--num_processes", "2", "--num_machines", "1"),  # its way of starting several, GPUs or not
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
)
AFTER_ADAM, EXACT = 1e-3, 1e-5
"""Largest difference of embeddings: Adam makes steps of full length of gradients that are mere rounding."""


class Place:
    """Data, and the runs on them.

    Args:
        base: folder for everything.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        plant(base / "data", "msvr310")
        own = {"MDREID_CACHE": str(base / "cache"), "HF_HOME": str(base / "hub"), "OMP_NUM_THREADS": "1"}
        self.environment = environment(**own)
        self.team = Team(base / "teams", self.environment)

    def arguments(self, *more: str, data: str = "data") -> tuple[str, ...]:
        """Return a command line."""
        return (*COMMON, *more, "--data-root", str(self.base / data))

    def run(self, results: str, *more: str, size: int = 2, change: Change | None = None, data: str = "data") -> Ended:
        """Run in some processes that nobody watches."""
        return self.team(command, self.arguments(*more, data=data), self.base / results, change, size=size)

    def alone(self, *more: str) -> tuple[Path, Seen]:
        """Return the results of one process and what it did."""
        name = f"alone{self.team.started}"
        (seen,) = _succeeded(self.run(name, *more, size=1))
        return self.base / name, seen


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def adam(place: Place) -> Path:
    """What one process measures under the recipe as it is."""
    return place.alone(*TWO)[0]


def _ended(ended: Ended) -> list[Seen]:
    """Return what processes did that ended by themselves, and soon."""
    assert ended.codes == [0] * len(ended.codes), ended.stderr
    assert ended.seconds < 30
    return list(ended.answers)


def _succeeded(ended: Ended) -> list[Seen]:
    found = _ended(ended)
    assert [seen.code for seen in found] == [0] * len(found), ended.stderr
    return found


def _errors(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("Error: ")]


def _log(results: Path) -> list[dict[str, Any]]:
    (path,) = results.glob("trained/*/log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def _assert_same(found: Path, wanted: Path, embeddings: float = EXACT) -> None:
    """Compare names of files, loss trajectories and metrics to 1e-5, and embeddings."""
    _assert_same_cells(found, wanted, embeddings)
    log = _log(found)
    assert [entry["epoch"] for entry in log] == list(range(1, EPOCHS + 1))
    for ours, theirs in zip(log, _log(wanted), strict=True):
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=0, abs=1e-5)
        assert (ours["steps"], ours["lr"], ours["precision"]) == (theirs["steps"], theirs["lr"], theirs["precision"])


def _assert_same_cells(found: Path, wanted: Path, embeddings: float = EXACT) -> None:
    names = [{p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} for root in (found, wanted)]
    assert names[0] == names[1]
    for name in names[0]:
        if name.endswith(".npy"):
            atol = embeddings if "clip-zero-shot" not in name else EXACT
            np.testing.assert_allclose(np.load(found / name), np.load(wanted / name), rtol=0, atol=atol)
        elif "/full/" in name and name.endswith(".json"):
            record, other = (decode((root / name).read_bytes()) for root in (found, wanted))
            assert record.metrics.model_dump() == pytest.approx(other.metrics.model_dump(), rel=0, abs=1e-5)
            assert (record.counts, record.run_key, record.precision) == (other.counts, other.run_key, other.precision)


def _launch(place: Place, launcher: tuple[str, ...], results: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    arguments = (*place.arguments(*more), "--results", str(results))
    return subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "mdreid_bench", *arguments],
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


TORCHRUN = "torch.distributed.run", "--nproc-per-node", "2", "--master-port"


def test_torchrun_shares_out_what_one_process_measures(place: Place) -> None:
    """Of a method without training and network, because three processes start that have nothing imported."""
    wanted, _ = place.alone("--method", "random")
    results = place.base / "random"
    done = _launch(place, (*TORCHRUN, str(free_port())), results, "--method", "random")
    assert done.returncode == 0, done.stderr
    _assert_same_cells(results, wanted)
    assert done.stdout.splitlines()[-1] == str(results / "runs")
    assert done.stderr.count("Plan: 1 run, 2 cells (2 new, 0 cached), on cpu.") == 1
    assert done.stderr.count("Cells: 0 reused, 2 done, 0 skipped, 0 failed.") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param(TORCHRUN, id="torchrun"),
        pytest.param(
            ("accelerate.commands.launch", *ACCELERATE, "--main_process_port"),
            id="accelerate",
            marks=pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="not installed"),
        ),
    ],
)
def test_launched_processes_equal_one(place: Place, launcher: tuple[str, ...]) -> None:
    wanted, _ = place.alone(*TWO, *SGD)
    results = place.base / launcher[0]
    done = _launch(place, (*launcher, str(free_port())), results, *TWO, *SGD)
    assert done.returncode == 0, done.stderr
    _assert_same(results, wanted)
    assert done.stdout.count("MSVR310 R-to-NT\n") == 1
    assert done.stdout.splitlines()[-1] == str(results / "runs")
    assert done.stderr.count("Plan: 2 runs, 4 cells (4 new, 0 cached), on cpu.") == 1
    assert done.stderr.count("Cells: 0 reused, 4 done, 0 skipped, 0 failed.") == 1


def test_the_work_is_shared_and_one_process_writes(place: Place) -> None:
    wanted, alone = place.alone(*EDITOR)
    ended = place.run("shared", *EDITOR)
    leader, follower = _succeeded(ended)
    _assert_same(place.base / "shared", wanted)
    assert sorted(leader.embedded + follower.embedded) == sorted(set(alone.embedded)) == sorted(alone.embedded)
    assert len(follower.embedded) in range(len(alone.embedded) // 3, len(leader.embedded) + 1)
    assert Counter(leader.drawn + follower.drawn) == Counter(alone.drawn)
    assert len(leader.drawn) == len(follower.drawn) == len(alone.drawn) / 2
    assert leader.written
    assert follower.written == []
    assert ended.stdout[0].count("MSVR310 R-to-NT\n") == 1
    assert (ended.stdout[1], ended.stderr[1]) == ("", "")


@pytest.mark.slow
def test_items_have_lost_the_same_sensors_in_all_processes(place: Place) -> None:
    lossy = (*ONE, "--missing", "0.5", *SGD)
    wanted, _ = place.alone(*lossy)
    _succeeded(place.run("lossy", *lossy))
    _assert_same(place.base / "lossy", wanted)


def test_killed_after_an_epoch_two_processes_go_on(place: Place, adam: Path) -> None:
    killed = place.run("killed", *TWO, change=die_after_an_epoch)
    assert killed.codes == [-9, 0]
    assert killed.seconds < 30
    assert killed.answers[1].code == 1
    (error,) = _errors(killed.stderr[1])
    assert "Another of the processes that share the work has ended" in error
    state = next((place.base / "killed").glob("trained/*/state.safetensors"))
    assert not state.with_name("weights.safetensors").exists()
    leader, follower = _succeeded(place.run("killed", *TWO))
    assert {epoch for _, epoch, _ in leader.drawn + follower.drawn} == {2, 3}
    _assert_same(place.base / "killed", adam, AFTER_ADAM)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (4, 2)])
def test_any_number_of_processes_goes_on(place: Place, adam: Path, first: int, second: int) -> None:
    name = f"{first}-{second}"
    assert place.run(name, *TWO, size=first, change=die_after_an_epoch).codes[0] == -9
    _succeeded(place.run(name, *TWO, size=second))
    _assert_same(place.base / name, adam, AFTER_ADAM)


def test_a_dead_follower_is_missed_at_once(place: Place) -> None:
    ended = place.run("missing", *ONE, change=die_in_an_epoch)
    assert ended.codes == [0, -9]
    assert ended.seconds < 30
    assert ended.answers[0].code == 1
    (error,) = _errors(ended.stderr[0])
    assert "Another of the processes that share the work has ended" in error


_LOST = r"Process 1 of 2 failed: \S+\.jpg has changed .*file is missing"


@pytest.mark.parametrize(
    ("mishap", "said"),
    [
        (partial(lose_an_image, training=True), _LOST),
        (partial(lose_an_image, training=False), _LOST),
        (cannot_build, r"Process 1 of 2 failed: The weights of the trunk are not here\."),
    ],
    ids=["training-image", "test-image", "build"],
)
def test_what_the_second_cannot_do_ends_both_with_one_message(
    place: Place, mishap: Change, said: str, request: pytest.FixtureRequest
) -> None:
    name = f"failing-{request.node.callspec.id}"
    shutil.copytree(place.base / "data", place.base / f"{name}-data")
    ended = place.run(name, *ONE, change=mishap, data=f"{name}-data")
    assert [seen.code for seen in _ended(ended)] == [1, 0]
    (error,) = _errors(ended.stderr[0])
    assert re.search(said, error)
    assert (ended.stdout, ended.stderr[1]) == (["", ""], "")


def test_a_batch_that_three_cannot_share_ends_all(place: Place) -> None:
    ended = place.run("three", *ONE, size=3)
    assert [seen.code for seen in _ended(ended)] == [2, 0, 0]
    (error,) = _errors("".join(ended.stderr))
    assert "A batch of 4 items cannot be shared equally by 3 processes" in error


def test_damaged_data_end_all_before_anything_is_done(place: Place) -> None:
    shutil.copytree(place.base / "data", place.base / "damaged")
    victim = min((place.base / "damaged" / "MSVR310" / "bounding_box_test").rglob("*.jpg"))
    victim.write_bytes(victim.read_bytes()[:100])
    ended = place.run("none", *ONE, data="damaged")
    assert [seen.code for seen in _ended(ended)] == [3, 3]
    assert all(victim.name in _errors(text)[0] for text in ended.stderr)
    assert not (place.base / "none").exists()


def test_all_use_the_precision_that_suits_the_leader(place: Place) -> None:
    wanted, _ = place.alone(*TWO, *SGD, "--set", "precision=bf16", "--precision", "bf16")
    found = place.base / "mixed"
    free = ("--set", "precision=auto", "--precision", "auto")
    _succeeded(place.run("mixed", *TWO, *SGD, *free, change=another_kind_of_cpu))
    assert {entry["precision"] for entry in _log(found)} == {"bf16"}
    for path in found.glob("runs/*/full/*.json"):
        assert decode(path.read_bytes()).precision == "bf16"
    for method, atol in (("clip-zero-shot", EXACT), ("single-classifier", 1e-2)):
        (ours,), (theirs,) = (list(root.glob(f"runs/*{method}*/full/embeddings/RNT.npy")) for root in (found, wanted))
        np.testing.assert_allclose(np.load(ours), np.load(theirs), rtol=0, atol=atol)
