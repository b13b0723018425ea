"""The limit on test items."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.data import registry
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Item, Items, Role
from mdreid_bench.errors import UsageError
from protocols.modality import R


def index(identity: list[int], query: list[int]) -> DatasetIndex:
    roles = [Role.GALLERY | (Role.QUERY if i in query else Role(0)) for i in range(len(identity))]
    test = Items.of(
        Item(f"{i:03d}", label, 0, 0, role, {R: f"R/{i}"})
        for i, (label, role) in enumerate(zip(identity, roles, strict=True))
    )
    return DatasetIndex(registry.get("msvr310").card, Path(), True, test.take([]), test, "a", "b")


def test_limit_takes_whole_identities_with_queries_first() -> None:
    full = index([5, 5, 5, 7, 7, 9, 9, 9, 9, 2], query=[3, 5])
    limited = full.limited(6)
    # 7 (two items) and 9 (four) have queries and fill the six places; 2 and 5 have none.
    assert limited.test.labels.identity.tolist() == [7, 7, 9, 9, 9, 9]
    assert limited.test.query.tolist() == [0, 2]
    assert limited.test.gallery.tolist() == [0, 1, 2, 3, 4, 5]
    assert limited.limit == 6
    assert full.limited(9).test.labels.identity.tolist() == [7, 7, 9, 9, 9, 9, 2]
    assert full.limited(3).test.labels.identity.tolist() == [7, 7, 2]


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
    kept = set(limited.test.labels.identity.tolist())
    assert 0 < len(limited.test) <= max(count, 0) or limited is full
    assert limited.test.names.tolist() == [f"{i:03d}" for i, label in enumerate(identity) if label in kept]
    names = full.test.names
    assert limited.test.names[limited.test.query].tolist() == [names[q] for q in query if identity[q] in kept]
    assert limited.test.names[limited.test.gallery].tolist() == limited.test.names.tolist()
