"""Small methods on random images, which the checks of methods share."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import merge
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method, TrainingBatch
from protocols.modality import RNT, Modality

SIZE = (32, 48)
"""Height and width of the images."""
FACTS = DataFacts(identities=5, cameras=3)
SMALL: Mapping[str, Any] = {
    "trunk": {"pretrained": None},
    "image": {"size": list(SIZE)},
    "batch": {"size": 8, "instances": 2},
    "schedule": {"epochs": 2, "warmup": 0},
}


def small_config(name: str, overrides: Mapping[str, Any] | None = None, dataset: str = "msvr310") -> RunConfig:
    """Return a tiny configuration of a method, without pretrained weights."""
    method = registry.card(name)
    flags = merge(SMALL, overrides or {})
    return resolve(name, method.options_model, method.recipes, dataset, SIZE, "tiny", Overrides(flags=flags))


def build(name: str, overrides: Mapping[str, Any] | None = None, seed: int = 0) -> Method:
    """Build a small method with seeded random weights."""
    torch.manual_seed(seed)
    config = small_config(name, overrides)
    return registry.get(name).build(config, FACTS)


def without_chance(name: str) -> dict[str, float]:
    """Return the options of a method under which nothing in its training is left to chance."""
    fields = registry.card(name).options_model.model_fields
    return {option: 0.0 for option in ("drop_path", "dropout", "gate_noise") if option in fields}


def images(batch: int, seed: int = 0, size: tuple[int, int] = SIZE) -> dict[Modality, Tensor]:
    """Return random normalised images (B, 3, H, W) of the three sensors."""
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(batch, 3, *size, generator=generator) for m in RNT}


def training_batch(seed: int = 0) -> TrainingBatch:
    """Return a batch of four identities with two items each."""
    identity = torch.arange(4).repeat_interleave(2)
    return TrainingBatch(images(8, seed), identity, torch.arange(8) % FACTS.cameras)
