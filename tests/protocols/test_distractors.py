"""Galleries with distractors, against ranking the whole gallery at once."""

from pathlib import Path

import numpy as np
import pytest

from protocols.arrays import FloatArray
from protocols.distractors import SIZES, nested, rank_among
from protocols.evaluation import evaluate
from protocols.exclusion import Exclusion, Labels
from protocols.ranking import rank_embeddings
from protocols.scoring import NonFiniteScoreError
from protocols.tie_groups import Ranking
from tests.protocols.cases import assert_same, labels

NOBODY = 10**6
"""Of the first distractor: an identity, a camera and a scene that no query has."""


def at_once(
    asked: FloatArray, offered: FloatArray, query: Labels, gallery: Labels, exclusion: Exclusion, added: FloatArray
) -> Ranking:
    others = NOBODY + np.arange(len(added))
    joined = Labels(*(np.concatenate([getattr(gallery, name), others]) for name in ("identity", "camera", "scene")))
    return rank_embeddings(asked, np.concatenate([offered, added]), query, joined, exclusion)


@pytest.mark.parametrize("exclusion", [Exclusion.NONE, Exclusion.CAMERA, Exclusion("scene", ((0, 1),))])
@pytest.mark.parametrize("levels", [2, 1000])
def test_every_size_is_what_the_whole_gallery_at_once_gives(exclusion: Exclusion, levels: int) -> None:
    """With two levels of vectors of five numbers nearly everything is tied; some queries have no positive at all."""
    rng = np.random.default_rng(levels)
    query, gallery = labels(rng, 30, 9), labels(rng, 40, 7)
    asked, offered, added = (rng.integers(levels, size=(n, 5)).astype(np.float32) for n in (30, 40, 120))
    sizes, subset = nested(120, (10, 50, 5000), seed=3)
    assert sizes == (10, 50, 120)
    blocks = [added[:77], added[77:78], added[78:]]
    found = rank_among(asked, offered, query, gallery, exclusion, blocks, subset)
    assert_same(found[0], rank_embeddings(asked, offered, query, gallery, exclusion))
    for number in range(3):
        whole = at_once(asked, offered, query, gallery, exclusion, added[subset <= number])
        assert_same(found[number + 1], whole)
        for name, values in vars(evaluate(whole)).items():
            np.testing.assert_array_equal(getattr(evaluate(found[number + 1]), name), values, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_vectors_on_disk_give_the_same_bits(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(0)
    query, gallery = labels(rng, 5, 3), labels(rng, 40, 3)
    asked, offered, added = (rng.standard_normal((n, 33)).astype(np.float32) for n in (5, 40, 5000))
    added = added.astype(dtype)
    np.save(tmp_path / "R.npy", added)
    stored = np.load(tmp_path / "R.npy", mmap_mode="r")
    _, subset = nested(5000, (1000,))
    whole = at_once(asked, offered, query, gallery, Exclusion.CAMERA, added.astype(np.float32))
    for budget in (1, 2**30):
        given = (asked, offered, query, gallery, Exclusion.CAMERA, [stored], subset)
        assert_same(rank_among(*given, memory_budget=budget)[-1], whole)


def test_subsets_are_nested_seeded_and_end_with_all() -> None:
    sizes, subset = nested(25_000, SIZES, seed=1)
    assert sizes == (100, 1_000, 10_000, 25_000)
    assert [int((subset <= number).sum()) for number in range(4)] == list(sizes)
    np.testing.assert_array_equal(subset, nested(25_000, SIZES, seed=1)[1])
    assert (subset != nested(25_000, SIZES, seed=2)[1]).any()
    assert nested(1_000)[0] == (100, 1_000)
    with pytest.raises(ValueError, match="one distractor or more"):
        nested(0)


def test_a_constant_scorer_scores_chance_at_every_size() -> None:
    rng = np.random.default_rng(0)
    query, gallery = labels(rng, 20, 4), labels(rng, 20, 4)
    ones = [np.ones((n, 3), dtype=np.float32) for n in (20, 20, 500)]
    sizes, subset = nested(500, (100,))
    found = rank_among(ones[0], ones[1], query, gallery, Exclusion.NONE, ones[2:], subset)
    for number, ranking in enumerate(found):
        values = evaluate(ranking)
        items = 20 + (0, *sizes)[number]
        assert (values.items == items).all()
        np.testing.assert_allclose(values.rank1, values.positives / items)


def test_what_is_not_finite_or_does_not_fit_is_refused() -> None:
    rng = np.random.default_rng(0)
    query = labels(rng, 4, 2)
    asked, added = np.ones((4, 2), dtype=np.float32), np.ones((5, 2), dtype=np.float32)
    added[3] = np.inf
    _, subset = nested(5)
    with pytest.raises(NonFiniteScoreError, match="gallery item 7"):
        rank_among(asked, asked, query, query, Exclusion.NONE, [added], subset)
    with pytest.raises(ValueError, match="4 distractors came for 5"):
        rank_among(asked, asked, query, query, Exclusion.NONE, [asked], subset)
