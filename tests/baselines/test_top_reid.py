"""TOP-ReID as a whole: what stands in for missing sensors, what runs how often, rates and recipes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.top_reid.method import TOPReID
from mdreid_bench.training.optimiser import build_optimizer
from protocols.modality import RNT, Modality, N, R, T, subsets
from tests.support import build, images, small_config, training_batch

CAMERAS = torch.tensor([0, 1, 2])


def top_reid(overrides: dict[str, Any] | None = None) -> TOPReID:
    method = build("top-reid", overrides)
    assert isinstance(method, TOPReID)
    return method.eval()


@torch.no_grad()
def filled_in(method: TOPReID, available: Modality) -> dict[Modality, Tensor]:
    """Write the table of docs/methods/top-reid.md, "Missing sensors", out."""
    given = {Modality[name]: tokens for name, tokens in method.encode(images(3), CAMERAS).items()}
    made = {(s, t): method.reconstruction.predict(given[s], s, t) for s in (R, N, T) for t in (R, N, T) if s != t}
    table = {
        R | N | T: given,
        N | T: given | {R: (made[N, R] + made[T, R]) / 2},
        R | T: given | {N: (made[R, N] + made[T, N]) / 2},
        R | N: given | {T: (made[R, T] + made[N, T]) / 2},
        T: given | {R: made[T, R], N: made[T, N]},
        N: given | {R: made[N, R], T: made[N, T]},
        R: given | {N: made[R, N], T: made[R, T]},
    }
    return table[available]


@pytest.mark.parametrize("available", subsets(RNT), ids=str)
def test_missing_spectra_are_filled_in_as_in_the_table(available: Modality) -> None:
    method = top_reid()
    with torch.no_grad():
        wanted = F.normalize(method.permutation(filled_in(method, available)), dim=1)
        found = method.embed(method.encode({m: images(3)[m] for m in available}, CAMERAS), available)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
    together = method.embed_all(images(3), CAMERAS, subsets(RNT))[available]
    torch.testing.assert_close(together, found, rtol=0, atol=1e-6)


def test_trunks_and_predictions_run_once_for_the_whole_grid() -> None:
    method = top_reid()
    runs: list[int] = []
    modules = [*method.trunks.values(), *method.reconstruction.blocks.values()]
    for module in modules:
        module.register_forward_hook(lambda _, args, __: runs.append(len(args[0])))
    method.embed_all(images(3), CAMERAS, subsets(RNT))
    assert runs == [3] * (3 + 6)
    runs.clear()
    method.embed_all(images(3), CAMERAS, (RNT,))
    assert runs == [3] * 3


def test_the_losses_and_heads_follow_the_supervision() -> None:
    for kind, sizes in (("joint", [384]), ("separate", [128] * 3)):
        method = top_reid({"options": {"supervision": kind}})
        norms = [norm for norm in method.supervision.modules() if isinstance(norm, nn.BatchNorm1d)]
        assert [norm.num_features for norm in norms] == sizes
        assert not any(norm.bias.requires_grad for norm in [*norms, method.head.norm])
        terms = method.training_losses(training_batch())
        assert set(terms) == {"identity", "triplet", "trunk_identity", "trunk_triplet", "reconstruction"}


def test_the_three_trunks_share_nothing() -> None:
    method = top_reid()
    names = [{id(p) for p in trunk.parameters()} for trunk in method.trunks.values()]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert not names[1] & names[2]


@pytest.mark.parametrize(("trunk_lr", "weight", "bias"), [(None, 0.01, 0.02), (1e-4, 1e-4, 1e-4)])
def test_trunk_biases_take_the_bias_rate_when_the_trunk_has_none(
    trunk_lr: float | None, weight: float, bias: float
) -> None:
    overrides = {"optimizer": {"lr": 0.01, "trunk_lr": trunk_lr}}
    method = build("top-reid", overrides)
    names = {id(p): n for n, p in method.named_parameters()}
    groups = build_optimizer(method, small_config("top-reid", overrides)).param_groups
    rate = {names[id(p)]: g["target"] for g in groups for p in g["params"]}
    assert rate["trunks.N.blocks.0.attn.in_proj_weight"] == weight
    assert rate["trunks.N.blocks.0.attn.in_proj_bias"] == bias
    assert rate["trunks.N.camera"] == 0.01
    assert rate["permutation.blocks.0.projection.bias"] == 0.02
