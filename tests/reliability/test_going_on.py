"""Long runs: what fails does not keep the rest from being done, and all of it is on record."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import TrainingOptions
from mdreid_bench.cli.workspace import Workspace
from mdreid_bench.errors import DataError, MdreidError
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.results.schema import Record
from mdreid_bench.runs import execute
from mdreid_bench.runs.outcome import Outcome, Outcomes
from mdreid_bench.runs.plan import Cell
from tests.data.trees import Recorder
from tests.reliability.machine import ARGUMENTS, Machine
from tests.results.factory import make_record

SETTINGS = ("R-to-N", "N-to-R", "RNT-to-RNT")


class FakeRun:
    """What carrying out a plan needs to know of a run."""

    embedded = True

    def __init__(self, name: str) -> None:
        self.name = self.run_key = name

    def has_embedded(self, corruption: object) -> bool:
        return self.embedded

    @property
    def scope(self) -> "FakeRun":
        return self

    def record_path(self, protocol: str, average_precision: str) -> Path:
        return Path(f"{self.name}-{protocol}.json")


class Fake:
    """Carries out a plan, but for what would be done on one run: that raises what it was told to."""

    def __init__(self, errors: dict[str, Exception], taken: tuple[str, ...], patch: pytest.MonkeyPatch) -> None:
        self.errors, self.order = errors, list[str]()
        patch.setattr(execute, "check_runs", lambda *_: None)
        patch.setattr(execute, "_is_taken", lambda run, *_: run.name in taken)
        patch.setattr(execute, "_one_run", self.one_run)

    def one_run(self, run: FakeRun, cells: list[Cell], _: object) -> Iterator[Outcome]:
        self.order.append(run.name)
        if run.name in self.errors:
            raise self.errors[run.name]
        for cell in cells:
            error = self.errors.get(f"{run.name} {cell.setting}")
            if isinstance(error, MdreidError):
                yield Outcome(cell, "failed", error=error, where=f"{run.name}, {cell.setting}")
            elif cell.state == "not applicable":
                yield Outcome(cell, "not applicable")
            else:
                yield Outcome(cell, "done" if cell.record is None else "reused", make_record(protocol=cell.setting))


def _carry_out(
    errors: dict[str, Exception],
    monkeypatch: pytest.MonkeyPatch,
    *,
    keep_going: bool = True,
    taken: tuple[str, ...] = (),
    stored: tuple[str, ...] = (),
    unfit: tuple[str, ...] = (),
) -> tuple[Outcomes, Fake]:
    fake = Fake(errors, taken, monkeypatch)
    plan: Any = [
        (run, [Cell(run, setting, _stored(run, setting, stored), why_not=_why(run, unfit)) for setting in SETTINGS])  # type: ignore[arg-type]
        for run in (FakeRun("a"), FakeRun("b"))
    ]
    workspace = object.__new__(Workspace)
    workspace.options = TrainingOptions(datasets=[], keep_going=keep_going)
    workspace.console, workspace.device_kind, workspace.ranks, workspace.wishes = Console(), "cpu", None, None
    return workspace.carry_out(plan), fake


def _why(run: FakeRun, unfit: tuple[str, ...]) -> str | None:
    return "it has no D" if run.name in unfit else None


def _stored(run: FakeRun, setting: str, stored: tuple[str, ...]) -> Record | None:
    return make_record(protocol=setting) if run.name in stored else None


def test_everything_done(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outcome, _ = _carry_out({}, monkeypatch, stored=("b",))
    assert outcome.exit_code == 0
    assert outcome.summary == "Cells: 3 reused, 3 done, 0 skipped, 0 failed."
    assert capsys.readouterr().err.splitlines()[-1] == outcome.summary


def test_a_failing_cell_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = _carry_out({"a N-to-R": DataError("no.")}, monkeypatch)
    assert outcome.exit_code == 1
    assert outcome.summary == "Cells: 0 reused, 5 done, 0 skipped, 1 failed."
    assert [record.protocol for record in outcome.records] == ["R-to-N", "RNT-to-RNT", *SETTINGS]


def test_a_failing_run_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = _carry_out({"a": DataError("no.")}, monkeypatch)
    assert outcome.exit_code == 1
    assert outcome.summary == "Cells: 0 reused, 3 done, 0 skipped, 3 failed."


def test_a_bug_in_one_method_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome, _ = _carry_out({"a": ZeroDivisionError("division by zero")}, monkeypatch)
    assert outcome.exit_code == 1
    assert outcome.summary == "Cells: 0 reused, 3 done, 0 skipped, 3 failed."
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_all_failing_alike_have_the_exit_code_of_their_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    both: dict[str, Exception] = {"a": DataError("no."), "b": DataError("no.")}
    outcome, _ = _carry_out(both, monkeypatch)
    assert outcome.exit_code == 3
    outcome, _ = _carry_out(both | {"b": MdreidError("no.")}, monkeypatch)
    assert outcome.exit_code == 1


def test_what_cannot_be_served_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome, _ = _carry_out({}, monkeypatch, unfit=("a",))
    assert outcome.exit_code == 0
    assert outcome.summary == "Cells: 0 reused, 3 done, 0 skipped, 0 failed, 3 not applicable."
    assert [found.reason for found in outcome.without_record] == ["not applicable: it has no D"] * 3
    assert "6 cells (3 new, 0 cached, 3 not applicable)" in capsys.readouterr().err
    outcome, _ = _carry_out({"b": DataError("no.")}, monkeypatch, unfit=("a",))
    assert outcome.exit_code == 3  # all that was tried failed alike


@pytest.mark.parametrize(("where", "done", "skipped", "failed"), [("a N-to-R", 1, 4, 1), ("a", 0, 3, 3)])
def test_fail_fast_tries_nothing_more(
    monkeypatch: pytest.MonkeyPatch, where: str, done: int, skipped: int, failed: int
) -> None:
    outcome, fake = _carry_out({where: DataError("no.")}, monkeypatch, keep_going=False)
    assert fake.order == ["a"]
    assert outcome.summary == f"Cells: 0 reused, {done} done, {skipped} skipped, {failed} failed."
    assert outcome.exit_code == 1


def test_a_run_that_another_process_is_busy_with_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, fake = _carry_out({}, monkeypatch, taken=("a",))
    assert fake.order == ["b", "a"]
    assert outcome.exit_code == 0


def test_an_interrupt_is_not_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fake, "one_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _carry_out({}, monkeypatch)


def test_the_log_tells_what_was_done_and_when(machine: Machine, tmp_path: Path) -> None:
    code, job = machine.run(tmp_path / "r")
    assert code == 0, job.text
    (log,) = (tmp_path / "r").glob("runs/*/run.log")
    lines = log.read_text().splitlines()
    stamp = rf"2\d{{3}}-\d\d-\d\d \d\d:\d\d:\d\d \[{job.pid}\] "
    assert all(re.match(stamp, line) for line in lines)
    text = "\n".join(re.sub(stamp, "", line) for line in lines)
    for wanted in (
        r"single-classifier on msvr310, seed 1111: 3 cells to measure on cpu, run key [0-9a-f]{64}",
        r"training single-classifier on msvr310: \d+ to do",
        r"training single-classifier on msvr310: \d+/\d+ epoch 2/3, identity [0-9.]+ triplet [0-9.]+",
        r"training single-classifier on msvr310: (\d+)/\1 after [0-9.]+ s",
        r"extracting single-classifier on msvr310: 16/16 after [0-9.]+ s",
        r"scoring .*: 3/3 mixed-0.5-s0",
    ):
        assert re.search(wanted, text), (wanted, text)
    before = log.read_text()
    code, job = machine.run(tmp_path / "r")
    assert "Cells: 3 reused, 0 done, 0 skipped, 0 failed." in job.text
    assert log.read_text() == before


def test_one_setting_that_cannot_be_scored(machine: Machine, tmp_path: Path) -> None:
    """Released MDReID compares one subset with one other, so the mixed cell fails and the others do not."""
    arguments = [part.replace("single-classifier", "mdreid") for part in ARGUMENTS]
    arguments += ["--set", "options.similarity=released"]
    code, job = machine.run(tmp_path / "r", arguments=arguments)
    assert code == 1
    assert "Cells: 0 reused, 2 done, 0 skipped, 1 failed." in job.text
    assert "mixed-0.5-s0" in job.text
    (log,) = (tmp_path / "r").glob("runs/*/run.log")
    assert "failed: mixed-0.5-s0: " in log.read_text()
    code, job = machine.run(tmp_path / "r", "--fail-fast", arguments=arguments)
    assert code == 1
    assert "Cells: 2 reused, 0 done, 0 skipped, 1 failed." in job.text


def test_the_log_has_the_traceback_of_a_bug(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.log", Recorder())

    def buggy() -> None:
        with log.failures():
            raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        buggy()
    text = (tmp_path / "run.log").read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: division by zero" in text


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    log = RunLog(tmp_path / "nowhere" / "run.log", recorder)
    log.message("still there")
    with log.track("work", 3) as step:
        step(3)
    assert recorder.messages == ["still there"]
    assert recorder.done == 3
