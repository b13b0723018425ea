from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.exclusion import Exclusion, Labels


def make(count: int = 3) -> Labels:
    return Labels(np.arange(count), np.arange(count) + 10, np.arange(count) + 20)


def test_labels_become_int64() -> None:
    labels = Labels(np.array([1], dtype=np.int16), np.array([2], dtype=np.uint8), np.array([3]))
    assert {labels.identity.dtype, labels.camera.dtype, labels.scene.dtype} == {np.dtype(np.int64)}
    assert len(labels) == 1


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0]), (2, 0)])
def test_take_follows_the_rows(rows: list[int]) -> None:
    taken = make().take(rows)
    assert taken.identity.tolist() == [2, 0]
    assert taken.camera.tolist() == [12, 10]
    assert taken.scene.tolist() == [22, 20]


def test_take_by_mask_and_of_nothing() -> None:
    assert make().take(np.array([False, True, True])).identity.tolist() == [1, 2]
    assert len(make().take([])) == 0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="one length, not 2, 3 and 2"):
        Labels(np.arange(2), np.arange(3), np.arange(2))


@pytest.mark.parametrize("wrong", [np.array([0.5, 1.0]), np.array(["a", "b"]), np.zeros((2, 1), dtype=np.int64)])
def test_labels_must_be_flat_integers(wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="camera labels must be"):
        Labels(np.arange(2), wrong, np.arange(2))


def test_each_rule_compares_its_attribute() -> None:
    labels = make()
    assert Exclusion("none").attribute(labels) is None
    assert Exclusion("camera").attribute(labels) is labels.camera
    assert Exclusion("scene").attribute(labels) is labels.scene
