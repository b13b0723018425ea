"""Calibrated scores against a literal reading, pair by pair."""

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.arrays import FloatArray
from protocols.calibration import Calibration, UnknownPairError
from protocols.chance import chance
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion
from protocols.modality import RNT, Modality, N, R, T, subsets
from protocols.ranking import rank_embeddings
from tests.protocols import naive
from tests.protocols.cases import assert_same, labels

ITEMS, WIDTH = 24, 5


def drawn(rng: np.random.Generator, lacking: bool = True) -> dict[Modality, NDArray[np.float32]]:
    """Return vectors of few distinct values by subset; those of items that lack a sensor are NaN."""
    vectors = {
        s: rng.integers(-2, 3, size=(ITEMS, WIDTH)).astype(np.float32) / np.float32(len(s)) for s in subsets(RNT)
    }
    seen = rng.choice([1, 2, 3, 4, 5, 6, 7, 7, 7], size=ITEMS) if lacking else np.full(ITEMS, RNT.value)
    for subset, matrix in vectors.items():
        matrix[(seen & subset.value) != subset.value] = np.nan
    return vectors


def literal(
    vectors: dict[Modality, NDArray[np.float32]], identity: NDArray[np.int64], q: Modality, g: Modality
) -> list[float]:
    found = []
    for one in range(ITEMS):
        for other in range(ITEMS):
            a, b = vectors[q][one], vectors[g][other]
            if identity[one] != identity[other] and not np.isnan(a).any() and not np.isnan(b).any():
                found.append(float(np.float32(sum(float(x) * float(y) for x, y in zip(a, b, strict=True)))))
    return found


def test_mean_and_spread_are_those_of_all_pairs_of_different_identities() -> None:
    rng = np.random.default_rng(0)
    vectors, identity = drawn(rng), rng.integers(5, size=ITEMS)
    found = Calibration.estimate(vectors, identity)
    assert set(found.pairs) == {(q, g) for q in subsets(RNT) for g in subsets(RNT)}
    for (query, gallery), (mean, spread) in found.pairs.items():
        scores = literal(vectors, identity, query, gallery)
        assert mean == pytest.approx(np.mean(scores), rel=1e-6, abs=1e-9)
        assert spread == pytest.approx(np.std(scores), rel=1e-6)


@pytest.mark.parametrize("budget", [1, 2**30])
def test_ranks_are_those_of_a_literal_reading_with_ties(budget: int) -> None:
    rng = np.random.default_rng(1)
    pairs = [(q, g) for q in subsets(RNT) for g in subsets(RNT)]
    calibration = Calibration.of({pair: (rng.integers(3) / 2, 2.0 ** rng.integers(2)) for pair in pairs})
    test, known = drawn(rng, lacking=False), labels(rng, ITEMS, 3)
    asked, offered = (rng.choice([R.value, RNT.value], size=count).astype(np.uint8) for count in (6, ITEMS))
    query = np.array([test[Modality(int(c))][row] for row, c in enumerate(asked)]).round()
    gallery = np.array([test[Modality(int(c))][row] for row, c in enumerate(offered)]).round()
    adjust = calibration.between(asked, offered)
    own = known.take(range(6))
    sides = (query, gallery, own, known, Exclusion.CAMERA)
    found = evaluate(rank_embeddings(*sides, adjustment=adjust, memory_budget=budget))
    scores = np.empty((6, ITEMS))
    for row in range(6):
        for column in range(ITEMS):
            mean, spread = calibration.pairs[Modality(int(asked[row])), Modality(int(offered[column]))]
            scores[row, column] = (float(query[row] @ gallery[column]) - mean) / spread
    for row in range(6):
        seen, positive = naive.visible(scores, own, known, Exclusion.CAMERA, row)
        hits = [place for place, right in enumerate(positive) if right]
        ties = [place for place in hits if seen.count(seen[place]) > 1]
        assert (found.items[row], found.tied_positives[row]) == (len(seen), len(ties))
        best = [sum(s > seen[place] for s in seen) + 1 for place in hits if place not in ties]
        if hits and not ties:
            order = sorted(range(len(seen)), key=lambda place: -seen[place])
            exact = naive.average_precision([positive[place] for place in order])
            assert found.ap[row] == pytest.approx(exact, rel=1e-12)
            assert found.first_hit_rank[row] == min(best)
    assert found.tied_positives.any()
    assert (found.tied_positives == 0).any()


def test_one_subset_in_the_gallery_leaves_the_ranking_as_it_is() -> None:
    rng = np.random.default_rng(2)
    calibration = Calibration.estimate(drawn(rng), rng.integers(5, size=ITEMS))
    asked = rng.choice([subset.value for subset in subsets(RNT)], size=ITEMS).astype(np.uint8)
    assert calibration.between(asked, np.full(ITEMS, RNT.value, dtype=np.uint8)) is None


def test_within_a_pair_of_subsets_no_order_changes() -> None:
    rng = np.random.default_rng(3)
    calibration = Calibration.estimate(drawn(rng), rng.integers(5, size=ITEMS))
    scores = np.concatenate([rng.standard_normal(50) * 1e-6, rng.standard_normal(50), [0.0, 1e9]]).astype(np.float32)
    scores = np.concatenate([scores, scores[:20], np.nextafter(scores[:20], np.float32(np.inf))])
    for query in subsets(RNT):
        made = calibration.standardised(scores, query, N | T)
        assert np.array_equal(np.sign(made[:, None] - made), np.sign(scores[:, None] - scores))


def test_a_constant_scorer_stays_at_chance() -> None:
    rng = np.random.default_rng(4)
    lengths = {subset: np.full((ITEMS, 3), 0.1 / len(subset), dtype=np.float32) for subset in subsets(RNT)}
    calibration = Calibration.estimate(lengths, rng.integers(5, size=ITEMS))
    known = labels(rng, ITEMS, 3)
    codes = rng.choice([subset.value for subset in subsets(RNT)], size=ITEMS).astype(np.uint8)
    vectors = np.array([lengths[Modality(int(code))][0] for code in codes])
    adjust = calibration.between(codes, codes)
    found = evaluate(rank_embeddings(vectors, vectors, known, known, Exclusion.CAMERA, adjustment=adjust))
    expected = chance(found.positives, found.items)
    np.testing.assert_allclose(found.ap, expected.ap, rtol=1e-12)
    np.testing.assert_allclose(found.rank1, expected.rank1, rtol=1e-12)
    uncalibrated = evaluate(rank_embeddings(vectors, vectors, known, known, Exclusion.CAMERA))
    assert not np.allclose(uncalibrated.ap, expected.ap, equal_nan=True)


def test_a_pair_that_was_not_seen_and_a_spread_of_nothing_are_refused() -> None:
    calibration = Calibration.of({(R, R): (0.0, 1.0), (R, N): (0.0, 1.0)})
    codes = np.array([R.value, N.value], dtype=np.uint8)
    with pytest.raises(UnknownPairError, match="how N scores with R"):
        calibration.between(codes, codes)
    with pytest.raises(ValueError, match="above 0"):
        Calibration.of({(R, R): (0.0, 0.0)})


def test_no_adjustment_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    vectors, known = rng.standard_normal((ITEMS, WIDTH)).astype(np.float32), labels(rng, ITEMS, 3)

    def same(start: int, stop: int, scores: FloatArray, out: FloatArray) -> None:
        out[...] = scores

    sides = (vectors, vectors, known, known, Exclusion.CAMERA)
    assert_same(rank_embeddings(*sides), rank_embeddings(*sides, adjustment=same))
