"""Epochs from several datasets, in pairs or not, and methods that look at the data before each epoch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.errors import UsageError
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.card import MethodCard
from mdreid_bench.models.epoch import EpochAhead
from mdreid_bench.models.method import DataFacts, Encoded, Images, Method, TrainingBatch
from mdreid_bench.processes.ranks import ALONE
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.batches import Batches
from mdreid_bench.training.nonfinite import Place
from mdreid_bench.training.sampler import UnpairedBatches
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.train import Trainer
from protocols.modality import RNT, Modality, R, T
from tests.data.others import register
from tests.data.trees import plant
from tests.support import small_config

CPU = torch.device("cpu")
CARD = MethodCard("example", "Example", "none", "none", "", "an example")


class _Example(Method):
    """Two colours of the mean image, mixed by a matrix; learns to tell identities by their distance to centres."""

    card: ClassVar[MethodCard] = CARD

    def __init__(self, data: DataFacts) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 2)
        self.centres = nn.Parameter(torch.randn(data.identities, 2))
        self.seen: list[TrainingBatch] = []

    @classmethod
    def build(cls, config: RunConfig, data: DataFacts) -> "_Example":
        return cls(data)

    def backbones(self) -> tuple[Backbone, ...]:
        return ()

    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        self.seen.append(batch)
        found = [self.mix(x.mean((2, 3))) for x in batch.images.values()]
        return {"identity": torch.stack([(x - self.centres[batch.identity]).square().mean() for x in found]).sum()}

    def encode(self, images: Images, camera: Tensor) -> Encoded:
        return {str(m): self.mix(x.mean((2, 3))) for m, x in images.items()}

    def embed(self, encoded: Encoded, available: Modality) -> Tensor:
        return torch.stack([encoded[str(m)].float() for m in available]).mean(0)


class _Adapting(_Example):
    """Guesses two identities of the unlabelled items, keeps a bank of their centres that every step moves."""

    bank: Tensor

    card: ClassVar[MethodCard] = replace(CARD, name="adapting", adapts=True)
    looked: ClassVar[list[int]] = []

    def before_epoch(self, ahead: EpochAhead) -> NDArray[np.int64]:
        _Adapting.looked.append(ahead.epoch)
        assert ahead.unlabelled is not None
        assert ahead.labelled.identity is not None
        assert ahead.unlabelled.identity is None
        vectors = ahead.unlabelled.embed((RNT, R))[RNT]
        guessed = (np.argsort(np.argsort(vectors[:, 0])) * 2 // len(vectors)).astype(np.int64)
        # Another number of rows in every epoch, and a draw, which must be the same one when it is repeated.
        centres = [vectors[guessed == i].mean(0) for i in range(2)] * ahead.epoch
        self.register_buffer("bank", torch.tensor(np.stack(centres)) + torch.rand(1), persistent=False)
        return np.where(np.arange(len(guessed)) == 0, -1, guessed)

    def training_losses(self, batch: TrainingBatch) -> dict[str, Tensor]:
        assert batch.target is not None
        features = self.mix(batch.target.images[R].mean((2, 3)))
        near = (features - self.bank[batch.target.identity]).square().mean()
        with torch.no_grad():
            self.bank[batch.target.identity] = 0.9 * self.bank[batch.target.identity] + 0.1 * features
        return super().training_losses(batch) | {"target": near}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    """Another dataset with the same sensors."""
    root = tmp_path_factory.mktemp("other")
    plant(root, "rgbnt201")
    return open_dataset("rgbnt201", root, Silent())


@pytest.fixture
def lone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetIndex:
    """A dataset whose items were seen by one of two sensors."""
    register(monkeypatch)
    generate(tmp_path / "lone", "lone", "tiny", 0, Silent())
    return open_dataset("lone", tmp_path / "lone", Silent())


def _config(**sections: Mapping[str, Any]) -> RunConfig:
    settings = {"batch": {"size": 4, "instances": 2}, "schedule": {"epochs": 3}, "augment": {"erase": 0.5}}
    return small_config("mdreid", {**settings, **sections})


def _trainer(kind: type[_Example], index: DatasetIndex, stage: Stage, path: Path, epochs: int = 3) -> Trainer:
    torch.manual_seed(3)
    config = _config(schedule={"epochs": epochs})
    method = kind.build(config, stage.facts)
    return Trainer(method, index, config, TrainingFolder(path), CPU, Silent(), stage=stage)


def test_images_of_a_row_share_an_identity_and_have_cameras_of_their_own(lone: DatasetIndex) -> None:
    stage, config = Stage((lone,), paired=False), _config()
    assert stage.sensors == R | T
    batches = Batches(stage, config, CPU, Silent(), ALONE)
    sensors = {name: Modality(int(code)) for name, code in zip(lone.train.names, lone.train.sensors, strict=True)}
    identity = dict(zip(lone.train.names, lone.train.labels.identity.tolist(), strict=True))
    camera = dict(zip(lone.train.names, lone.train.labels.camera.tolist(), strict=True))
    count = 0
    for batch, names in batches.epoch(1):
        assert isinstance(batch.camera, Mapping)
        assert list(batch.images) == list(batch.camera) == [R, T]
        for row in range(4):
            pair = names[2 * row : 2 * row + 2]
            assert [sensors[name] for name in pair] == [R, T]
            assert len({identity[name] for name in pair}) == 1
            assert [int(batch.camera[m][row]) for m in (R, T)] == [camera[name] for name in pair]
        assert batch.identity.tolist()[::2] == batch.identity.tolist()[1::2]
        count += 1
    assert count == batches.count(1) == max((lone.train.sensors == m.value).sum() for m in (R, T)) // 4
    again = next(Batches(stage, config, CPU, Silent(), ALONE).epoch(1))[0]
    assert all(torch.equal(again.images[m], x) for m, x in next(batches.epoch(1))[0].images.items())


def test_an_identity_that_a_sensor_never_saw_is_not_drawn() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2, 2, -1, -1])
    seen = [np.array([1, 0, 1, 1, 1, 0, 0, 1, 0], bool), np.array([0, 1, 0, 0, 0, 1, 1, 0, 1], bool)]
    sampler = UnpairedBatches(labels, seen, 4, 2, 0)
    rows = np.concatenate(list(sampler.epoch(1)))
    assert set(labels[rows].ravel()) == {0, 2}
    assert all(seen[sensor][rows[:, sensor]].all() for sensor in (0, 1))
    assert np.array_equal(labels[rows[:, 0]], labels[rows[:, 1]])
    with pytest.raises(UsageError, match="= 3 identities, but the training set has 2"):
        UnpairedBatches(labels, seen, 6, 2, 0)


def test_a_method_trains_on_items_that_were_seen_by_one_sensor_each(lone: DatasetIndex, tmp_path: Path) -> None:
    trainer = _trainer(_Example, lone, Stage((lone,), paired=False), tmp_path / "a", epochs=6)
    trainer.run()
    assert isinstance(trainer.method, _Example)
    assert all(list(batch.images) == [R, T] for batch in trainer.method.seen)
    losses = [json.loads(line)["losses"]["identity"] for line in trainer.folder.log.read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert Stage((lone,)).why_not() == "it trains on items that RT saw together, of which Lone has none"


def test_several_sources_are_drawn_from_as_one(planted: DatasetIndex, other: DatasetIndex) -> None:
    stage = Stage((planted, other))
    first, second = planted.train.identities, other.train.identities
    assert stage.facts == DataFacts(first + second, planted.card.cameras + other.card.cameras, RNT)
    identity, camera = stage.numbered(stage.labelled)
    border = len(planted.train)
    assert set(identity[:border]) == set(range(first))
    assert set(identity[border:]) == set(range(first, first + second))
    assert np.array_equal(camera[:border], planted.train.labels.camera)
    assert np.array_equal(camera[border:], other.train.labels.camera + planted.card.cameras)
    seen: set[int] = set()
    for epoch in range(1, 9):
        for batch, names in Batches(stage, _config(), CPU, Silent(), ALONE).epoch(epoch):
            assert isinstance(batch.camera, Tensor)
            rows = [np.concatenate([planted.train.names, other.train.names]).tolist().index(name) for name in names]
            assert batch.identity.tolist() == identity[rows].tolist() or len(set(names)) < len(names)
            seen |= set(batch.identity.tolist())
    assert seen == set(range(first + second))


def test_what_is_drawn_from_decides_on_the_fingerprint(planted: DatasetIndex, other: DatasetIndex) -> None:
    stages = [
        Stage((planted,)),
        Stage((other,)),
        Stage((planted, other)),
        Stage((planted,), other),
        Stage((planted,), paired=False),
    ]
    assert stages[0].fingerprint == planted.train_fingerprint
    assert len({json.dumps(stage.fingerprint) for stage in stages}) == len(stages)
    assert Stage.of(_Adapting.card, planted, (other,)) == Stage((other,), planted)
    assert Stage.of(CARD, planted) == stages[0]
    assert (
        Stage.of(_Adapting.card, planted).why_not() == "it learns identities from another dataset, and none is given"
    )


class _KilledError(Exception):
    pass


def test_killed_in_an_adapted_epoch_it_ends_with_the_same_bytes(
    planted: DatasetIndex, other: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage((other,), planted)
    monkeypatch.setattr(_Adapting, "looked", [])
    whole = _trainer(_Adapting, planted, stage, tmp_path / "whole" / "r")
    whole.run()
    assert _Adapting.looked == [1, 2, 3]
    tensors = whole.folder.weights.read_bytes()
    for epoch, number in ((1, 1), (2, 1), (2, 2), (3, 1)):
        folder, step = tmp_path / f"{epoch}.{number}" / "r", Trainer._step
        monkeypatch.setattr(_Adapting, "looked", [])

        def killed(
            self: Trainer, batch: TrainingBatch, place: Place, at: tuple[int, int] = (epoch, number), step: Any = step
        ) -> Any:
            if (place.epoch, place.step) == at:
                raise _KilledError
            return step(self, batch, place)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_step", killed)
            with pytest.raises(_KilledError):
                _trainer(_Adapting, planted, stage, folder).run()
        _trainer(_Adapting, planted, stage, folder).run()
        assert _Adapting.looked == [1, 2, 3]  # what was found out before the epoch is not found out again
        assert TrainingFolder(folder).weights.read_bytes() == tensors


def test_killed_while_it_looks_it_looks_again(
    planted: DatasetIndex, other: DatasetIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, look = Stage((other,), planted), _Adapting.before_epoch
    _trainer(_Adapting, planted, stage, tmp_path / "whole" / "r").run()

    def killed(self: _Adapting, ahead: EpochAhead) -> NDArray[np.int64]:
        found = look(self, ahead)
        if ahead.epoch == 2:
            raise _KilledError
        return found

    with monkeypatch.context() as patch:
        patch.setattr(_Adapting, "before_epoch", killed)
        with pytest.raises(_KilledError):
            _trainer(_Adapting, planted, stage, tmp_path / "parts" / "r").run()
    _trainer(_Adapting, planted, stage, tmp_path / "parts" / "r").run()
    ends = [TrainingFolder(tmp_path / name / "r").weights.read_bytes() for name in ("whole", "parts")]
    assert ends[0] == ends[1]


def test_batches_of_two_datasets_stand_side_by_side(planted: DatasetIndex, other: DatasetIndex) -> None:
    batches = Batches(Stage((other,), planted), _config(), CPU, Silent(), ALONE)
    guessed = np.arange(len(planted.train)) % 2
    guessed[0] = -1
    found = list(batches.epoch(1, guessed))
    assert len(found) == batches.count(1)
    for batch, names in found:
        assert batch.target is not None
        rows = [planted.train.names.tolist().index(name) for name in names[4:]]
        assert batch.target.identity.tolist() == guessed[rows].tolist()
        assert planted.train.names[0] not in names[4:]
        assert not torch.equal(batch.images[R], batch.target.images[R])
    with pytest.raises(UsageError, match="needs 4 / 2 = 2 identities, but the training set has 1"):
        next(batches.epoch(1, np.zeros(len(planted.train), dtype=np.int64)))


def test_a_step_with_two_datasets_is_not_taken_apart(
    planted: DatasetIndex, other: DatasetIndex, tmp_path: Path
) -> None:
    stage = Stage((other,), planted)
    config = _config(memory={"micro_batch": 2})
    with pytest.raises(UsageError, match="cannot"):
        Trainer(_Adapting(stage.facts), planted, config, TrainingFolder(tmp_path), CPU, Silent(), stage=stage)
