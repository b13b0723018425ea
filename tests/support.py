"""Small configurations and random images that many tests share."""

from collections.abc import Container, Iterable
from typing import Any

import pytest

from mdreid_bench.models import registry
from mdreid_bench.testing.samples import (
    BLOCKS,
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
    "FLAGS",
    "SIZE",
    "SMALL",
    "build",
    "images",
    "mostly_slow",
    "small_config",
    "training_batch",
    "without_chance",
    "without_near_ties",
]

FLAGS: dict[str, Any] = {
    **SMALL,
    "trunk": {**SMALL["trunk"], "layers": BLOCKS},
    "batch": {"size": 4, "instances": 2},
    "schedule": {"epochs": 1, "warmup": 0},
}
"""Of a run on planted images by a method of vision transformers."""


def mostly_slow(cases: Iterable[Any], quick: Container[Any]) -> list[Any]:
    """Return the cases of a test, of which those that only repeat what the quick ones show are marked as slow."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow] * (case not in quick))
        for case in cases
    ]


def without_near_ties(name: str) -> dict[str, str]:
    """Return the options of a method under which rounding cannot decide between experts with random weights."""
    return {"expert_init": "zero"} if "expert_init" in registry.card(name).options_model.model_fields else {}
