"""Small configurations and random images that many tests share."""

from mdreid_bench.models import registry
from mdreid_bench.testing.samples import (
    FACTS,
    SIZE,
    SMALL,
    build,
    images,
    small_config,
    training_batch,
    without_chance,
)

__all__ = [
    "FACTS",
    "SIZE",
    "SMALL",
    "build",
    "images",
    "small_config",
    "training_batch",
    "without_chance",
    "without_near_ties",
]


def without_near_ties(name: str) -> dict[str, str]:
    """Return the options of a method under which rounding cannot decide between experts with random weights."""
    return {"expert_init": "zero"} if "expert_init" in registry.card(name).options_model.model_fields else {}
