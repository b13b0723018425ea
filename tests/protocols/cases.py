"""Random retrieval problems: small ones for hypothesis, larger ones from a seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols.exclusion import Exclusion, Labels
from protocols.ranking import Ranking, rank


@dataclass(frozen=True, eq=False)
class Case:
    scores: NDArray[Any]
    query: Labels
    gallery: Labels
    exclusion: Exclusion

    def rank(self, **options: Any) -> Ranking:
        return rank(self.scores, self.query, self.gallery, self.exclusion, **options)


def labels(rng: np.random.Generator, count: int, identities: int, cameras: int = 2, scenes: int = 2) -> Labels:
    return Labels(
        rng.integers(identities, size=count),
        rng.integers(cameras, size=count),
        rng.integers(scenes, size=count),
    )


exclusions = st.builds(
    Exclusion,
    st.sampled_from(["none", "camera", "scene"]),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=3).map(tuple),
)


@st.composite
def small_cases(draw: st.DrawFn, most: int = 8) -> Case:
    """Up to 4 queries and 8 gallery items with few distinct scores, so that ties and duplicates abound."""
    queries, items = draw(st.integers(1, 4)), draw(st.integers(0, most))
    levels = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64, np.int64]))
    scores = (rng.integers(levels, size=(queries, items)) - 2).astype(dtype)
    identities = draw(st.integers(1, 3))
    exclusion = draw(exclusions)
    return Case(scores, labels(rng, queries, identities), labels(rng, items, identities), exclusion)


def large_case(seed: int = 0, queries: int = 60, items: int = 300, decimals: int = 1) -> Case:
    """Rounded scores: some positives are tied, some not."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((queries, items)).round(decimals).astype(np.float32)
    return Case(scores, labels(rng, queries, 9), labels(rng, items, 9, 3), Exclusion.CAMERA)


def assert_same(a: Ranking, b: Ranking) -> None:
    for name in ("items", "offsets", "above", "size", "positives"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert (a.rivals is None) == (b.rivals is None)
    if a.rivals is not None and b.rivals is not None:
        for name in ("above", "offsets", "tied"):
            np.testing.assert_array_equal(getattr(a.rivals, name), getattr(b.rivals, name), err_msg=name)


def one_query(scores: list[float], positive: list[bool]) -> Ranking:
    """Rank a single query whose positives are given."""
    zeros = np.zeros(len(scores), dtype=np.int64)
    gallery = Labels(np.array(positive, dtype=np.int64), zeros, zeros)
    query = Labels(np.array([1]), np.array([0]), np.array([0]))
    return rank(np.array([scores], dtype=np.float64), query, gallery, Exclusion.NONE)
