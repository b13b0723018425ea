"""Training on items that have lost sensors: reproducible, resumable, blind to what was lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.loading import ItemReader, TrainingImages
from mdreid_bench.data.transforms import Pixels
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.processes.ranks import ALONE, Ranks
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.batches import Batches
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.state import TrainingState
from mdreid_bench.training.train import Trainer
from protocols.modality import RNT, Modality
from tests.support import small_config

CPU = torch.device("cpu")


def lossy(config: RunConfig, rate: float = 0.5, epochs: int = 2, **changes: Any) -> RunConfig:
    data = config.data.model_copy(update={"missing": rate, **changes})
    schedule = config.schedule.model_copy(update={"epochs": epochs})
    return config.model_copy(update={"data": data, "schedule": schedule})


def stage_of(index: DatasetIndex, config: RunConfig) -> Stage:
    return Stage.of(registry.card(config.method), index, (), config.data.missing, config.seed)


def train(index: DatasetIndex, config: RunConfig, path: Path, ranks: Ranks = ALONE) -> bytes:
    torch.manual_seed(config.seed)
    stage, folder = stage_of(index, config), TrainingFolder(path / "t")
    method = registry.get(config.method).build(config, stage.facts)
    Trainer(method, index, config, folder, CPU, Silent(), ranks=ranks, stage=stage).run()
    return folder.weights.read_bytes()


def test_the_same_bytes_whole_resumed_and_in_pieces_of_work(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(planted, lossy(config), tmp_path / "whole")
    assert train(planted, lossy(config, 0.0), tmp_path / "complete") != whole
    original = TrainingState.save

    def stop_after_one(self: TrainingState, epoch: int) -> None:
        original(self, epoch)
        if epoch == 1:
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", stop_after_one)
        with pytest.raises(InterruptedError):
            train(planted, lossy(config), tmp_path / "parts")
    assert train(planted, lossy(config), tmp_path / "parts") == whole


def test_images_that_were_lost_change_no_weight(
    planted: DatasetIndex, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = train(planted, lossy(config), tmp_path / "a")
    kept = stage_of(planted, lossy(config)).labelled[0].train.sensors
    plain = ItemReader.__call__

    def painted(self: ItemReader, row: int) -> dict[Modality, Pixels]:
        found = plain(self, row)
        return {m: x if kept[row] & m.value else np.full_like(x, 200) for m, x in found.items()}

    monkeypatch.setattr(ItemReader, "__call__", painted)
    assert train(planted, lossy(config), tmp_path / "b") == wanted
    read = TrainingImages((planted,), config, RNT)
    assert any((read[row, 1, row].pixels[m] == 200).any() for row in range(len(read)) for m in RNT)


def test_batches_are_of_the_same_items_at_every_rate_and_say_what_they_lack(
    planted: DatasetIndex, config: RunConfig
) -> None:
    found = {}
    for rate in (0.0, 0.5):
        changed = lossy(config, rate)
        stage = stage_of(planted, changed)
        found[rate] = list(Batches(stage, changed, CPU, Silent(), ALONE).epoch(1))
        names = stage.labelled[0].train.names.tolist()
        for batch, drawn in found[rate]:
            if not rate:
                assert batch.seen is None
                continue
            assert batch.seen is not None
            own = stage.labelled[0].train.sensors[[names.index(name) for name in drawn]]
            for m in RNT:
                assert batch.seen[m].tolist() == ((own & m.value) != 0).tolist()
                assert not batch.images[m][~batch.seen[m]].any()
    assert [names for _, names in found[0.0]] == [names for _, names in found[0.5]]


def test_images_of_identities_are_drawn_where_losses_need_all_sensors(planted: DatasetIndex) -> None:
    config = lossy(small_config("mun", {"batch": {"size": 4, "instances": 2}}))
    stage = stage_of(planted, config)
    assert (stage.paired, stage.partial, stage.why_not()) == (False, False, None)
    kept = stage.labelled[0].train.sensors
    for rows in stage.sampler(stage.numbered(stage.labelled)[0], stage.labelled, config).epoch(1):
        assert all((kept[rows[:, place]] & m.value).all() for place, m in enumerate(RNT))


def with_sensors(index: DatasetIndex, sensors: Modality) -> DatasetIndex:
    train: Items = index.train
    return replace(index, train=replace(train, sensors=np.full(len(train), sensors.value, dtype=np.uint8)))


def test_what_cannot_be_trained_says_why(planted: DatasetIndex) -> None:
    three, mdreid = registry.card("three-branch"), registry.card("mdreid")
    man = Stage.of(registry.card("man"), planted, (planted,), 0.3)
    assert man.why_not() == "it guesses identities from the features of all sensors of an item"
    lone = Stage.of(mdreid, with_sensors(planted, Modality.T), (), 0.3)
    assert lone.why_not() == "no training item has two sensors, of which it could lose one"
    assert Stage.of(three, planted, (), 0.3).why_not() is None
    assert Stage.of(three, planted, (), 0.3).fingerprint == Stage.of(three, planted).fingerprint


def test_a_trunk_with_statistics_trains_in_one_process(planted: DatasetIndex, tmp_path: Path) -> None:
    config = lossy(small_config("three-branch", {"batch": {"size": 4, "instances": 2}}))
    with pytest.raises(UsageError, match="start one process"):
        train(planted, config, tmp_path, Ranks(0, 2))


def test_the_run_key_is_that_of_before_where_nothing_is_lost(config: RunConfig) -> None:
    assert "data" not in config.determining()
    assert lossy(config, 0.25).determining() == {**lossy(config, 0.0).determining(), "data": {"missing": 0.25}}
