"""Cameras of the test set that took no training image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.train import Trainer
from mdreid_bench.weights.checkpoint import read
from tests.support import build, small_config

METHODS = ("mdreid", "single-classifier", "top-reid", "editor")


def with_cameras(index: DatasetIndex, number: int) -> DatasetIndex:
    """The same items, taken by the first ``number`` cameras in turn."""
    labels = replace(index.train.labels, camera=np.arange(len(index.train)) % number)
    return replace(index, train=replace(index.train, labels=labels))


@pytest.mark.parametrize("name", METHODS)
def test_their_vector_is_the_mean_of_the_trained_ones(name: str, planted: DatasetIndex, tmp_path: Path) -> None:
    index, config = with_cameras(planted, 6), small_config(name, {"batch": {"size": 4}, "schedule": {"epochs": 1}})
    torch.manual_seed(0)
    method = registry.get(name).build(config, DataFacts(index.train.identities, index.card.cameras))
    Trainer(method, index, config, TrainingFolder(tmp_path), torch.device("cpu"), Silent()).run()
    tensors, _ = read(TrainingFolder(tmp_path).weights)
    tables = [tensor for name, tensor in tensors.items() if name.endswith(".camera")]
    assert tables
    for table in tables:
        torch.testing.assert_close(table[6:], table[:6].mean(dim=0).expand(2, -1))
        assert table[:6].std(dim=0).mean() > 0.001


@pytest.mark.parametrize("name", METHODS)
def test_where_all_are_trained_nothing_is_written(name: str, planted: DatasetIndex) -> None:
    stage = Stage((with_cameras(planted, 8),))
    assert stage.trained_cameras.tolist() == [True] * 8
    for backbone in build(name).backbones():
        table = dict(backbone.named_parameters())["camera"]
        before, version = table.detach().clone(), table._version
        backbone.settle_cameras(torch.tensor([True] * len(table)))
        assert (table._version, torch.equal(table, before)) == (version, True)


def test_cameras_of_items_that_cannot_be_drawn_are_not_trained(planted: DatasetIndex) -> None:
    index = with_cameras(planted, 8)
    sensors = np.where(index.train.labels.camera == 3, 1, index.train.sensors).astype(np.uint8)
    stage = Stage((replace(index, train=replace(index.train, sensors=sensors)),))
    assert stage.trained_cameras.tolist() == [camera != 3 for camera in range(8)]
