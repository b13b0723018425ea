"""Joint and separate supervision against the losses written out."""

import pytest
import torch

from baselines.supervision import ClassVectorSupervision
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.method import DataFacts
from mdreid_bench.models.parts import BottleneckHead
from protocols.modality import RNT, Modality
from tests.baselines.literal import random

IDENTITY = torch.tensor([0, 0, 1, 1, 2, 2])
VECTORS: dict[Modality, torch.Tensor] = {m: random(6, 4, seed=m.value).float() for m in RNT}


@pytest.mark.parametrize("shared", [True, False])
def test_separate_losses_add_up(shared: bool) -> None:
    module = ClassVectorSupervision(4, DataFacts(3, 1), "separate", shared=shared, train_bias=True).eval()
    assert len(module.heads) == (1 if shared else 3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    heads = {m: module.heads["all" if shared else str(m)] for m in RNT}
    terms = module(VECTORS, IDENTITY)
    classified = sum(identity_loss(heads[m](VECTORS[m]), IDENTITY).item() for m in RNT)
    ranked = sum(soft_margin_triplet(VECTORS[m], IDENTITY).item() for m in RNT)
    assert terms["trunk_identity"].item() == pytest.approx(classified, rel=1e-6)
    assert terms["trunk_triplet"].item() == pytest.approx(ranked, rel=1e-6)


def test_joint_losses_are_taken_once() -> None:
    module = ClassVectorSupervision(4, DataFacts(3, 1), "joint", shared=False, train_bias=False).eval()
    feature = torch.cat([VECTORS[m] for m in RNT], dim=1)
    terms = module(VECTORS, IDENTITY)
    assert torch.equal(terms["trunk_identity"], identity_loss(module.heads["all"](feature), IDENTITY))
    assert torch.equal(terms["trunk_triplet"], soft_margin_triplet(feature, IDENTITY))


@pytest.mark.parametrize("trained", [True, False])
def test_the_bias_is_trained_on_request(trained: bool) -> None:
    assert BottleneckHead(4, 3, train_bias=trained).norm.bias.requires_grad is trained
