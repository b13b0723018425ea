"""MDReID's switches, tokens and parameter groups."""

import pytest
import torch

from mdreid_bench.errors import UsageError
from mdreid_bench.losses.orthogonality import ideal_similarity
from mdreid_bench.models.mdreid.card import MDReIDOptions
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.models.method import DataFacts
from mdreid_bench.training.optimiser import build_optimizer
from protocols.modality import RNT, Modality, subsets
from tests.support import build, images, small_config, training_batch

CAMERAS = torch.tensor([0, 1])


def test_the_losses_follow_the_switches() -> None:
    full = build("mdreid").training_losses(training_batch())
    assert set(full) == {
        "identity",
        "triplet",
        "shared_identity",
        "shared_triplet",
        "orthogonality",
        "discrepancy",
    }
    without = build("mdreid", {"options": {"orthogonality_weight": 0, "discrepancy_weight": 0}})
    assert set(without.training_losses(training_batch())) == set(full) - {"orthogonality", "discrepancy"}


def test_weights_scale_their_terms() -> None:
    def terms(w1: float, w2: float) -> tuple[float, float]:
        options = {"orthogonality_weight": w1, "discrepancy_weight": w2}
        losses = build("mdreid", {"options": options}).training_losses(training_batch())
        return losses["orthogonality"].item(), losses["discrepancy"].item()

    once, thrice = terms(1, 1), terms(3, 3)
    assert thrice == pytest.approx((3 * once[0], 3 * once[1]), rel=1e-5)


def test_the_decoupling_cannot_be_switched_off() -> None:
    with pytest.raises(UsageError, match=r"options\.mdl=false is a method of its own, --method single-classifier"):
        small_config("mdreid", {"options": {"mdl": False}})
    assert MDReIDOptions.model_validate({"mdl": True}) == MDReIDOptions()


def test_tied_token_is_one_parameter_and_untied_starts_equal() -> None:
    tied, untied = build("mdreid"), build("mdreid", {"options": {"tie_shared_token": False}})
    assert isinstance(tied, MDReID)
    assert isinstance(untied, MDReID)
    assert tied.trunk.shared_token is None
    assert untied.trunk.shared_token is not None
    assert torch.equal(untied.trunk.shared_token, untied.trunk.class_token)
    found, wanted = (m.eval().embed_all(images(2), CAMERAS, subsets(RNT)) for m in (untied, tied))
    assert all(torch.allclose(found[s], wanted[s]) for s in subsets(RNT))


def test_a_shared_token_with_a_start_of_its_own_is_as_long_as_the_class_token() -> None:
    method = build("mdreid", {"options": {"tie_shared_token": False, "shared_token_start": "random"}})
    assert isinstance(method, MDReID)
    assert method.trunk.shared_token is not None
    shared, specific = method.trunk.shared_token.detach(), method.trunk.class_token.detach()
    assert float(shared.norm() / specific.norm()) == pytest.approx(1, abs=0.5)
    assert float(torch.cosine_similarity(shared, specific, dim=0).abs()) < 0.5


@pytest.mark.parametrize("sensors", [RNT, Modality.R | Modality.T], ids=str)
def test_parts_follow_the_sensors_and_the_ideal_is_that_of_rol(sensors: Modality) -> None:
    method = MDReID.build(small_config("mdreid"), DataFacts(5, 3, sensors)).eval()
    encoded = method.encode({m: x for m, x in images(2).items() if m in sensors}, CAMERAS)
    declared = method.decoupling()
    assert declared.names == tuple(f"{kind} {m}" for kind in ("specific", "shared") for m in sensors)
    assert torch.equal(torch.from_numpy(declared.ideal), ideal_similarity(len(sensors)))
    wanted = [encoded[name[-1]][:, name.startswith("shared") * 1] for name in declared.names]
    assert torch.equal(method.parts(encoded), torch.stack(wanted, dim=1))


def test_camera_moves_the_specific_token_first() -> None:
    method = build("mdreid").eval()
    one, other = (method.encode(images(2), torch.tensor([c, c]))["R"] for c in (0, 1))
    assert not torch.allclose(one[:, 0], other[:, 0])


def test_rates_of_the_parameter_groups() -> None:
    method = build("mdreid")
    names = {id(p): n for n, p in method.named_parameters()}
    optimizer = build_optimizer(method, small_config("mdreid", {"optimizer": {"lr": 1e-3, "trunk_lr": 1e-5}}))
    rate = {names[id(p)]: g["target"] for g in optimizer.param_groups for p in g["params"]}
    assert rate["trunk.blocks.0.attn.in_proj_bias"] == 1e-5
    assert rate["trunk.class_token"] == 1e-5
    assert rate["trunk.position"] == 1e-3
    assert rate["trunk.camera"] == 1e-3
    assert rate["shared_head.classifier.weight"] == 1e-3
    assert "shared_head.norm.bias" not in rate


@pytest.mark.parametrize("tied", [True, False])
def test_tokens_can_have_the_base_rate(tied: bool) -> None:
    method = build("mdreid", {"options": {"tie_shared_token": tied, "token_rate": "base"}})
    names = {id(p): n.removeprefix("trunk.") for n, p in method.named_parameters()}
    taken = {names[id(p)] for p in method.pretrained()}
    assert not {"class_token", "shared_token", "position", "camera"} & taken
    assert {"patch.weight", "projection"} <= taken


def test_single_classifier_leaves_positions_in_the_trunk_group() -> None:
    method = build("single-classifier")
    pretrained = {id(parameter) for parameter in method.pretrained()}
    assert {n for n, p in method.named_parameters() if n.startswith("trunk.") and id(p) not in pretrained} == {
        "trunk.camera"
    }
    assert id(method.get_parameter("trunk.position")) in pretrained


def test_missing_image_is_mid_grey_after_normalisation() -> None:
    method = build("single-classifier").eval()
    zeros = {m: torch.zeros_like(x) for m, x in images(2).items()}
    present = images(2)
    for subset in subsets(RNT):
        filled = {m: present[m] if m in subset else zeros[m] for m in present}
        wanted = method.embed_all(filled, CAMERAS, (subsets(RNT)[-1],))[subsets(RNT)[-1]]
        found = method.embed_all({m: present[m] for m in subset}, CAMERAS, (subset,))[subset]
        assert torch.allclose(found, wanted, atol=1e-6)


def test_missing_features_can_be_zero() -> None:
    method = build("single-classifier", {"options": {"missing": "zero_feature"}}).eval()
    vectors = method.embed_all(images(2), CAMERAS, subsets(RNT))
    width = vectors[subsets(RNT)[0]].shape[1] // 3
    assert torch.count_nonzero(vectors[subsets(RNT)[0]][:, width:]) == 0
