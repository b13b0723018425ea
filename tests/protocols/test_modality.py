import pytest

from protocols.modality import ALL_MODALITIES, SINGLES, SUBSETS, Modality, N, R, T
from protocols.names import UnknownNameError


def test_the_seven_subsets_are_distinct_and_ordered() -> None:
    assert [str(subset) for subset in SUBSETS] == ["R", "N", "T", "RN", "RT", "NT", "RNT"]
    assert sorted(subset.value for subset in SUBSETS) == list(range(1, 8))


@pytest.mark.parametrize("subset", SUBSETS)
def test_text_round_trips(subset: Modality) -> None:
    assert Modality.parse(str(subset)) is subset


@pytest.mark.parametrize("text", ["tn", "NT", " Tn ", "TN"])
def test_order_and_case_of_letters_do_not_matter(text: str) -> None:
    assert Modality.parse(text) is N | T


def test_iteration_is_canonical() -> None:
    assert list(Modality.parse("TRN")) == [R, N, T] == list(SINGLES)
    assert Modality.parse("TRN") is ALL_MODALITIES


@pytest.mark.parametrize("text", ["", " ", "X", "RR", "RNTR", "R,N", "R N"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match="modality subset") as caught:
        Modality.parse(text)
    assert caught.value.valid == ("R", "N", "T", "RN", "RT", "NT", "RNT")
