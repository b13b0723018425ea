"""Losses under mixed precision equal those in single precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.knowledge_discrepancy import knowledge_discrepancy
from mdreid_bench.losses.orthogonality import orthogonality_paper, orthogonality_released
from mdreid_bench.losses.triplet import soft_margin_triplet

IDENTITY = torch.arange(8).repeat_interleave(4)
FEATURES = 10 + 0.1 * torch.randn(32, 512, generator=torch.Generator().manual_seed(0))
VECTORS = FEATURES[:30].reshape(5, 6, 512)

LOSSES: dict[str, Callable[[], Tensor]] = {
    "triplet": lambda: soft_margin_triplet(FEATURES, IDENTITY),
    "identity": lambda: identity_loss(FEATURES, IDENTITY),
    "orthogonality as released": lambda: orthogonality_released(VECTORS),
    "orthogonality of the paper": lambda: orthogonality_paper(VECTORS),
    "discrepancy": lambda: knowledge_discrepancy(FEATURES, FEATURES.flip(1), IDENTITY),
}


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_does_not_reach_the_losses(name: str) -> None:
    wanted = LOSSES[name]()
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name]()
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)


def test_half_precision_features_are_raised() -> None:
    rounded = FEATURES.bfloat16()
    assert torch.equal(soft_margin_triplet(rounded, IDENTITY), soft_margin_triplet(rounded.float(), IDENTITY))
