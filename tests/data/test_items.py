"""Items, one by one and by column."""

import numpy as np
import pytest

from mdreid_bench.data.items import Item, Items, Role
from protocols.exclusion import Labels
from protocols.modality import Modality, N, R, T

ITEMS = [
    Item("b", 2, 1, 7, Role.QUERY | Role.GALLERY, {R: "r/b", T: "t/b"}),
    Item("c", 1, 0, 0, Role.GALLERY, {N: "n/c"}),
    Item("a", 2, 3, 5, Role.QUERY, {R: "strip", N: "strip", T: "strip"}),
]


def test_the_sensors_of_an_item_are_those_of_its_images() -> None:
    assert [item.sensors for item in ITEMS] == [R | T, N, R | N | T]


def test_columns_are_sorted_by_name() -> None:
    items = Items.of(ITEMS)
    assert items.names.tolist() == ["a", "b", "c"]
    assert items.labels.identity.tolist() == [2, 2, 1]
    assert items.labels.camera.tolist() == [3, 1, 0]
    assert items.labels.scene.tolist() == [5, 7, 0]
    assert [Modality(int(value)) for value in items.sensors] == [R | N | T, R | T, N]
    assert items.query.tolist() == [0, 1]
    assert items.gallery.tolist() == [1, 2]
    assert items.images[1] == {R: "r/b", T: "t/b"}
    assert len(items) == 3


@pytest.mark.parametrize("rows", [[2, 0], np.array([True, False, True])])
def test_taking_rows_keeps_them_together(rows: object) -> None:
    taken = Items.of(ITEMS).take(rows)  # type: ignore[arg-type]
    assert sorted(taken.names.tolist()) == ["a", "c"]
    place = taken.names.tolist().index("c")
    assert (taken.labels.identity[place], taken.images[place]) == (1, {N: "n/c"})
    assert taken.gallery.tolist() == [place]


def test_batches_are_consecutive_rows_with_the_same_sensors() -> None:
    items = Items.of(Item(f"{row}", 0, 0, 0, Role.QUERY, {T if row in (3, 4) else R: "x"}) for row in range(9))
    assert items.batches(2) == [range(2), range(2, 3), range(3, 5), range(5, 7), range(7, 9)]
    assert items.batches(3, first=4) == [range(4, 5), range(5, 8), range(8, 9)]
    assert items.batches(100, first=9) == Items.of([]).batches(4) == []


@pytest.mark.parametrize("items", [Items.of([]), Items.of(ITEMS).take([])])
def test_no_items_are_items_too(items: Items) -> None:
    assert (len(items), items.query.tolist(), items.images) == (0, [], ())
    assert items.take([]).names.dtype.kind == "U"


def test_columns_of_different_lengths_are_refused() -> None:
    labels = Labels(*(np.zeros(2, dtype=np.int64) for _ in range(3)))
    names, codes = np.array(["a", "b"]), np.ones(2, dtype=np.uint8)
    assert len(Items(names, labels, codes, codes)) == 2
    for wrong in ((names[:1], labels, codes, codes), (names, labels, codes[:1], codes)):
        with pytest.raises(ValueError, match="differ in length"):
            Items(*wrong)
    with pytest.raises(ValueError, match="differ in length"):
        Items(names, labels, codes, codes, ({R: "a"},))
