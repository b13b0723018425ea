"""The paper presets of the baselines, value by value."""

from typing import Any

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


@pytest.mark.parametrize(
    ("name", "dataset", "batch", "epochs", "warmup", "supervision", "own"),
    [
        ("mfrnet", "rgbnt201", (64, 8), 45, 10, "joint", {"global_local": False}),
        ("mfrnet", "rgbnt100", (64, 16), 45, 5, "separate", {"global_local": True}),
        ("mfrnet", "msvr310", (64, 4), 50, 10, "separate", {"global_local": False}),
        ("demo", "rgbnt201", (64, 8), 50, 10, "joint", {"heads": 4}),
        ("demo", "rgbnt100", (128, 16), 30, 5, "separate", {"heads": 8}),
        ("demo", "msvr310", (64, 4), 50, 10, "separate", {"heads": 8}),
    ],
)
def test_paper_recipes_on_clip(
    name: str, dataset: str, batch: tuple[int, int], epochs: int, warmup: int, supervision: str, own: dict[str, Any]
) -> None:
    config = recipe(name, dataset)
    optimizer, schedule = config.optimizer, config.schedule
    assert (optimizer.name, optimizer.lr, optimizer.trunk_lr, optimizer.weight_decay) == ("adam", 3.5e-4, 5e-6, 1e-4)
    assert (schedule.epochs, schedule.warmup, schedule.warmup_factor, schedule.noise) == (epochs, warmup, 0.1, 0.67)
    assert ((config.batch.size, config.batch.instances), config.seed) == (batch, 1111)
    assert config.options.items() >= (own | {"supervision": supervision, "identity_weight": 0.25}).items()
    for preset in ("small", "tiny"):
        assert recipe(name, dataset, preset).options == config.options


def test_the_preset_released_has_mfrnets_code_as_it_is() -> None:
    released, paper = recipe("mfrnet", "msvr310", "released"), recipe("mfrnet", "msvr310")
    changed = {name: value for name, value in released.options.items() if value != paper.options[name]}
    assert changed == {"independent_experts": False, "capacity": 1.0, "expert_init": "zero"}
    assert (released.evaluation.batch_size, paper.evaluation.batch_size) == (64, 128)
    assert released.schedule == paper.schedule
    assert recipe("mdreid", "msvr310", "released").options["similarity"] == "released"
    assert recipe("demo", "msvr310", "released").options == recipe("demo", "msvr310").options


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


def test_the_presets_differ_in_how_mdreid_is_read() -> None:
    keys = ("rol", "tie_shared_token", "shared_token_start", "token_rate")
    read = {preset: [recipe("mdreid", "msvr310", preset).options[key] for key in keys] for preset in presets.names()}
    assert read == {
        "paper": ["released", True, "class", "trunk"],
        "released": ["released", True, "class", "trunk"],
        "small": ["paper", False, "random", "base"],
        "tiny": ["released", True, "class", "trunk"],
    }


def test_the_random_scorer_needs_no_weights() -> None:
    assert recipe("random", "msvr310").trunk.pretrained is None
