"""Losses and gradients that are not finite, and training that the memory does not suffice for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import MdreidError
from mdreid_bench.models.method import Method, TrainingBatch
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.nonfinite import OnNan
from mdreid_bench.training.sampler import IdentityBatches
from mdreid_bench.training.train import Trainer
from tests.reliability.machine import Machine
from tests.reliability.training import CPU, untrained

Losses = Callable[[TrainingBatch], dict[str, Tensor]]


class Poison:
    """Changes the losses of a method at chosen steps, counted from 1 over all epochs."""

    def __init__(self, method: Method, steps: set[int], change: Callable[[dict[str, Tensor], Method], None]) -> None:
        self.method, self.steps, self.change = method, steps, change
        self.original: Losses = method.training_losses
        self.step = 0
        self.images: tuple[str, ...] = ()

    def __call__(self, batch: TrainingBatch) -> dict[str, Tensor]:
        self.step += 1
        terms = self.original(batch)
        if self.step in self.steps:
            self.change(terms, self.method)
        return terms


def _nan(terms: dict[str, Tensor], _: Method) -> None:
    terms["triplet"] = terms["triplet"] * float("nan")


def _steep(terms: dict[str, Tensor], method: Method) -> None:
    """Add a term that is 0 and whose gradient is not a number."""
    parameter = next(p for p in method.parameters() if p.requires_grad)
    terms["steep"] = (0 * parameter).square().sum().sqrt()


def _trainer(
    index: DatasetIndex,
    config: RunConfig,
    path: Path,
    steps: set[int],
    change: Callable[[dict[str, Tensor], Method], None] = _nan,
    on_nan: OnNan = "stop",
) -> Trainer:
    method = untrained(index, config)
    method.training_losses = Poison(method, steps, change)  # type: ignore[method-assign]
    return Trainer(method, index, config, TrainingFolder(path / "t"), CPU, Silent(), on_nan)


def _steps_per_epoch(index: DatasetIndex, config: RunConfig, path: Path) -> int:
    trainer = _trainer(index, config, path, set())
    return len(list(trainer.batches.sampler.epoch(1)))


def test_a_loss_that_is_not_finite_is_named_with_step_images_and_checkpoint(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    steps = _steps_per_epoch(index, config, tmp_path)
    with pytest.raises(MdreidError) as caught:
        _trainer(index, config, tmp_path, {steps + 2}).run()
    message, folder = str(caught.value), TrainingFolder(tmp_path / "t")
    assert "The loss 'triplet' became nan at epoch 2, step 2 of single-classifier on msvr310" in message
    assert f"epoch 1 is kept in {folder.state}" in message
    assert "--on-nan skip" in message
    details = json.loads(folder.trouble.read_text())
    assert len(details["images"]) == config.batch.size
    assert set(details["images"]) <= set(index.train.names.tolist())
    assert all(name in message for name in details["images"])
    assert (details["epoch"], details["step"], details["terms"]) == (2, 2, ["triplet"])
    assert details["losses"]["triplet"] == "nan"
    assert float(details["losses"]["identity"]) > 0


def test_a_gradient_that_is_not_finite_is_traced_to_its_loss(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    trainer = _trainer(index, config, tmp_path, {1, 2}, _steep)  # the losses are computed once more to find the term
    before = {name: value.clone() for name, value in trainer.method.state_dict().items() if "running" not in name}
    with pytest.raises(
        MdreidError, match=r"The gradient of the loss 'steep' became infinite or NaN at epoch 1, step 1"
    ):
        trainer.run()
    after = trainer.method.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items() if value.is_floating_point())


def test_skipping_the_last_batch_equals_never_having_had_it(
    index: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = _steps_per_epoch(index, config, tmp_path / "count")
    skipping = _trainer(index, config, tmp_path / "skip", {steps}, on_nan="skip")
    skipping.run()
    original = IdentityBatches.epoch

    def shorter(self: IdentityBatches, number: int) -> Any:
        batches = list(original(self, number))
        return batches[:-1] if number == 1 else batches

    monkeypatch.setattr(IdentityBatches, "epoch", shorter)
    _trainer(index, config, tmp_path / "short", set()).run()
    skipped, short = (TrainingFolder(tmp_path / name / "t") for name in ("skip", "short"))
    assert skipped.weights.read_bytes() == short.weights.read_bytes()
    first, second = (json.loads(line) for line in skipped.log.read_text().splitlines())
    (entry,) = first["skipped"]
    assert (entry["epoch"], entry["step"], entry["terms"]) == (1, steps, ["triplet"])
    assert len(entry["images"]) == config.batch.size
    assert (first["steps"], second["steps"], second["skipped"]) == (steps - 1, steps, [])


def test_an_epoch_without_a_usable_batch_stops_even_when_skipping(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(MdreidError, match="all batches of the epoch were skipped"):
        _trainer(index, config, tmp_path, set(range(100)), on_nan="skip").run()


def _too_large(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_training_without_memory_says_what_helps(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    larger = config.model_copy(update={"batch": config.batch.model_copy(update={"size": 8, "instances": 4})})
    with pytest.raises(MdreidError) as caught:
        _trainer(index, larger, tmp_path, {1}, _too_large).run()
    message = str(caught.value)
    assert "Batches of 8 items, 8 at once, need more memory than cpu has" in message
    assert "memory.micro_batch=4" in message
    assert "image.scale=0.5" in message
    assert "--batch-size" not in message  # half of 8 would be a single identity


def test_another_error_of_the_method_is_passed_on(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        _trainer(index, config, tmp_path, {1}, wrong).run()


def test_the_command_line_stops_or_skips(machine: Machine, tmp_path: Path) -> None:
    """A learning rate beyond all bounds, so that the second batch is lost and all that follow."""
    results = tmp_path / "r"
    broken = ("--set", "optimizer.lr=1e30")
    code, job = machine.run(results, *broken)
    assert code == 1
    assert "The loss 'identity' became nan at epoch 1, step 2 of single-classifier on msvr310" in job.text
    assert "no epoch was complete yet" in job.text
    assert "Traceback" not in job.text
    code, job = machine.run(results, *broken, "--on-nan", "skip")
    assert code == 1
    assert "at epoch 2, step 1" in job.text
    assert "all batches of the epoch were skipped; epoch 1 is kept in " in job.text
    (log,) = results.glob("trained/*/log.jsonl")
    (entry,) = map(json.loads, log.read_text().splitlines())
    assert entry["steps"] == 1
    assert [trouble["step"] for trouble in entry["skipped"]] == list(range(2, len(entry["skipped"]) + 2))
    assert entry["skipped"]
    code, job = machine.run(results, *broken, "--on-nan", "skipp")
    assert code == 2
    assert "Did you mean 'skip'?" in job.text
