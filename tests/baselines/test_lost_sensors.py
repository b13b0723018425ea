"""The losses of the baselines on items that lack sensors, against their literal form, item by item."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.editor.background_consistency import background_consistency
from baselines.editor.object_centric import NEW_SHARE, ObjectCentres
from baselines.supervision import ClassVectorSupervision
from baselines.top_reid.reconstruction import Reconstruction, pairs
from mdreid_bench.losses.hinge_triplet import hinge_triplet
from mdreid_bench.losses.identity import identity_loss
from mdreid_bench.losses.triplet import soft_margin_triplet
from mdreid_bench.models.method import DataFacts
from protocols.modality import RNT, Modality
from tests.models.test_partial import SEEN, literal_triplet, partial, trained

IDENTITY = torch.arange(4).repeat_interleave(2)
WIDTH = 8


def drawn(*shape: int) -> dict[Modality, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {m: torch.randn(*shape, generator=generator) for m in RNT}


def has(row: int) -> list[Modality]:
    return [m for m in RNT if SEEN[m][row]]


def rows_of(sensor: Modality) -> list[int]:
    return [row for row in range(8) if SEEN[sensor][row]]


def test_class_vectors_are_supervised_where_there_are_images() -> None:
    torch.manual_seed(0)
    apart = ClassVectorSupervision(WIDTH, DataFacts(4, 1), "separate", shared=False, train_bias=False)
    vectors = drawn(8, WIDTH)
    found = apart(vectors, IDENTITY, SEEN)
    wanted = sum(literal_triplet(vectors[m], IDENTITY, rows_of(m)) for m in RNT)
    assert found["trunk_triplet"].item() == pytest.approx(
        wanted, abs=1e-3
    )  # float32: an item is not at 0 from itself
    logits = {m: apart.heads[str(m)](vectors[m][rows_of(m)]) for m in RNT}
    classified = sum(identity_loss(logits[m], IDENTITY[rows_of(m)]) for m in RNT)
    torch.testing.assert_close(found["trunk_identity"], classified)
    joint = ClassVectorSupervision(WIDTH, DataFacts(4, 1), "joint", shared=False, train_bias=False)
    assert joint(vectors, IDENTITY, SEEN)["trunk_triplet"] == joint(vectors, IDENTITY)["trunk_triplet"]


def test_reconstruction_fills_in_from_what_is_there_and_learns_from_pairs_that_are() -> None:
    torch.manual_seed(0)
    module, tokens = Reconstruction(WIDTH, 2, RNT), drawn(8, 3, WIDTH)
    with torch.no_grad():
        filled = module.filled(tokens, SEEN)
        for row in range(8):
            for target in RNT:
                made = [module.predict(tokens[s][row : row + 1], s, target)[0] for s in has(row) if s != target]
                wanted = tokens[target][row] if SEEN[target][row] else torch.stack(made).mean(0)
                torch.testing.assert_close(filled[target][row], wanted)
        total = 0.0
        for source, target in pairs(RNT):
            both = [row for row in range(8) if SEEN[source][row] and SEEN[target][row]]
            made = [module.predict(tokens[source][row : row + 1], source, target)[0] for row in both]
            errors = [(one - tokens[target][row]).square().mean() for one, row in zip(made, both, strict=True)]
            total += float(torch.stack(errors).mean())
        assert module(tokens, SEEN).item() == pytest.approx(total, rel=1e-5)


def test_backgrounds_are_compared_where_both_are_there() -> None:
    tokens, selected = drawn(8, 6, WIDTH), torch.rand(8, 5, generator=torch.Generator().manual_seed(1)) > 0.5
    total = 0.0
    for one, other in ((0, 1), (0, 2), (1, 2)):
        a, b = tuple(RNT)[one], tuple(RNT)[other]
        values = [
            0.0 if selected[row, patch] else float((tokens[a] - tokens[b])[row, 1 + patch, k].square())
            for row in range(8)
            if SEEN[a][row] and SEEN[b][row]
            for patch in range(5)
            for k in range(WIDTH)
        ]
        total += sum(values) / len(values)
    assert background_consistency(tokens, selected, SEEN).item() == pytest.approx(total, rel=1e-5)


def test_centres_move_with_what_is_there() -> None:
    centres, classes = ObjectCentres(4, WIDTH, RNT), drawn(8, WIDTH)
    start = torch.randn(3, 4, WIDTH, generator=torch.Generator().manual_seed(2))
    centres.centres.copy_(start)
    found, total = centres(classes, IDENTITY, SEEN).item(), 0.0
    for place, m in enumerate(RNT):
        unit = F.normalize(classes[m], dim=1)
        wanted = start[place].clone()
        for identity in range(4):
            own = [unit[row] for row in rows_of(m) if IDENTITY[row] == identity]
            if own:
                wanted[identity] = NEW_SHARE * torch.stack(own).mean(0) + (1 - NEW_SHARE) * start[place, identity]
        torch.testing.assert_close(centres.centres[place], wanted)
        errors = [(wanted[IDENTITY[row]] - unit[row]).square().mean() for row in rows_of(m)]
        total += float(torch.stack(errors).mean())
    assert found == pytest.approx(total, rel=1e-5)


def test_three_branches_have_zeros_in_the_fused_feature_and_terms_of_what_is_there() -> None:
    method: Any = trained("three-branch")
    batch = partial()
    with torch.no_grad():
        represented = method.represented(batch.images, batch.camera, batch.seen)
        found = method.losses(represented, IDENTITY)
        fused = torch.zeros(8, 3 * method.width)
        for row in range(8):
            for place, m in enumerate(RNT):
                if SEEN[m][row]:
                    fused[row, place * method.width : (place + 1) * method.width] = represented[str(m)][row]
        kinds = [("F", fused, list(range(8)))] + [(str(m), represented[str(m)], rows_of(m)) for m in RNT]
        classified, ranked = 0.0, 0.0
        for kind, features, rows in kinds:
            own = IDENTITY[rows]
            classified += float(identity_loss(method.heads[kind](features[rows]), own))
            ranked += float(hinge_triplet(features[rows], own, features[rows], own, method.margin))
    assert found["identity"].item() == pytest.approx(classified, rel=1e-5)
    assert found["triplet"].item() == pytest.approx(ranked, rel=1e-5)


def test_mfrnet_composes_every_item_from_what_it_has() -> None:
    method: Any = trained("mfrnet")
    batch = partial()
    assert isinstance(batch.camera, Tensor)
    with torch.no_grad():
        represented = method.represented(batch.images, batch.camera, batch.seen)
        for row in range(8):
            subset = Modality(sum(m.value for m in has(row)))
            images = {m: batch.images[m][row : row + 1] for m in subset}
            tokens, made, _ = method._generate(images, batch.camera[row : row + 1])
            features, _ = method._features(method.generation.compose(tokens, made, subset))
            for m in RNT:
                torch.testing.assert_close(represented[str(m)][row], features[m][0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["single-classifier", "demo", "editor"])
def test_a_mid_grey_image_stands_in_where_nothing_else_is_said(name: str) -> None:
    method: Any = trained(name)
    batch = partial()
    grey = {
        m: torch.stack([x[row] if SEEN[m][row] else 0 * x[row] for row in range(8)]) for m, x in batch.images.items()
    }
    with torch.no_grad():
        represented, wanted = (
            method.represented(batch.images, batch.camera, batch.seen),
            method.represent(grey, batch.camera),
        )
        assert all(torch.equal(represented[key], value) for key, value in wanted.items())
        if name == "single-classifier":
            feature = torch.cat([wanted[str(m)] for m in RNT], dim=1)
            triplet = method.losses(represented, IDENTITY)["triplet"]
            assert triplet == soft_margin_triplet(feature, IDENTITY)
            assert math.isclose(float(triplet), literal_triplet(feature, IDENTITY, list(range(8))), abs_tol=1e-3)
