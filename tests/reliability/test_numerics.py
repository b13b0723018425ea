"""Losses and gradients that are not finite, and memory that does not suffice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.sampler import IdentityBatches
from mdreid_bench.engine import parts
from mdreid_bench.engine.extract import extract
from mdreid_bench.engine.memory import is_out_of_memory
from mdreid_bench.engine.nonfinite import OnNan
from mdreid_bench.engine.train import Trainer
from mdreid_bench.errors import MdreidError
from mdreid_bench.evaluation.embeddings import EmbeddingFolder
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method, TrainingBatch
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from protocols.modality import SUBSETS
from tests.data.trees import Recorder, plant
from tests.support import small_config

CPU = torch.device("cpu")
Losses = Callable[[TrainingBatch], dict[str, Tensor]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    root = tmp_path_factory.mktemp("planted")
    plant(root, "msvr310")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDREID_CACHE", str(root / "cache"))
        return open_dataset("msvr310", root, Silent())


@pytest.fixture
def config() -> RunConfig:
    changes = {
        "trunk": {"layers": 1},
        "batch": {"size": 4, "instances": 2},
        "schedule": {"epochs": 2},
        "evaluation": {"batch_size": 5},
    }
    return small_config("single-classifier", changes)


def _method(index: DatasetIndex, config: RunConfig) -> Method:
    torch.manual_seed(config.seed)
    facts = DataFacts(index.train["identity"].nunique(), index.card.cameras)
    return registry.get(config.method).build(config, facts)


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
    method = _method(index, config)
    method.training_losses = Poison(method, steps, change)  # type: ignore[method-assign]
    return Trainer(method, index, config, TrainingFolder(path), CPU, Silent(), on_nan)


def _steps_per_epoch(index: DatasetIndex, config: RunConfig, path: Path) -> int:
    trainer = _trainer(index, config, path, set())
    return len(list(trainer.sampler.epoch(1)))


def test_a_loss_that_is_not_finite_is_named_with_step_images_and_checkpoint(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    steps = _steps_per_epoch(index, config, tmp_path)
    with pytest.raises(MdreidError) as caught:
        _trainer(index, config, tmp_path, {steps + 2}).run()
    message, folder = str(caught.value), TrainingFolder(tmp_path)
    assert "The loss 'triplet' became nan at epoch 2, step 2 of single-classifier on msvr310" in message
    assert f"epoch 1 is kept in {folder.state}" in message
    assert "--on-nan skip" in message
    details = json.loads(folder.trouble.read_text())
    assert len(details["images"]) == config.batch.size
    assert set(details["images"]) <= set(index.train["name"])
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
    skipped, short = (TrainingFolder(tmp_path / name) for name in ("skip", "short"))
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
    assert "Batches of 8 triplets need more memory than cpu has" in message
    assert "image.scale=0.5" in message
    assert "--batch-size" not in message  # half of 8 would be a single identity


def test_another_error_of_the_method_is_passed_on(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        _trainer(index, config, tmp_path, {1}, wrong).run()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("out of memory"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


class Cramped:
    """A memory that holds no more than some triplets, and counts what was embedded in it."""

    def __init__(self, method: Method, room: int, stop_after: int = 10**6) -> None:
        self.original, self.room, self.stop_after = method.embed_all, room, stop_after
        self.rows = 0

    def __call__(self, images: Any, camera: Tensor, subsets: Any) -> Any:
        if len(camera) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.rows >= self.stop_after:
            raise KeyboardInterrupt
        self.rows += len(camera)
        return self.original(images, camera, subsets)


def _extract(
    index: DatasetIndex, config: RunConfig, path: Path, room: int = 1000, stop_after: int = 10**6, seed: int = 0
) -> tuple[dict[str, Any], list[str], int]:
    """Return the matrices, the messages and the number of rows that were embedded."""
    method, recorder, folder = (
        _method(index, config.model_copy(update={"seed": seed})),
        Recorder(),
        EmbeddingFolder(path),
    )
    cramped = Cramped(method, room, stop_after)
    method.embed_all = cramped  # type: ignore[method-assign]
    try:
        extract(method, index, config, folder, CPU, recorder)
    except KeyboardInterrupt:
        assert not folder.items_file.exists()
        return {}, recorder.messages, cramped.rows
    assert {p.name for p in path.iterdir()} == {*(f"{s}.npy" for s in SUBSETS), "items.npz"}
    return {str(s): np.load(folder.matrix(s)) for s in SUBSETS}, recorder.messages, cramped.rows


def test_extraction_halves_its_batches_until_they_fit(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    whole, none, _ = _extract(index, config, tmp_path / "whole")
    halved, messages, rows = _extract(index, config, tmp_path / "halved", room=1)
    assert none == []
    assert [m.split("; ")[0] for m in messages] == [
        "Too little memory for 5 triplets at once with single-classifier",
        "Too little memory for 2 triplets at once with single-classifier",
    ]
    assert rows == len(index.test)
    assert all(np.abs(whole[name] - halved[name]).max() < 1e-6 for name in whole)


def test_extraction_that_cannot_hold_one_triplet_says_so(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    with pytest.raises(MdreidError, match="A single triplet of msvr310 is too large for the memory of cpu"):
        _extract(index, config, tmp_path, room=0)


@pytest.fixture
def _every_batch_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", 0.0)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_extraction_continues_after_the_last_part(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    whole, _, count = _extract(index, config, tmp_path / "whole")
    for stop in (5, 10, 15):
        path = tmp_path / str(stop)
        _extract(index, config, path, stop_after=stop)
        found, _, rows = _extract(index, config, path)
        assert rows == count - stop
        assert all(np.array_equal(whole[name], found[name]) for name in whole)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_parts_of_other_weights_are_not_continued(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    other, _, count = _extract(index, config, tmp_path / "other", seed=5)
    _extract(index, config, tmp_path / "mixed", stop_after=10, seed=0)
    found, _, rows = _extract(index, config, tmp_path / "mixed", seed=5)
    assert rows == count
    assert all(np.array_equal(other[name], found[name]) for name in other)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_a_damaged_part_and_those_after_it_are_made_again(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    whole, _, count = _extract(index, config, tmp_path / "whole")
    path = tmp_path / "damaged"
    _extract(index, config, path, stop_after=15)
    second = sorted((path / "parts").iterdir())[1]
    content = bytearray(second.read_bytes())
    content[-7] ^= 1
    second.write_bytes(content)
    found, _, rows = _extract(index, config, path)
    assert rows == count - 5
    assert all(np.array_equal(whole[name], found[name]) for name in whole)


def test_without_much_to_do_there_is_one_part(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    _extract(index, config, tmp_path, stop_after=15)
    assert not (tmp_path / "parts").exists()
