"""Batch statistics of two processes are those of one, and so are the identities that are guessed after training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mdreid_bench.data.opening import open_dataset
from mdreid_bench.models import registry
from mdreid_bench.processes.ranks import ALONE, Ranks
from mdreid_bench.processes.shared_norm import share_statistics
from mdreid_bench.progress import Silent
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.training.stage import Stage
from mdreid_bench.training.train import Trainer
from tests.cli.running import environment
from tests.data.trees import plant
from tests.processes.together import Team
from tests.support import small_config

CPU = torch.device("cpu")
SETTINGS: dict[str, Any] = {
    "trunk": {"name": "mdreid-resnet-tiny", "pretrained": None},
    "image": {"size": [16, 16]},
    "batch": {"size": 4, "instances": 2},
    "schedule": {"epochs": 2},
    "optimizer": {"name": "sgd", "lr": 0.01, "trunk_lr": 0.01},
    "options": {"clusters": 3, "sigma": 0.0, "pretrain_epochs": 0},
}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    base = tmp_path_factory.mktemp("norm")
    return Team(base, environment(OMP_NUM_THREADS="1", MDREID_CACHE=str(base / "cache")))


def normed(ranks: Ranks | None = None) -> dict[str, Tensor]:
    """Return what two layers, each with a norm, make of eight images shared out, and the gradients."""
    ranks = ranks or Ranks.join(CPU)
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 2), nn.BatchNorm2d(5)]
    network, images = nn.Sequential(*layers).double(), 3 + torch.randn(8, 3, 6, 6, dtype=torch.float64)
    if ranks.size > 1:
        share_statistics(network, ranks)
    share = 8 // ranks.size
    maps = ranks.gather(network(images[ranks.rank * share : (ranks.rank + 1) * share]).flatten(1))
    (maps * torch.arange(8)[:, None]).square().mean().backward()  # type: ignore[no-untyped-call]
    ranks.average_gradients(network.parameters())
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"maps": maps.detach(), **gradients, **dict(network.named_buffers())}


def test_statistics_and_gradients_are_those_of_one_process(team: Team) -> None:
    ended = team(normed, seconds=300)
    assert ended.codes == [0, 0], ended.stderr
    wanted = normed(ALONE)
    for answer in ended.answers:
        assert list(answer) == list(wanted)
        for name, value in wanted.items():
            torch.testing.assert_close(answer[name], value, rtol=0, atol=1e-10, msg=name)


def adapted(base: Path, results: Path) -> tuple[list[Any], list[dict[str, float]], dict[str, Tensor]]:
    """Train MAN and return what it guessed for each epoch, its losses and its weights."""
    ranks = Ranks.join(CPU)
    stage = Stage(
        (open_dataset("rgbnt201", base, Silent()),),
        open_dataset("msvr310", base, Silent()),
    )
    config = small_config("man", SETTINGS)
    torch.manual_seed(0)
    method = registry.get("man").build(config, stage.facts)
    target = stage.unlabelled
    assert target is not None
    trainer = Trainer(method, target, config, TrainingFolder(results), CPU, Silent(), ranks=ranks, stage=stage)
    guessed, epoch = [], Trainer._epoch

    def watched(self: Trainer, number: int, *more: Any) -> dict[str, Any]:
        guessed.append(self.state.guessed)
        return epoch(self, number, *more)

    Trainer._epoch = watched  # type: ignore[assignment,method-assign]
    trainer.run()
    return guessed, [entry["losses"] for entry in trainer.state.log], method.state_dict()


def test_two_processes_guess_what_one_guesses(team: Team) -> None:
    plant(team.base / "data", "rgbnt201")
    plant(team.base / "data", "msvr310")
    (alone,) = team(adapted, team.base / "data", team.base / "one" / "run", size=1, seconds=300).answers
    ended = team(adapted, team.base / "data", team.base / "two" / "run", seconds=300)
    assert ended.codes == [0, 0], ended.stderr
    for guessed, _, weights in ended.answers:
        assert len(guessed) == 2
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(guessed, alone[0], strict=True))
        for name, value in alone[2].items():
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-4, msg=name)
    for ours, theirs in zip(ended.answers[0][1], alone[1], strict=True):
        assert ours == pytest.approx(theirs, rel=0, abs=1e-4)
