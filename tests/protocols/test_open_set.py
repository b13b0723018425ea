"""Open-set identification against a slow, literal transcription of its definition."""

import numpy as np
import pytest

from protocols.arrays import FloatArray
from protocols.exclusion import Exclusion, Labels
from protocols.open_set import FARS, RANKS, NoProbesError, chance, enrolled, open_set
from protocols.scoring import NonFiniteScoreError
from tests.protocols import naive
from tests.protocols.cases import labels

FEW = (0.0, 0.1, 0.34, 0.5, 1.0)
HIDING = Exclusion("camera", ((0, 1),))


def literal(
    scores: FloatArray, query: Labels, gallery: Labels, exclusion: Exclusion, split: int, far: float, k: int
) -> float:
    """Do what the definition says, one probe after the other."""
    asked = sorted(set(query.identity.tolist()))
    inside = set(enrolled(np.array(asked), split).tolist())
    kept = np.array([i for i, one in enumerate(gallery.identity.tolist()) if one in inside or one not in asked], int)
    mated, alarms = [], []
    for row, identity in enumerate(query.identity.tolist()):
        seen, positive = naive.visible(scores[:, kept], query, gallery.take(kept), exclusion, row)
        if identity not in inside:
            alarms.append(max(seen, default=-np.inf))
        elif any(positive):
            best = max(value for value, hit in zip(seen, positive, strict=True) if hit)
            within = naive.expected(lambda order: naive.rank_k(order, k), seen, positive)
            mated.append((best, within))
    observed = sorted([*alarms, *(best for best, _ in mated)])
    allowed = [t for t in observed if sum(alarm >= t for alarm in alarms) / len(alarms) <= far]
    tau = allowed[0] if allowed else np.inf
    return float(np.mean([within * (best >= tau) for best, within in mated]))


@pytest.mark.parametrize("exclusion", [Exclusion.NONE, Exclusion.CAMERA, Exclusion.SCENE, HIDING])
@pytest.mark.parametrize("draw", range(3))
def test_figures_are_those_of_the_definition_where_scores_are_tied(draw: int, exclusion: Exclusion) -> None:
    rng = np.random.default_rng(draw)
    query, number = labels(rng, 20, 4, cameras=3, scenes=3), np.arange(12)
    gallery = Labels(number % 6, number // 6, number // 6)  # two of six identities are never asked for
    asked, offered = (rng.integers(3, size=(count, 2)).astype(np.float32) for count in (20, 12))
    found = open_set(asked, offered, query, gallery, exclusion, fars=FEW, ranks=(1, 2, 3), splits=3)
    expected = [
        [[literal(asked @ offered.T, query, gallery, exclusion, s, far, k) for far in FEW] for k in (1, 2, 3)]
        for s in range(3)
    ]
    np.testing.assert_allclose(found.dir, expected, atol=1e-12)
    for split in range(3):
        inside = np.isin(query.identity, enrolled(np.unique(query.identity), split))
        assert found.strangers[split] == (~inside).sum()
        assert 0 < found.mated[split] <= inside.sum()


def test_memory_and_the_order_of_the_gallery_change_nothing() -> None:
    rng = np.random.default_rng(5)
    query, gallery = labels(rng, 60, 9), labels(rng, 80, 9)
    asked, offered = rng.standard_normal((60, 8)), rng.standard_normal((80, 8))
    order = rng.permutation(80)
    whole = open_set(asked, offered, query, gallery, Exclusion.CAMERA)
    little = open_set(asked, offered[order], query, gallery.take(order), Exclusion.CAMERA, memory_budget=1)
    np.testing.assert_array_equal(whole.dir, little.dir)
    np.testing.assert_array_equal(whole.chance, little.chance)
    assert np.all(np.diff(whole.dir, axis=2) >= 0)
    assert np.all(np.diff(whole.dir, axis=1) >= 0)


def test_a_constant_scorer_finds_nobody_below_a_far_of_one() -> None:
    rng = np.random.default_rng(0)
    query, gallery = labels(rng, 50, 8), labels(rng, 90, 8)
    found = open_set(np.ones((50, 4)), np.ones((90, 4)), query, gallery, Exclusion.CAMERA)
    assert not found.dir[:, :, :-1].any()
    assert found.dir[:, :, -1].all()


def test_a_perfect_scorer_finds_everybody() -> None:
    rng = np.random.default_rng(1)
    query, gallery = labels(rng, 40, 6), labels(rng, 60, 6)
    found = open_set(np.eye(6)[query.identity], np.eye(6)[gallery.identity], query, gallery, Exclusion.NONE)
    assert found.dir.min() == 1


def test_half_of_the_identities_are_enrolled_and_another_half_with_another_seed() -> None:
    asked = np.arange(10, 41)
    drawn = [enrolled(asked, split) for split in range(20)]
    assert {len(one) for one in drawn} == {16}
    assert len({tuple(one.tolist()) for one in drawn}) == 20
    np.testing.assert_array_equal(enrolled(asked[::-1].copy(), 3), drawn[3])
    assert len(enrolled(np.arange(3), 0, share=0.99)) == 2


def test_chance_is_what_random_scores_reach() -> None:
    rng = np.random.default_rng(2)
    query = Labels(np.repeat(np.arange(200), 10), np.zeros(2000, int), np.zeros(2000, int))
    gallery = Labels(np.repeat(np.arange(200), 2), np.ones(400, int), np.zeros(400, int))
    draws = []
    for _ in range(4):
        asked, offered = rng.standard_normal((2000, 256)), rng.standard_normal((400, 256))
        asked, offered = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (asked, offered))
        draws.append(open_set(asked, offered, query, gallery, Exclusion.CAMERA, splits=4))
    measured = np.mean([found.dir.mean(axis=0) for found in draws], axis=0)
    np.testing.assert_allclose(measured, draws[0].chance.mean(axis=0), atol=6e-3)
    assert measured[-1, -1] == pytest.approx(0.19, abs=0.01)


def test_chance_by_hand() -> None:
    """One item, the positive: the probe passes as often as a stranger. Of four, Rank-1 is a quarter of that."""
    one, four = (np.array([n]) for n in (1, 4))
    np.testing.assert_allclose(chance(one, one, one, (0.01, 0.1, 1.0), (1,)), [[0.01, 0.1, 1.0]])
    np.testing.assert_allclose(chance(one, four, four, (0.01, 0.1, 1.0), (1, 4))[0], [0.0025, 0.025, 0.25])
    assert chance(one, four, four, (1.0,), (4,))[0, 0] == pytest.approx(1.0)


def test_what_has_no_probes_or_no_number_is_refused() -> None:
    one = Labels(np.zeros(4, int), np.zeros(4, int), np.zeros(4, int))
    with pytest.raises(NoProbesError, match="needs two identities"):
        open_set(np.ones((4, 2)), np.ones((4, 2)), one, one, Exclusion.NONE)
    two = Labels(np.array([0, 0, 1, 1]), np.zeros(4, int), np.zeros(4, int))
    with pytest.raises(NoProbesError, match="no query of the identities enrolled in split 0 has a valid positive"):
        open_set(np.ones((4, 2)), np.ones((4, 2)), two, two, Exclusion.CAMERA)
    with pytest.raises(NoProbesError, match="valid positive"):
        open_set(np.ones((4, 2)), np.ones((0, 2)), two, two.take([]), Exclusion.NONE)
    with pytest.raises(NonFiniteScoreError):
        open_set(np.full((4, 2), np.nan), np.ones((4, 2)), two, two, Exclusion.NONE)
    assert (FARS[-1], RANKS[0]) == (1.0, 1)
