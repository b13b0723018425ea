"""Training in pieces takes less memory, ends at the same weights, and its troubles are named all the same."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from mdreid_bench.config.schema import MemoryConfig, RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import MdreidError
from mdreid_bench.models.method import Encoded, Method, TrainingBatch
from mdreid_bench.results.trained import TrainingFolder
from tests.support import build, small_config, training_batch
from tests.training.test_forward import SEPARABLE, _forward, _label
from tests.training.test_training import _trainer, _with


def _bytes_kept(method: Method, batch: TrainingBatch, memory: MemoryConfig) -> int:
    """Count the memory that the graph of a batch holds on to, but for parameters and images."""
    kept = dict[int, int]()
    known = {t.untyped_storage().data_ptr() for t in (*method.parameters(), *batch.images.values())}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        terms = _forward(method, memory)(batch)
    assert terms
    return sum(kept.values())


@pytest.mark.parametrize("name", SEPARABLE)
def test_half_of_the_memory_is_enough(name: str) -> None:
    method = build(name, {"trunk": {"layers": 6}}).train()
    whole = _bytes_kept(method, training_batch(), MemoryConfig())
    again = _bytes_kept(method, training_batch(), MemoryConfig(checkpointing=True))
    in_pieces = _bytes_kept(method, training_batch(), MemoryConfig(micro_batch=1))
    batch = training_batch()
    images, camera = batch.piece(slice(2))
    one = TrainingBatch(images, torch.tensor([0, 1]), camera)
    assert again < whole
    # On the way back a piece is held as well; that of two items with its losses is more than that of one.
    assert in_pieces + _bytes_kept(method, one, MemoryConfig()) / 2 <= whole / 2


@pytest.mark.parametrize("name", ["mdreid", "top-reid"])
def test_training_in_pieces_ends_at_the_same_weights(planted: DatasetIndex, tmp_path: Path, name: str) -> None:
    recipe: dict[str, Any] = {
        "trunk": {"layers": 2},
        "batch": {"size": 4, "instances": 2},
        "schedule": {"epochs": 1},
        "optimizer": {"name": "sgd", "lr": 1e-2, "trunk_lr": 1e-3},
        "options": {"drop_path": 0.0} if name == "top-reid" else {},
    }
    config = small_config(name, recipe)
    weights, logs = [], []
    for memory in (MemoryConfig(), MemoryConfig(micro_batch=3, checkpointing=True)):
        path = tmp_path / _label(memory)
        trainer = _trainer(planted, config.model_copy(update={"memory": memory}), path)
        before = copy.deepcopy(trainer.method.state_dict())
        trainer.run()
        weights.append(trainer.method.state_dict())
        logs.append([json.loads(line)["losses"] for line in TrainingFolder(path / "t").log.read_text().splitlines()])
    assert any((value - before[entry]).abs().max() > 1e-3 for entry, value in weights[0].items())
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=1e-5)
    for one, other in zip(*logs, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_bad_gradient_is_traced_to_its_loss_in_pieces(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(planted, _with(config, memory={"micro_batch": 2, "checkpointing": True}), tmp_path)
    method = trainer.method
    assert method.separable()
    original = method.losses

    def steep(represented: Encoded, identity: Tensor) -> dict[str, Tensor]:
        return original(represented, identity) | {"steep": (0 * represented["R"]).square().sum().sqrt()}

    monkeypatch.setattr(method, "losses", steep)
    with pytest.raises(MdreidError, match=r"The gradient of the loss 'steep' became infinite or NaN at epoch 1"):
        trainer.run()


def test_too_large_a_batch_names_what_saves_memory(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(planted, _with(config, memory={"micro_batch": 2}), tmp_path)

    def no_room(*_: object) -> Encoded:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(trainer.method, "represent", no_room)
    with pytest.raises(MdreidError, match=r"Batches of 4 items, 2 at once.*set memory\.micro_batch=1 or"):
        trainer.run()
