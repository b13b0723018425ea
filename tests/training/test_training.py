"""Training on a planted dataset: reproducible, resumable, loud when a loss is not finite."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import DataError, MdreidError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.state import TrainingState
from mdreid_bench.training.train import Trainer
from mdreid_bench.weights.checkpoint import read

CPU = torch.device("cpu")


def _method(index: DatasetIndex, config: RunConfig) -> Method:
    torch.manual_seed(config.seed)
    facts = DataFacts(index.train.identities, index.card.cameras)
    return registry.get(config.method).build(config, facts)


def _trainer(index: DatasetIndex, config: RunConfig, path: Path) -> Trainer:
    return Trainer(_method(index, config), index, config, TrainingFolder(path / "t"), CPU, Silent())


def _train(index: DatasetIndex, config: RunConfig, path: Path) -> bytes:
    _trainer(index, config, path).run()
    return TrainingFolder(path / "t").weights.read_bytes()


def _with(config: RunConfig, **sections: dict[str, Any]) -> RunConfig:
    updates = {name: getattr(config, name).model_copy(update=change) for name, change in sections.items()}
    return config.model_copy(update=updates)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    first, again = (_train(planted, config, tmp_path / name) for name in "ab")
    assert first == again
    assert _train(planted, config.model_copy(update={"seed": 5}), tmp_path / "c") != first


def test_workers_and_cache_change_nothing(planted: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    plain = _train(planted, config, tmp_path / "plain")
    assert _train(planted, _with(config, data={"workers": 2, "cache_mb": 0}), tmp_path / "workers") == plain


class _StopError(Exception):
    pass


def test_resumed_training_equals_an_uninterrupted_one(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _train(planted, config, tmp_path / "whole")
    original = TrainingState.save

    def stop_after_two(self: TrainingState, epoch: int) -> None:
        original(self, epoch)
        if epoch == 2:
            raise _StopError

    monkeypatch.setattr(TrainingState, "save", stop_after_two)
    with pytest.raises(_StopError):
        _train(planted, config, tmp_path / "parts")
    monkeypatch.setattr(TrainingState, "save", original)
    folder = TrainingFolder(tmp_path / "parts" / "t")
    assert folder.state.exists()
    assert not folder.weights.exists()
    assert _train(planted, config, tmp_path / "parts") == whole
    assert not folder.state.exists()
    epochs = [json.loads(line)["epoch"] for line in folder.log.read_text().splitlines()]
    assert epochs == [1, 2, 3]


def test_log_names_every_loss(planted: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    _train(planted, config, tmp_path)
    entry = json.loads(TrainingFolder(tmp_path / "t").log.read_text().splitlines()[-1])
    assert set(entry["losses"]) >= {"identity", "triplet", "orthogonality", "discrepancy"}
    assert entry["steps"] >= 1
    _, facts = read(TrainingFolder(tmp_path / "t").weights)
    assert (facts["epoch"], facts["selection"], facts["synthetic"]) == (3, "last-epoch", planted.synthetic)


def test_a_loss_that_is_not_finite_stops_the_training(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    trainer = _trainer(planted, config, tmp_path)
    with torch.no_grad():
        next(p for n, p in trainer.method.named_parameters() if n == "trunk.projection").fill_(float("nan"))
    with pytest.raises(MdreidError, match=r"The loss 'identity' became nan at epoch 1, step 1"):
        trainer.run()


@pytest.mark.parametrize("keep", [0, 7, 8, 100, 5_000])
def test_a_truncated_state_is_refused_by_name(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, keep: int
) -> None:
    trainer = _trainer(planted, config, tmp_path)
    trainer.state.save(1)
    state = TrainingFolder(tmp_path / "t").state
    state.write_bytes(state.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"state\.safetensors cannot be read"):
        _trainer(planted, config, tmp_path).run()
