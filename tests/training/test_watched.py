"""What a training writes for whoever watches it: a line for each step, none twice, and the same as events."""

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.progress import Silent
from mdreid_bench.results.history import History, read_history
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.state import TrainingState
from mdreid_bench.training.train import Trainer
from mdreid_bench.training.watched import Watched, write_events
from tests.training.test_training import CPU, _method


def train(index: DatasetIndex, config: RunConfig, folder: TrainingFolder, tensorboard: bool = True) -> None:
    method = _method(index, config)
    Trainer(method, index, config, folder, CPU, Silent(), tensorboard=tensorboard).run()


def entries(folder: TrainingFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.history.read_text().splitlines()]


def scalars(folder: TrainingFolder, tag: str) -> list[tuple[int, float]]:
    found = EventAccumulator(str(folder.events)).Reload()
    return [(event.step, event.value) for event in found.Scalars(tag)]


class _StopError(Exception):
    pass


def test_an_interrupted_training_leaves_each_step_once(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped before the state of epoch 2 is kept, so the steps of epoch 2 come again."""
    whole, parts = (TrainingFolder(tmp_path / name / "t") for name in ("whole", "parts"))
    train(planted, config, whole)
    original = TrainingState.save

    def stop_before_two(self: TrainingState, epoch: int) -> None:
        if epoch == 2:
            raise _StopError
        original(self, epoch)

    monkeypatch.setattr(TrainingState, "save", stop_before_two)
    with pytest.raises(_StopError):
        train(planted, config, parts)
    monkeypatch.setattr(TrainingState, "save", original)
    monkeypatch.setattr(Watched, "epoch", lambda self, epoch: None)  # to look at the parts must change no weight
    half = [entry["step"] for entry in entries(parts) if "losses" in entry]
    train(planted, config, parts)
    assert parts.weights.read_bytes() == whole.weights.read_bytes()

    steps, again = ([e for e in entries(f) if "losses" in e] for f in (whole, parts))
    total = steps[0]["of"]
    assert [entry["step"] for entry in again] == list(range(1, total + 1)) == [entry["step"] for entry in steps]
    assert half == list(range(1, total // 3 * 2 + 1))
    assert [entry["losses"] for entry in again] == [entry["losses"] for entry in steps]
    log = [json.loads(line) for line in whole.log.read_text().splitlines()]
    of_last = [entry["losses"]["identity"] for entry in steps if entry["epoch"] == 3]
    assert sum(of_last) / len(of_last) == pytest.approx(log[-1]["losses"]["identity"])
    assert {"trunk", "base"} <= steps[-1]["rates"].keys()
    assert [*steps[-1]["rates"].values()] == log[-1]["lr"]

    looks = [entry for entry in entries(whole) if "similarity" in entry]
    assert looks[0]["epoch"] == 1
    assert len(looks[0]["names"]) == len(looks[0]["similarity"]) == 6
    for folder in (whole, parts):
        events = scalars(folder, "loss/identity")
        assert [step for step, _ in events] == list(range(1, total + 1))
        assert [value for _, value in events] == pytest.approx([e["losses"]["identity"] for e in steps])
        assert [step for step, _ in scalars(folder, "rate/base")] == list(range(1, total + 1))
        assert scalars(folder, "parts/distance to the ideal")[0][0] == total // 3


def test_a_training_that_is_over_gets_its_events_from_what_it_wrote(tmp_path: Path) -> None:
    folder = TrainingFolder(tmp_path / "t")
    history = History(folder.history)
    history.begin(0)
    for step in (1, 2):
        history.add({"step": step, "epoch": 1, "losses": {"a": 1.0, "b": 2.0}, "rates": {"base": 0.1}})
    history.close()
    write_events(folder)
    assert scalars(folder, "loss/total") == [(1, 3.0), (2, 3.0)]
    write_events(folder)
    assert len(list(folder.events.iterdir())) == 1


def test_lines_that_are_not_complete_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert list(read_history(path)) == []
    whole = '{"step": 1, "epoch": 1, "losses": {}, "rates": {}}\n'
    path.write_text(f'{whole}{whole.replace("1,", "2,", 1)}[]\n{{"step": "x"}}\n{{"step": 3, "ep')
    assert [entry["step"] for entry in read_history(path)] == [1, 2]
    history = History(path)
    assert [entry["step"] for entry in history.begin(1)] == [1]
    assert path.read_text() == '{"step": 1, "epoch": 1, "losses": {}, "rates": {}}\n'
    history.close()


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("")
    history = History(tmp_path / "t" / "history.jsonl")
    assert history.begin(0) == []
    history.add({"step": 1, "epoch": 1})
    history.close()
