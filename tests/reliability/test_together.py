"""Several processes in one results folder, and shares of a plan on several machines."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.errors import UsageError
from mdreid_bench.results.storage.lock import attempt
from mdreid_bench.runs.shard import Shard
from tests.reliability.machine import ARGUMENTS, PROTOCOLS, Job, Machine, measured, wait_until

TWO_SEEDS = ("--seed", "1111", "--seed", "2")


def _counts(job: Job) -> dict[str, int]:
    """Return what the summary line of a run says."""
    found = re.search(r"Cells: (.*)\.", job.text)
    assert found is not None, job.text
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", found[1])}


def _begun(results: Path, what: str) -> int:
    """Return how often something was begun, after the log files of all runs."""
    logs = [path.read_text() for path in results.glob("runs/*/run.log")]
    return sum(len(re.findall(rf"\] {what} .*: \d+ to do$", log, re.MULTILINE)) for log in logs)


@pytest.fixture(scope="module")
def both_seeds(machine: Machine) -> dict[str, Any]:
    """What one process measures with two seeds."""
    code, job = machine.run(machine.base / "both", *TWO_SEEDS)
    assert code == 0, job.text
    return measured(job.results)


def test_three_processes_with_one_command_share_the_work(
    machine: Machine, both_seeds: dict[str, Any], tmp_path: Path
) -> None:
    jobs = [machine.start(tmp_path / "r", *TWO_SEEDS) for _ in range(3)]
    codes = [machine.wait(job) for job in jobs]
    assert codes == [0, 0, 0], [job.text for job in jobs]
    counts = [_counts(job) for job in jobs]
    assert sum(count["done"] for count in counts) == 2 * len(PROTOCOLS)
    assert all(count["done"] + count["reused"] == 2 * len(PROTOCOLS) for count in counts)
    assert _begun(tmp_path / "r", "training") == _begun(tmp_path / "r", "extracting") == 2
    assert measured(tmp_path / "r") == both_seeds


def test_different_cells_of_one_run_are_measured_side_by_side(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    base = ARGUMENTS[: ARGUMENTS.index("--protocol")]
    jobs = [
        machine.start(tmp_path / "r", arguments=(*base, *(part for p in protocols for part in ("--protocol", p))))
        for protocols in (PROTOCOLS[:2], PROTOCOLS[1:])
    ]
    assert [machine.wait(job) for job in jobs] == [0, 0], [job.text for job in jobs]
    assert sum(_counts(job)["done"] for job in jobs) == len(PROTOCOLS)
    assert _begun(tmp_path / "r", "training") == 1
    assert measured(tmp_path / "r") == undisturbed


def test_one_takes_over_when_the_other_is_killed(
    machine: Machine, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    first = machine.start(tmp_path / "r")
    wait_until(lambda: list((tmp_path / "r").glob("trained/*/state.safetensors")))
    first.signal(signal.SIGSTOP)
    second = machine.start(tmp_path / "r")
    wait_until(lambda: "Waiting for" in second.text)
    assert f"process {first.pid} on " in second.text
    first.signal(signal.SIGKILL)
    machine.wait(first)
    assert machine.wait(second) == 0, second.text
    assert "Taking over" in second.text
    assert measured(tmp_path / "r") == undisturbed


def test_a_busy_run_comes_last(machine: Machine, both_seeds: dict[str, Any], tmp_path: Path) -> None:
    """The first run is locked by this process; the second one is done before anybody waits."""
    results = tmp_path / "r"
    (folder,) = (name.split("/")[1] for name in both_seeds if "-s1111-" in name and name.endswith("run.json"))
    with attempt(results / "runs" / folder / "full" / "embeddings" / ".lock"):
        job = machine.start(results, *TWO_SEEDS)
        wait_until(lambda: "Waiting for" in job.text)
        finished = list(results.glob("runs/*/full/*.json"))
        assert len(finished) == len(PROTOCOLS)
        assert all("-s2-" in str(path) for path in finished)
    assert machine.wait(job) == 0
    assert measured(results) == both_seeds


def test_shards_merged_equal_the_whole(machine: Machine, both_seeds: dict[str, Any], tmp_path: Path) -> None:
    texts = []
    for number in (1, 2, 3):
        code, job = machine.run(tmp_path / str(number), *TWO_SEEDS, "--shard", f"{number}/3")
        assert code == 0, job.text
        texts.append(job.text)
    assert [f"Shard: {n}/3, which holds {k} of 2 runs." in text for (n, k), text in zip(
        ((1, 1), (2, 1), (3, 0)), texts, strict=True
    )] == [True] * 3  # fmt: skip
    shards = [tmp_path / str(number) for number in (1, 2)]
    code, job = machine.run(tmp_path / "all", arguments=("merge", *map(str, shards)), data=False)
    assert code == 0, job.text
    merged = {name: value for name, value in both_seeds.items() if not name.endswith("/history.jsonl")}
    assert measured(tmp_path / "all") == merged  # steps are written down for whoever watches, where they are taken
    code, job = machine.run(tmp_path / "all", *TWO_SEEDS)
    assert _counts(job) == {"reused": 6, "done": 0, "skipped": 0, "failed": 0}


def test_every_run_is_in_one_shard_however_it_was_asked_for() -> None:
    class Config:
        def __init__(self, method: str, seed: int) -> None:
            self.dataset, self.method, self.seed = "msvr310", method, seed

    class Stub:
        def __init__(self, method: str, seed: int, training_key: str) -> None:
            self.config, self.training_key = Config(method, seed), training_key

    runs: list[Any] = [Stub(m, s, f"{m}{s}") for m in ("b", "a") for s in (3, 1, 2)] + [Stub("a", 1, "a1")]
    for count in (1, 2, 3, 4, 10):
        shards = [Shard(number, count) for number in range(1, count + 1)]
        parts = [shard.take(runs) for shard in shards]
        assert sorted(map(id, (run for part in parts for run in part))) == sorted(map(id, runs))
        assert [set(map(id, part)) for part in parts] == [set(map(id, s.take(reversed(runs)))) for s in shards]
        keys = [{run.training_key for run in part} for part in parts]
        assert all(not first & second for i, first in enumerate(keys) for second in keys[:i])


@pytest.mark.parametrize(
    "text", ["", "1", "0/4", "5/4", "1/0", "a/b", "1/4/2", "-1/4", "\u0661/\u0664", "1/99999999999"]
)
def test_anything_else_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="such as 1/4"):
        Shard.parse(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    assert str(Shard.parse(" 2/4 ")) == "2/4"
