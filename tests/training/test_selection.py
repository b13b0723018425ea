"""The epoch that is kept: the last one, or, when asked for and then marked, the best on the test data."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.models.method import Method
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.selection import BestTest
from mdreid_bench.training.train import Trainer
from mdreid_bench.weights import checkpoint
from tests.runs.test_execute import _execute, _runs
from tests.training.test_training import CPU, _method

SCORES = {1: 0.2, 2: 0.7, 3: 0.7, 4: 0.1}


class StopError(Exception):
    """Stands for a process that was killed."""


@pytest.fixture
def best(config: RunConfig) -> RunConfig:
    schedule = config.schedule.model_copy(update={"epochs": 4})
    return config.model_copy(update={"selection": "best-test", "schedule": schedule})


def score_as_given(monkeypatch: pytest.MonkeyPatch, stop_after: int = 9) -> None:
    """Replace the evaluation of an epoch by the next of ``SCORES``."""

    def scored(self: BestTest, method: Method, epoch: int) -> dict[str, float]:
        if epoch > stop_after:
            raise StopError
        monkeypatch.setattr(BestTest, "mean_average_precision", lambda *_: SCORES[epoch])
        return original(self, method, epoch)

    original = BestTest.after
    monkeypatch.setattr(BestTest, "after", scored)


def train(index: DatasetIndex, config: RunConfig, path: Path) -> TrainingFolder:
    folder = TrainingFolder(path / "t")
    Trainer(_method(index, config), index, config, folder, CPU, Silent()).run()
    return folder


def test_the_best_epoch_is_kept_and_of_equals_the_later_one(
    planted: DatasetIndex, best: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        score_as_given(patch)
        folder = train(planted, best, tmp_path / "best")
    tensors, facts = checkpoint.read(folder.weights)
    assert (facts["epoch"], facts["selection"]) == (3, "best-test")
    assert not folder.best.exists()
    log = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert {entry["epoch"]: entry["test_mAP"] for entry in log} == SCORES

    last = best.model_copy(update={"selection": "last-epoch"})
    wanted = _weights_after(planted, last, 3, tmp_path / "last")
    assert all(torch.equal(tensors[name], value) for name, value in wanted.items())


def _weights_after(index: DatasetIndex, config: RunConfig, epoch: int, path: Path) -> dict[str, torch.Tensor]:
    trainer = Trainer(_method(index, config), index, config, TrainingFolder(path / "t"), CPU, Silent())
    counts = [trainer.batches.count(number) for number in range(1, epoch + 1)]
    assert trainer.watched is not None
    trainer.watched.begin(0, counts)
    for number, count in enumerate(counts, 1):
        trainer._epoch(number, count, lambda count=1, note="": None)
    return trainer.method.state_dict()


def test_an_interrupted_choice_is_continued(
    planted: DatasetIndex, best: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        score_as_given(patch)
        whole = train(planted, best, tmp_path / "whole").weights.read_bytes()
    with monkeypatch.context() as patch:
        score_as_given(patch, stop_after=3)
        with pytest.raises(StopError):
            train(planted, best, tmp_path / "parts")
    assert TrainingFolder(tmp_path / "parts" / "t").best.exists()
    with monkeypatch.context() as patch:
        score_as_given(patch)
        assert train(planted, best, tmp_path / "parts").weights.read_bytes() == whole


def test_the_measure_is_map_of_the_full_modalities(planted: DatasetIndex, folder: Path) -> None:
    run = _runs(planted, folder, ("selection=best-test",), methods=("mdreid",))[0]
    (record,) = _execute(run, "RNT-to-RNT")
    assert record.selection == "best-test"
    (entry,) = [json.loads(line) for line in run.training_folder.log.read_text().splitlines()]
    assert entry["test_mAP"] == pytest.approx(record.metrics.mAP)


def test_what_the_choice_looks_at_is_part_of_the_training_key(planted: DatasetIndex, folder: Path) -> None:
    def key(*assignments: str, index: DatasetIndex = planted) -> str:
        return _runs(index, folder, assignments, methods=("mdreid",))[0].training_key

    assert key("selection=best-test") != key()
    other_test = replace(planted, test_fingerprint="0" * 32)
    assert key("selection=best-test", index=other_test) != key("selection=best-test")
    assert key(index=other_test) == key()
    released = "options.similarity=released"
    assert key("selection=best-test", released) != key("selection=best-test")
    assert key(released) == key()
