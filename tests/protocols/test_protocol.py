import numpy as np
import pytest

from protocols.modality import RNT, D, Modality, N, R, T
from protocols.names import UnknownNameError
from protocols.protocol import Protocol, protocols_of


def test_there_are_49_with_distinct_names() -> None:
    assert len({str(protocol) for protocol in protocols_of(RNT)}) == len(set(protocols_of(RNT))) == 49


@pytest.mark.parametrize("protocol", protocols_of(RNT), ids=str)
def test_text_round_trips(protocol: Protocol) -> None:
    assert Protocol.parse(str(protocol)) == protocol
    assert Protocol.parse(str(protocol).lower()) == protocol


def test_sides_are_not_exchangeable() -> None:
    forth, back = Protocol.parse("R-to-NT"), Protocol.parse("NT-to-R")
    assert forth == Protocol(R, N | T)
    assert back == Protocol(N | T, R)
    assert forth != back
    assert str(forth) == "R-to-NT"


@pytest.mark.parametrize("text", ["r-to-tn", "R-TO-NT", " R-to-TN ", "r-To-nT"])
def test_order_and_case_of_letters_do_not_matter(text: str) -> None:
    assert str(Protocol.parse(text)) == "R-to-NT"


@pytest.mark.parametrize("text", ["", "R", "R-to-", "-to-R", "R-NT", "R-to-N-to-T", "R-to-X", "RR-to-N", "R to N"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match="protocol"):
        Protocol.parse(text)


def test_nearest_match_is_offered() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'R-to-NT'\?"):
        Protocol.parse("R-to-NTT")


def test_empty_side_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sensor"):
        Protocol(R, Modality(0))


def test_matched_means_equal_sides() -> None:
    assert Protocol(R | T, T | R).matched
    assert not Protocol(R, T).matched


def test_every_item_of_a_side_has_the_sensors_of_that_side() -> None:
    protocol = Protocol(R, N | T)
    np.testing.assert_array_equal(protocol.subsets("query", ["a", "b"]), np.array([1, 1], dtype=np.uint8))
    np.testing.assert_array_equal(protocol.subsets("gallery", ["a", "b", "c"]), [6, 6, 6])
    assert protocol.subsets("gallery", []).dtype == np.uint8


def test_a_dataset_must_have_the_sensors_of_both_sides() -> None:
    assert Protocol(R, N | T).needs is RNT
    assert Protocol(T, T).needs is T


def test_protocols_follow_the_sensors() -> None:
    assert len(protocols_of(R | T)) == 9
    assert len(protocols_of(RNT | D)) == 225
    assert [p for p in protocols_of(RNT | D) if D not in p.needs] == list(protocols_of(RNT))
