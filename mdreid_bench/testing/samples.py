"""Small methods on random images, which the checks of methods share."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import merge
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method, TrainingBatch
from mdreid_bench.models.trunk.resnet_weights import RESNETS
from protocols.modality import RNT, Modality

SIZE = (32, 48)
"""Height and width of the images."""
FACTS = DataFacts(identities=5, cameras=3)
BLOCKS = 2
"""Of vision transformers: the last, of which some methods use less than of others, and one before it."""
SMALL: Mapping[str, Any] = {
    "trunk": {"pretrained": None},
    "image": {"size": list(SIZE)},
    "batch": {"size": 8, "instances": 2},
    "schedule": {"epochs": 2, "warmup": 0},
}
_PLACES = [torch.device("cpu")]


@contextmanager
def tried_on(device: torch.device) -> Iterator[None]:
    """Let methods and images that are made within the block be on a device, and so all that checks do with them."""
    _PLACES.append(device)
    try:
        yield
    finally:
        _PLACES.pop()


def place() -> torch.device:
    """Return the device that methods and images are made on; the CPU unless ``tried_on`` says otherwise."""
    return _PLACES[-1]


def small_config(name: str, overrides: Mapping[str, Any] | None = None, dataset: str = "msvr310") -> RunConfig:
    """Return a tiny configuration of a method, without pretrained weights."""
    method = registry.card(name)
    flags = merge(SMALL, overrides or {})
    config = resolve(name, method.options_model, method.recipes, dataset, SIZE, "tiny", Overrides(flags=flags))
    if config.trunk.layers is not None or config.trunk.name in RESNETS:
        return config
    return config.model_copy(update={"trunk": config.trunk.model_copy(update={"layers": BLOCKS})})


def build(name: str, overrides: Mapping[str, Any] | None = None, seed: int = 0) -> Method:
    """Build a small method with seeded random weights."""
    torch.manual_seed(seed)
    config = small_config(name, overrides)
    return registry.get(name).build(config, FACTS).to(place())


def without_chance(name: str) -> dict[str, float]:
    """Return the options of a method under which nothing in its training is left to chance."""
    fields = registry.card(name).options_model.model_fields
    return {option: 0.0 for option in ("drop_path", "dropout", "gate_noise") if option in fields}


def images(batch: int, seed: int = 0, size: tuple[int, int] = SIZE) -> dict[Modality, Tensor]:
    """Return random normalised images (B, 3, H, W) of the three sensors."""
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(batch, 3, *size, generator=generator).to(place()) for m in RNT}


def cameras(batch: int = 8) -> Tensor:
    """Return the cameras of some items, (B,), by turns."""
    return torch.arange(batch, device=place()) % FACTS.cameras


def training_batch(seed: int = 0) -> TrainingBatch:
    """Return a batch of four identities with two items each."""
    identity = torch.arange(4, device=place()).repeat_interleave(2)
    return TrainingBatch(images(8, seed), identity, cameras())
