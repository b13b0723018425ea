from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from protocols.exclusion import Exclusion, Labels
from protocols.names import UnknownNameError
from protocols.ranking import rank
from protocols.relevance import Relevance
from tests.protocols import naive
from tests.protocols.cases import Case, exclusions, small_cases


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


@given(exclusion=exclusions)
def test_parse_inverts_str(exclusion: Exclusion) -> None:
    assert Exclusion.parse(str(exclusion)) == exclusion


@pytest.mark.parametrize(
    ("text", "exclusion", "written"),
    [
        ("camera", Exclusion.CAMERA, "camera"),
        (" none ", Exclusion.NONE, "none"),
        ("none;3>2", Exclusion("none", ((3, 2),)), "none; 3>2"),
        ("camera; 6>5,3 > 2, 6>5", Exclusion("camera", ((3, 2), (6, 5))), "camera; 3>2, 6>5"),
    ],
)
def test_text_and_value(text: str, exclusion: Exclusion, written: str) -> None:
    assert Exclusion.parse(text) == exclusion
    assert str(exclusion) == written


@pytest.mark.parametrize(
    "text", ["", "cameras", "camera;", "camera; 3", "camera; 3>x", "3>2", "camera; 3>2;", "Scene"]
)
def test_other_text_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Valid: none, camera, scene, 'none; 3>2'"):
        Exclusion.parse(text)


def test_another_attribute_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'camera'"):
        Exclusion("camra")


@settings(deadline=None)
@given(case=small_cases())
def test_counts_of_valid_items_and_positives_equal_a_naive_loop(case: Case) -> None:
    relevance = Relevance(case.query, case.gallery, case.exclusion)
    rows = [
        naive.visible(case.scores, case.query, case.gallery, case.exclusion, row) for row in range(len(case.query))
    ]
    assert relevance.items.tolist() == [len(scores) for scores, _ in rows]
    assert relevance.positives.tolist() == [sum(positive) for _, positive in rows]


def test_a_camera_is_hidden_from_one_camera_alone_and_whatever_the_identity() -> None:
    query = Labels(np.array([1, 1]), np.array([3, 6]), np.zeros(2, dtype=np.int64))
    gallery = Labels(np.array([1, 2, 1, 2]), np.array([2, 2, 1, 1]), np.zeros(4, dtype=np.int64))
    ranking = rank(np.array([[0.9, 0.8, 0.1, 0.2]] * 2), query, gallery, Exclusion.parse("none; 3>2"))
    assert ranking.items.tolist() == [2, 4]
    assert ranking.positive_counts.tolist() == [1, 2]
    assert ranking.above.tolist() == [1, 0, 3]
