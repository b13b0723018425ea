"""What every registered method must do, whoever wrote it."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mdreid_bench.embedding.vectors import check_contract
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.backbone import Backbone
from mdreid_bench.models.method import Method
from mdreid_bench.weights import checkpoint
from protocols.modality import RNT, Modality, subsets
from tests.support import FACTS, SIZE, build, images, small_config, training_batch, without_chance

CAMERAS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
METHODS = registry.names()


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return build(request.param).eval()


def test_card_names_the_entry_point() -> None:
    for name, card in registry.cards().items():
        assert card.name == name
        assert card.title
        assert card.paper
        assert card.summary


def test_every_subset_embeds_to_one_width(method: Method) -> None:
    vectors = method.embed_all(images(3), CAMERAS[:3], subsets(RNT))
    assert len({v.shape for v in vectors.values()}) == 1
    assert all(v.dtype == torch.float32 and torch.isfinite(v).all() for v in vectors.values())


def test_parts_that_are_kept_apart_are_a_vector_each(method: Method) -> None:
    declared, encoded = method.decoupling(), method.encode(images(3), CAMERAS[:3])
    if declared is None:
        with pytest.raises(UsageError, match="keeps no parts"):
            method.parts(encoded)
        return
    count = len(declared.names)
    assert method.parts(encoded).shape[:2] == (3, count)
    assert len(set(declared.names)) == count
    assert declared.ideal.shape == (count, count)
    assert (declared.ideal == declared.ideal.T).all()
    assert (declared.ideal.diagonal() == 1).all()


@pytest.mark.parametrize("available", subsets(RNT), ids=str)
def test_absent_modalities_are_never_looked_at(method: Method, available: Modality) -> None:
    clean, scrambled = images(3, seed=0), images(3, seed=1)
    mixed = {m: clean[m] if m in available else scrambled[m] for m in clean}
    expected = method.embed_all(clean, CAMERAS[:3], (available,))[available]
    assert torch.equal(method.embed_all(mixed, CAMERAS[:3], (available,))[available], expected)


@pytest.mark.parametrize("available", subsets(RNT), ids=str)
def test_only_present_images_are_needed(method: Method, available: Modality) -> None:
    everything = images(3)
    expected = method.embed_all(everything, CAMERAS[:3], (available,))[available]
    present = {m: everything[m] for m in available}
    found = method.embed_all(present, CAMERAS[:3], (available,))[available]
    assert torch.allclose(found, expected, atol=1e-6)


def test_batch_of_one_equals_batch_of_eight(method: Method) -> None:
    batch = images(8)
    together = method.embed_all(batch, CAMERAS, subsets(RNT))
    for row in range(8):
        alone = method.embed_all(
            {m: x[row : row + 1] for m, x in batch.items()}, CAMERAS[row : row + 1], subsets(RNT)
        )
        assert all(torch.allclose(alone[s][0], together[s][row], atol=1e-6) for s in subsets(RNT))


def test_the_check_that_plug_ins_undergo_finds_nothing(method: Method) -> None:
    before = {name: value.clone() for name, value in method.state_dict().items()}
    check_contract(method, RNT, SIZE)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_losses_and_gradients_are_finite(method: Method) -> None:
    if not method.card.trains:
        pytest.skip("nothing to train")
    method.train()
    terms = method.training_losses(training_batch())
    assert terms
    assert all(term.ndim == 0 and math.isfinite(term.item()) for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    trained = {n: p for n, p in method.named_parameters() if p.requires_grad}
    missing = [n for n, p in trained.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert missing == []


@pytest.mark.parametrize("name", [n for n in METHODS if registry.get(n).separable()])
def test_losses_need_only_what_is_represented_of_each_item(name: str) -> None:
    method = build(name, {"options": without_chance(name)}).train()
    assert method.separable()
    batch = training_batch()
    wanted = copy.deepcopy(method).training_losses(batch)
    whole = method.represent(batch.images, batch.camera)
    alone = [method.represent(*batch.piece(slice(row, row + 1))) for row in range(8)]
    for entry, rows in whole.items():
        torch.testing.assert_close(torch.cat([one[entry] for one in alone]), rows, rtol=0, atol=1e-5)
    terms = method.losses(whole, batch.identity)
    assert list(terms) == list(wanted)
    assert all(torch.equal(term, wanted[term_name]) for term_name, term in terms.items())


@pytest.mark.parametrize("name", [n for n in METHODS if registry.card(n).unpaired])
def test_cameras_may_be_those_of_each_sensor(name: str) -> None:
    method, batch = build(name, {"options": without_chance(name)}).train(), training_batch()
    assert isinstance(batch.camera, torch.Tensor)
    apart = replace(batch, camera=dict.fromkeys(batch.images, batch.camera))
    wanted, found = (copy.deepcopy(method).training_losses(one) for one in (batch, apart))
    assert {term: value.item() for term, value in found.items()} == {t: v.item() for t, v in wanted.items()}


def test_training_reduces_the_loss(method: Method) -> None:
    if not method.card.trains:
        pytest.skip("nothing to train")
    method.train()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = torch.stack(list(method.training_losses(training_batch()).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_same_numbers(name: str) -> None:
    first, second = (build(name, seed=3).eval().embed_all(images(2), CAMERAS[:2], subsets(RNT)) for _ in range(2))
    assert all(torch.equal(first[s], second[s]) for s in subsets(RNT))


@pytest.mark.parametrize("name", METHODS)
def test_weights_round_trip(name: str, tmp_path: Path) -> None:
    source, target = build(name, seed=1).eval(), build(name, seed=2).eval()
    before = target.embed_all(images(2), CAMERAS[:2], subsets(RNT))
    checkpoint.save_weights(tmp_path / "w.safetensors", source, {})
    checkpoint.load_weights(tmp_path / "w.safetensors", target)
    wanted = source.embed_all(images(2), CAMERAS[:2], subsets(RNT))
    found = target.embed_all(images(2), CAMERAS[:2], subsets(RNT))
    assert all(torch.equal(found[s], wanted[s]) for s in subsets(RNT))
    if source.card.trains:
        assert not torch.equal(before[RNT], found[RNT])


@pytest.mark.parametrize("name", [n for n in METHODS if registry.get(n).card.trains])
def test_weights_of_another_shape_are_refused(name: str, tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path / "w.safetensors", build(name), {})
    others = [registry.get(name).build(small_config(name), replace(FACTS, identities=6))]
    if any(parameter.endswith("position") for parameter, _ in others[0].named_parameters()):
        others.append(build(name, {"image": {"size": [48, 48]}}))
    for other in others:
        with pytest.raises(DataError, match="does not fit"):
            checkpoint.load_weights(tmp_path / "w.safetensors", other)


def test_every_backbone_is_listed(method: Method) -> None:
    listed = [id(module) for module in method.backbones()]
    assert listed == [id(module) for module in method.modules() if isinstance(module, Backbone)]
    assert {id(p) for p in method.pretrained()} <= {id(p) for p in method.parameters()}


def test_facts_are_used(method: Method) -> None:
    sizes = {tuple(p.shape) for p in method.parameters()}
    if method.card.trains:
        assert any(FACTS.identities in shape for shape in sizes)
