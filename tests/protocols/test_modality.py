from itertools import combinations

import pytest

from protocols.modality import RNT, D, Modality, N, R, T, subsets
from protocols.names import UnknownNameError


def test_the_seven_subsets_are_distinct_and_ordered() -> None:
    assert [str(subset) for subset in subsets(RNT)] == ["R", "N", "T", "RN", "RT", "NT", "RNT"]
    assert sorted(subset.value for subset in subsets(RNT)) == list(range(1, 8))


@pytest.mark.parametrize("subset", subsets(RNT))
def test_text_round_trips(subset: Modality) -> None:
    assert Modality.parse(str(subset)) is subset


@pytest.mark.parametrize("text", ["tn", "NT", " Tn ", "TN"])
def test_order_and_case_of_letters_do_not_matter(text: str) -> None:
    assert Modality.parse(text) is N | T


def test_iteration_is_canonical() -> None:
    assert list(Modality.parse("TRN")) == [R, N, T] == list(RNT)
    assert Modality.parse("TRN") is RNT


@pytest.mark.parametrize("text", ["", " ", "X", "RR", "RNTR", "R,N", "R N"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match="subset of sensors") as caught:
        Modality.parse(text)
    assert caught.value.valid == ("R", "N", "T", "RN", "RT", "NT", "RNT")


@pytest.mark.parametrize("sensors", [R, R | T, RNT, RNT | D, T | D], ids=str)
def test_subsets_are_all_non_empty_ones_fewest_first(sensors: Modality) -> None:
    found = subsets(sensors)
    assert len(found) == len(set(found)) == 2 ** len(sensors) - 1
    assert all(subset & ~sensors == Modality(0) for subset in found)
    assert [len(subset) for subset in found] == sorted(len(subset) for subset in found)
    pairs = ["".join(pair) for pair in combinations(str(sensors), 2)]
    assert [str(subset) for subset in found if len(subset) == 2] == pairs


def test_a_fourth_sensor_changes_nothing_of_the_three() -> None:
    assert [int(sensor.value) for sensor in (R, N, T, D)] == [1, 2, 4, 8]
    assert [subset for subset in subsets(RNT | D) if D not in subset] == list(subsets(RNT))
