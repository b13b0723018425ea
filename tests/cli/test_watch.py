"""``mdreid-bench watch``: what a run writes while it works, as a picture."""

import os
import re
import time
from pathlib import Path

import pytest

from mdreid_bench.report.watching import PLAIN, picture, sparkline
from mdreid_bench.results.decoupling import PartSimilarities
from mdreid_bench.results.history import History
from mdreid_bench.results.progress import Progress, read_progress
from mdreid_bench.results.storage.lock import Owner, attempt
from mdreid_bench.results.store import RunFolder, Store
from mdreid_bench.results.trained import TrainingFolder
from tests.cli.conftest import Trained
from tests.cli.running import Outcome, environment, in_process
from tests.evaluation.stored import store

NAMES = tuple(f"{kind} {sensor}" for kind in ("specific", "shared") for sensor in "RNT")
IDEAL = tuple(tuple(float(a == b or (a > 2 and b > 2)) for b in range(6)) for a in range(6))
ALIKE = tuple(tuple(1.0 if a == b else 0.83 for b in range(6)) for a in range(6))


class Watched:
    """A run of four epochs with ten steps, of which some are done."""

    def __init__(self, root: Path, steps: int = 25) -> None:
        stored = store(root)
        self.root, self.run = root, RunFolder(stored.scope.path.parent)
        self.training = TrainingFolder(root / "trained" / str(stored.facts.training))
        history = History(self.training.history)
        history.begin(0)
        for step in range(1, steps + 1):
            entry = {"step": step, "epoch": (step + 9) // 10, "of": 40, "epochs": 4, "time": 1000.0 + 2 * step}
            losses = {"identity": 4.0 / step, "triplet": 0.3, "orthogonality": 0.6 - step / 100}
            history.add(entry | {"losses": losses, "rates": {"trunk": 5e-6, "base": 3.5e-4}})
        near = [[(a + b) / 2 for a, b in zip(*rows, strict=True)] for rows in zip(IDEAL, ALIKE, strict=True)]
        look = {"step": 20, "epoch": 2, "names": list(NAMES), "similarity": near, "distance": 0.1}
        history.add(look)
        history.close()
        PartSimilarities(names=NAMES, ideal=IDEAL, items=8, before=ALIKE).write(self.training.decoupling)
        self.log("training mdreid on msvr310: 40 to do")

    def log(self, text: str) -> None:
        with self.run.log.open("a") as file:
            file.write(f"2026-01-02 03:04:05 [{os.getpid()}] {text}\n")

    def now(self) -> Progress:
        return read_progress(Store(self.root), self.run)

    def watch(self, *arguments: str) -> Outcome:
        return in_process("watch", "msvr310", *arguments, "--results", str(self.root), env=environment())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_run_at_work_tells_epoch_time_left_and_who(watched: Watched) -> None:
    with attempt(watched.training.lock):
        now = watched.now()
        shown = picture(now, 80, "30 s").plain
        assert (now.training, now.over, now.seconds_left) == (True, False, 30.0)
        assert "trained: epoch 3 of 4, step 25 of 40, 62 %, about 30 s left" in shown
        assert f"at work: process {os.getpid()} on" in shown
        assert watched.training.lock.exists()
    assert re.search(r"^identity +4 +0.16  ", shown, re.MULTILINE)
    assert re.search(r"^total .*▁$", shown, re.MULTILINE)
    assert re.search(r"^base rate +0.00035 +0.00035  ▁+$", shown, re.MULTILINE)
    assert "0.116 from the ideal" in shown
    assert "03:04:05 training mdreid on msvr310: 40 to do" in shown


@pytest.mark.parametrize(("width", "stages"), [(60, 1), (80, 2), (160, 3)])
@pytest.mark.parametrize("plain", [False, True])
def test_the_picture_fits_however_wide_it_is(watched: Watched, width: int, stages: int, plain: bool) -> None:
    lines = picture(watched.now(), width, "", plain).plain.splitlines()
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if line.startswith("4 shared R"))
    assert len(row.split()) - 3 == 6 * stages
    assert all(line.isascii() for line in lines) or not plain


def test_a_low_terminal_loses_the_log_first_and_then_the_rates(watched: Watched) -> None:
    whole = picture(watched.now(), 80, "").plain.splitlines()
    for rows, log, rates in ((len(whole), True, True), (len(whole) - 1, False, True), (len(whole) - 3, False, False)):
        lines = picture(watched.now(), 80, "", rows=rows).plain.splitlines()
        assert len(lines) <= rows
        assert any("40 to do" in line for line in lines) == log
        assert any(line.startswith("base rate") for line in lines) == rates
        assert any(line.startswith("6 shared T") for line in lines)


def test_it_ends_when_the_run_does(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look finds the run at work, and the second one its end."""
    lock, looks = attempt(watched.training.lock), []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        lock.__exit__(None, None, None)
        watched.log("scoring MDReID on MSVR310: 2/2 after 0.1 s")

    monkeypatch.setattr(time, "sleep", sleep)
    lock.__enter__()
    done = watched.watch()
    assert (done.returncode, done.stderr, len(looks)) == (0, "", 1)
    assert done.stdout.startswith("MDReID on MSVR310 (synthetic), seed 0, preset tiny\n")
    assert "0 records; ended" in done.stdout
    assert done.stdout.count("identity") == 1


def test_a_run_is_over_when_its_process_is_gone_and_nothing_comes(watched: Watched) -> None:
    gone = Owner.this_process().model_copy(update={"pid": 2**22 - 3})
    watched.training.lock.write_text(gone.model_dump_json())
    assert (watched.now().owner, watched.now().over) == (None, False)
    assert "nobody is at it" in watched.watch("--once").stdout
    for path in (watched.run.log, watched.run.facts):
        os.utime(path, (1.0, 1.0))
    assert watched.now().over
    assert watched.training.lock.exists()


def test_ctrl_c_ends_it_with_130(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    assert watched.watch().returncode == 130


def test_a_training_without_steps_shows_its_epochs(watched: Watched) -> None:
    watched.training.history.unlink()
    lines = [f'{{"epoch": {n}, "losses": {{"identity": {5 - n}}}}}' for n in (1, 2, 3)]
    watched.training.log.write_text("\n".join(lines))
    shown = watched.watch("--once").stdout
    assert "trained: 3 epochs" in shown
    assert re.search(r"^identity +4 +2  █▅▁", shown, re.MULTILINE)


def test_an_unknown_run_is_a_mistake(watched: Watched) -> None:
    done = in_process("watch", "nothing", "--results", str(watched.root), env=environment())
    assert (done.returncode, "Unknown run 'nothing'" in done.stderr) == (2, True)


def test_a_curve_has_a_mark_for_each_stretch() -> None:
    assert sparkline([], 10) == ""
    assert sparkline([1.0, 1.0], 10) == "▁▁"
    assert sparkline([0, 7], 2) == "▁█"
    assert sparkline([float(n) for n in range(80)], 8, PLAIN) == PLAIN


def test_a_run_of_the_command_line_is_watched_and_has_events(trained: Trained) -> None:
    shown = trained.call("watch", "msvr310-mdreid-tiny-s2").stdout
    assert "trained: epoch 1 of 1, step" in shown
    assert "2 records; ended" in shown
    assert re.search(r"^trunk rate .*▁$", shown, re.MULTILINE)
    assert "1 specific R" in shown
    (events,) = (trained.results / "trained").glob("*/tensorboard/events.*")
    assert "-s2-" in events.parts[-3]
    assert events.stat().st_size > 0


def test_tensorboard_that_is_not_installed_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdreid_bench.cli.workspace.find_spec", lambda name: None)
    given = ("--dataset", "msvr310", "--tensorboard", "--results", str(tmp_path))
    done = in_process("run", *given, env=environment(MDREID_CACHE=str(tmp_path)))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'mdreid-bench[tensorboard]'" in done.stderr
