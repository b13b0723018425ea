"""Parameters and multiply-adds against counts by hand, and against those in docs/methods at full size."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from mdreid_bench.evaluation.cost import embedding_cost
from mdreid_bench.models import registry
from mdreid_bench.models.method import Method
from mdreid_bench.testing.samples import BLOCKS
from protocols.modality import RNT, N, R, T, subsets
from tests.support import FACTS, SIZE, build, small_config

WIDTH, PATCHES = 128, 6
"""Of the trunk mdreid-tiny at the size of the tests."""
LINEAR = 12 * WIDTH**2
"""Multiply-adds of a transformer block for one token, attention maps apart."""


def block(tokens: int) -> int:
    return tokens * LINEAR + 2 * tokens**2 * WIDTH


def spared(leading: int, tokens: int, width: int) -> int:
    """Count what a last block need not do for the tokens that nobody looks at: all but keys and values."""
    unseen = tokens - leading
    return unseen * 10 * width**2 + 2 * unseen * tokens * width


def trunk(leading: int, *, trimmed: bool = True) -> int:
    patches = PATCHES * 3 * 16 * 16 * WIDTH
    everything = patches + BLOCKS * block(leading + PATCHES)
    return everything - spared(leading, leading + PATCHES, WIDTH) if trimmed else everything


def count(method: Method, *names: str) -> int:
    return sum(p.numel() for n, p in method.named_parameters() if n.startswith(names))


@pytest.mark.parametrize("available", subsets(RNT), ids=str)
def test_mdreid_by_hand(available: Any) -> None:
    method = build("mdreid")
    cost = embedding_cost(method, SIZE, available)
    projection = 2 * WIDTH * 128
    assert cost.multiply_adds == len(available) * (trunk(leading=2) + projection)
    assert cost.parameters == count(method, "trunk.")
    assert cost.available == available


@pytest.mark.parametrize(("available", "predictions"), [(R, 2), (N | T, 2), (RNT, 0)], ids=str)
def test_top_reid_counts_the_reconstruction_that_a_subset_needs(available: Any, predictions: int) -> None:
    method = build("top-reid")
    cost = embedding_cost(method, SIZE, available)
    heads = 4
    # A class token: query and value, the probe, two products with the patches for every head, projection, MLP.
    rotation = WIDTH**2 * (1 + 1 + 1 + 1 + 8) + 2 * heads * PATCHES * WIDTH
    fusion = 3 * 3 * rotation + predictions * block(1 + PATCHES)
    assert cost.multiply_adds == len(available) * trunk(leading=1, trimmed=False) + fusion
    missing = [m for m in (R, N, T) if m not in available]
    used = [f"reconstruction.blocks.{s}2{t}." for s in available for t in missing]
    assert len(used) == predictions
    assert cost.parameters == count(method, "permutation.", *(f"trunks.{m}." for m in available), *used)


def test_what_is_kept_for_absent_images_is_not_counted() -> None:
    method = build("editor")
    one, three = (embedding_cost(method, SIZE, subset).multiply_adds for subset in (R, RNT))
    rollout = (BLOCKS - 1) * 4 * (1 + PATCHES) ** 3
    assert three - one == 2 * (trunk(leading=1, trimmed=False) + rollout)
    single = build("single-classifier")
    assert embedding_cost(single, SIZE, N).multiply_adds == trunk(leading=1) + WIDTH * 128


def test_heads_and_centres_do_not_count() -> None:
    method = build("editor")
    assert embedding_cost(method, SIZE, RNT).parameters == count(method, "trunk.", "aggregation.")
    assert count(method, "head.", "supervision.") > 0


def test_nothing_learned_costs_nothing() -> None:
    cost = embedding_cost(build("random"), SIZE, RNT)
    assert (cost.parameters, cost.multiply_adds) == (0, 0)


def test_counting_leaves_no_trace() -> None:
    method = build("mdreid")
    before = torch.backends.mha.get_fastpath_enabled()
    first, second = embedding_cost(method, SIZE, RNT), embedding_cost(method, SIZE, RNT)
    assert first == second
    assert torch.backends.mha.get_fastpath_enabled() is before
    assert all(p.grad is None for p in method.parameters())


def full_size(name: str, trunk: str) -> Method:
    overrides: Mapping[str, Any] = {"trunk": {"name": trunk}, "image": {"size": [256, 128]}}
    return registry.get(name).build(small_config(name, overrides, dataset="rgbnt201"), FACTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trunk", "parameters", "multiply_adds"),
    [
        # 34.4 G with every token projected and the last block whole (docs/methods/mdreid.md, "Cost"); two of 130
        # are needed.
        ("mdreid", "ViT-B-16-quickgelu", 86.1e6, 34.4e9 - 3 * (128 * 768 * 512 + spared(2, 130, 768))),
        # 34.2 G, likewise (docs/methods/single-classifier.md, "Cost").
        ("single-classifier", "ViT-B-16-quickgelu", 86.14e6, 34.2e9 - 3 * (128 * 768 * 512 + spared(1, 129, 768))),
        # 278.2 M without position and camera tables (docs/methods/top-reid.md, "Cost").
        ("top-reid", "vit-b-16-imagenet", 278.2e6 + 3 * (129 + FACTS.cameras) * 768, None),
        # 117.5 M likewise (docs/methods/editor.md, "Cost").
        ("editor", "vit-b-16-imagenet", 117.5e6 + (129 + FACTS.cameras) * 768, None),
    ],
)
def test_full_size_agrees_with_the_pages_on_methods(
    name: str, trunk: str, parameters: float, multiply_adds: float | None
) -> None:
    cost = embedding_cost(full_size(name, trunk), (256, 128), RNT)
    assert cost.parameters == pytest.approx(parameters, rel=1e-3)
    if multiply_adds is not None:
        assert cost.multiply_adds == pytest.approx(multiply_adds, rel=2e-3)
