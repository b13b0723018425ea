"""EDITOR as a whole: the selection of a subset, absent images, what runs how often."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.editor.method import EDITOR
from baselines.editor.selection import frequency_mask, spatial_mask
from protocols.modality import RNT, Modality, R, subsets
from tests.support import FACTS, build, images, training_batch

CAMERAS = torch.tensor([0, 1, 2])


def editor(overrides: dict[str, Any] | None = None) -> EDITOR:
    method = build("editor", overrides)
    assert isinstance(method, EDITOR)
    return method.eval()


@torch.no_grad()
def written_out(method: EDITOR, shown: dict[Modality, Tensor]) -> Tensor:
    """Run the full network on three images, one after the other."""
    seen = {m: method.trunk.attended(shown[m], CAMERAS) for m in RNT}
    selected = torch.zeros(3, 6, dtype=torch.bool)
    for _, rollout in seen.values():
        selected |= spatial_mask(rollout, keep=1)
    selected |= frequency_mask(torch.stack(list(shown.values())).mean((0, 2)), (16, 16), keep=3)
    return F.normalize(method.aggregation({m: x for m, (x, _) in seen.items()}, selected).feature, dim=1)


@pytest.mark.parametrize("available", subsets(RNT), ids=str)
def test_an_absent_image_is_zeros_that_the_whole_network_sees(available: Modality) -> None:
    method, given = editor(), images(3)
    shown = {m: given[m] if m in available else torch.zeros_like(given[m]) for m in RNT}
    found = method.embed_all({m: given[m] for m in available}, CAMERAS, (available,))[available]
    torch.testing.assert_close(found, written_out(method, shown), rtol=0, atol=1e-6)


def test_absent_features_can_be_zero() -> None:
    method, given = editor({"options": {"missing": "zero_feature"}}), images(3)
    with torch.no_grad():
        tokens, rollout = method.trunk.attended(given[R], CAMERAS)
        selected = spatial_mask(rollout, keep=1) | frequency_mask(given[R].mean(1), (16, 16), keep=3)
        shown = {m: tokens if m == R else torch.zeros_like(tokens) for m in RNT}
        wanted = F.normalize(method.aggregation(shown, selected).feature, dim=1)
    torch.testing.assert_close(method.embed_all({R: given[R]}, CAMERAS, (R,))[R], wanted, rtol=0, atol=1e-6)


def test_the_trunk_runs_once_per_image_for_the_whole_grid() -> None:
    method = editor()
    seen: list[int] = []
    method.trunk.patch.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    method.embed_all(images(3), CAMERAS, subsets(RNT))
    assert sorted(seen) == [FACTS.cameras, 9]
    seen.clear()
    method.embed_all(images(3), CAMERAS, subsets(RNT))
    assert seen == [9]


def test_absent_images_follow_the_weights() -> None:
    method, other = editor(), build("editor", seed=5).eval()
    first = method.embed_all({R: images(3)[R]}, CAMERAS, (R,))[R]
    method.load_state_dict(other.state_dict())
    second = method.embed_all({R: images(3)[R]}, CAMERAS, (R,))[R]
    assert not torch.equal(first, second)
    assert torch.equal(second, other.embed_all({R: images(3)[R]}, CAMERAS, (R,))[R])


@pytest.mark.parametrize(("kind", "width"), [("joint", 384), ("separate", 128)])
def test_one_head_supervises_the_trunk_and_its_bias_is_trained(kind: str, width: int) -> None:
    method = editor({"options": {"supervision": kind}})
    (norm,) = (m for m in method.supervision.modules() if isinstance(m, nn.BatchNorm1d))
    assert norm.num_features == width
    assert norm.bias.requires_grad
    assert method.head.norm.bias.requires_grad
    terms = method.training_losses(training_batch())
    assert set(terms) == {"identity", "triplet", "trunk_identity", "trunk_triplet", "background", "object_centric"}


def test_background_consistency_reaches_the_trunk() -> None:
    method = editor()
    terms = method.train().training_losses(training_batch())
    (gradient,) = torch.autograd.grad(terms["background"], [method.trunk.class_token])
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_the_trunk_takes_the_base_rate_without_one_of_its_own() -> None:
    uniform = build("editor", {"optimizer": {"trunk_lr": None}})
    apart = build("editor", {"optimizer": {"trunk_lr": 1e-5}})
    assert list(uniform.pretrained()) == []
    names = {id(p): name for name, p in apart.named_parameters() if name.startswith("trunk.")}
    assert {names.pop(id(p)) for p in apart.pretrained()} >= {"trunk.position", "trunk.blocks.0.attn.in_proj_bias"}
    assert list(names.values()) == ["trunk.camera"]
