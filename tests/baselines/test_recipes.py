"""The paper presets of the baselines, value by value."""

import pytest

from mdreid_bench.config import presets
from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.models import registry

SIZES = {"rgbnt201": (256, 128), "rgbnt100": (128, 256), "msvr310": (128, 256)}


def recipe(name: str, dataset: str, preset: str = "paper") -> RunConfig:
    method = registry.card(name)
    return resolve(name, method.options_model, method.recipes, dataset, SIZES[dataset], preset, Overrides())


@pytest.mark.parametrize(
    ("name", "dataset", "size", "lr", "epochs", "warmup", "supervision"),
    [
        ("top-reid", "rgbnt201", (256, 128), 0.009, 120, 10, "joint"),
        ("top-reid", "rgbnt100", (256, 128), 0.009, 120, 10, "separate"),
        ("top-reid", "msvr310", (256, 128), 0.001, 1000, 100, "separate"),
        ("editor", "rgbnt201", (256, 128), 0.001, 70, 10, "joint"),
        ("editor", "rgbnt100", (128, 256), 0.001, 70, 10, "separate"),
        ("editor", "msvr310", (128, 256), 0.001, 1000, 100, "separate"),
    ],
)
def test_paper_recipes(
    name: str, dataset: str, size: tuple[int, int], lr: float, epochs: int, warmup: int, supervision: str
) -> None:
    config = recipe(name, dataset)
    optimizer, schedule = config.optimizer, config.schedule
    assert config.image_size == size
    assert (optimizer.name, optimizer.lr, optimizer.trunk_lr, optimizer.momentum) == ("sgd", lr, None, 0.9)
    assert (optimizer.bias_factor, optimizer.weight_decay) == (2.0, 1e-4)
    assert (schedule.epochs, schedule.warmup, schedule.warmup_factor, schedule.noise) == (epochs, warmup, 0.01, 0.0)
    assert schedule.floor_factor == 1e-3
    assert (config.batch.size, config.batch.instances, config.seed) == (128, 16, 1111)
    assert config.options["supervision"] == supervision
    assert config.options["drop_path"] == 0.1


def test_editor_keeps_the_papers_numbers_of_patches() -> None:
    options = recipe("editor", "rgbnt201").options
    assert (options["head_keep"], options["frequency_keep"], options["ties"]) == (2, 10, "first")
    assert options["missing"] == "zero_image"


@pytest.mark.parametrize("name", ["top-reid", "editor"])
@pytest.mark.parametrize("dataset", SIZES)
@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_recipes_for_small_trunks_keep_the_presets_optimiser(name: str, dataset: str, preset: str) -> None:
    own, reference = recipe(name, dataset, preset), recipe("mdreid", dataset, preset)
    for section in ("optimizer", "schedule", "batch", "augment", "trunk"):
        assert getattr(own, section) == getattr(reference, section)


def test_the_presets_differ_in_how_mdreid_reads_its_two_tokens() -> None:
    keys = ("tie_shared_token", "shared_token_start", "token_rate")
    read = {preset: [recipe("mdreid", "msvr310", preset).options[key] for key in keys] for preset in presets.names()}
    assert read == {
        "paper": [True, "class", "trunk"],
        "released": [True, "class", "trunk"],
        "small": [False, "random", "base"],
        "tiny": [True, "class", "trunk"],
    }


def test_the_random_scorer_needs_no_weights() -> None:
    assert recipe("random", "msvr310").trunk.pretrained is None
