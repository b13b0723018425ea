"""The limit on test triplets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.data import registry
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.errors import UsageError


def index(identity: list[int], query: list[int]) -> DatasetIndex:
    count = len(identity)
    test = pd.DataFrame(
        {
            "name": [f"{i:03d}" for i in range(count)],
            "identity": np.array(identity, dtype=np.int64),
            "camera": np.zeros(count, dtype=np.int64),
            "scene": np.zeros(count, dtype=np.int64),
            **{sensor: [f"{sensor}/{i}" for i in range(count)] for sensor in "RNT"},
        }
    )
    rows = np.arange(count, dtype=np.int64)
    return DatasetIndex(
        registry.get("msvr310").card, Path(), True, test[:0], test, np.array(query, dtype=np.int64), rows, "a", "b"
    )


def test_limit_takes_whole_identities_with_queries_first() -> None:
    full = index([5, 5, 5, 7, 7, 9, 9, 9, 9, 2], query=[3, 5])
    limited = full.limited(6)
    # 7 (two triplets) and 9 (four) have queries and fill the six places; 2 and 5 have none.
    assert limited.test["identity"].tolist() == [7, 7, 9, 9, 9, 9]
    assert limited.query.tolist() == [0, 2]
    assert limited.gallery.tolist() == [0, 1, 2, 3, 4, 5]
    assert limited.limit == 6
    assert full.limited(9).test["identity"].tolist() == [7, 7, 9, 9, 9, 9, 2]
    assert full.limited(3).test["identity"].tolist() == [7, 7, 2]


def test_limit_that_leaves_nothing_out_changes_nothing() -> None:
    full = index([1, 1, 2], query=[0])
    assert full.limited(3) is full
    assert full.limited(100).limit is None


@pytest.mark.parametrize("count", [-1, 0, 1])
def test_limit_too_small_for_a_query_identity(count: int) -> None:
    with pytest.raises(UsageError, match="use at least 2") as caught:
        index([1, 1, 1, 2, 2, 3], query=[0, 3]).limited(count)
    assert caught.value.exit_code == 2


def test_limit_changes_the_fingerprint_of_the_test_set() -> None:
    full = index([1, 2, 3, 4], query=[0, 1, 2, 3])
    prints = {full.limited(count).test_fingerprint for count in (1, 2, 3, 4)}
    assert len(prints) == 4
    assert full.limited(2).test_fingerprint == full.limited(2).test_fingerprint
    assert full.limited(2).train_fingerprint == full.train_fingerprint


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.integers(1, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_limit_keeps_identities_whole_and_rows_matched(identity: list[int], count: int, data: st.DataObject) -> None:
    query = sorted(data.draw(st.sets(st.integers(0, len(identity) - 1), min_size=1)))
    full = index(identity, query)
    try:
        limited = full.limited(count)
    except UsageError:
        assert min(identity.count(identity[row]) for row in query) > count
        return
    kept = set(limited.test["identity"])
    assert 0 < len(limited.test) <= max(count, 0) or limited is full
    assert limited.test["name"].tolist() == [f"{i:03d}" for i, label in enumerate(identity) if label in kept]
    names = full.test["name"]
    assert limited.test["name"].iloc[limited.query].tolist() == [names[q] for q in query if identity[q] in kept]
    assert limited.test["name"].iloc[limited.gallery].tolist() == limited.test["name"].tolist()
