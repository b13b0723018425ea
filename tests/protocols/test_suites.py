import pytest

from protocols.mixed import MixedAvailability
from protocols.modality import RNT, D, R, T
from protocols.names import UnknownNameError
from protocols.protocol import Protocol, protocols_of
from protocols.suites import SUITES, resolve, suite


def names(name: str) -> list[str]:
    return [str(protocol) for protocol in suite(name)]


def test_suites_and_their_sizes() -> None:
    sizes = {
        "all": 49,
        "matched": 7,
        "mismatched": 42,
        "missing": 6,
        "paper-matched": 1,
        "paper-mismatched": 4,
        "overview": 5,
        "ablation": 6,
    }
    assert {name: len(set(suite(name))) for name in SUITES if name in sizes} == sizes


def test_members_in_the_order_of_the_paper() -> None:
    assert names("missing") == ["R-to-R", "N-to-N", "T-to-T", "RN-to-RN", "RT-to-RT", "NT-to-NT"]
    assert names("paper-matched") == ["RNT-to-RNT"]
    assert names("paper-mismatched") == ["RT-to-NT", "RT-to-N", "R-to-N", "R-to-NT"]
    assert names("ablation") == ["RNT-to-RNT", "RT-to-RT", "RT-to-NT", "RT-to-N", "R-to-N", "R-to-NT"]


def test_matched_and_mismatched_split_all() -> None:
    assert set(suite("matched")) | set(suite("mismatched")) == set(suite("all"))
    assert not set(suite("matched")) & set(suite("mismatched"))


def test_suites_follow_the_sensors_of_a_dataset() -> None:
    assert [str(protocol) for protocol in suite("matched", R | T)] == ["R-to-R", "T-to-T", "RT-to-RT"]
    assert [str(protocol) for protocol in suite("missing", R | T)] == ["R-to-R", "T-to-T"]
    assert [len(suite(name, RNT | D)) for name in ("all", "matched", "missing")] == [225, 15, 14]
    assert len(resolve(["all", "R-to-D"], R | T)) == 9 + 1


def test_suites_of_the_paper_are_the_same_for_all_sensors() -> None:
    for name in ("paper-matched", "paper-mismatched", "ablation"):
        assert suite(name, R | T) == suite(name, RNT | D) == suite(name)


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'matched'"):
        suite("machted")


def test_resolve_keeps_order_and_drops_repeats() -> None:
    found = resolve(["nt-to-r", "mixed-0.3", "Paper-Mismatched", "R-to-N", "MIXED"])
    assert [str(setting) for setting in found] == [
        "NT-to-R",
        "mixed-0.3-s0",
        "RT-to-NT",
        "RT-to-N",
        "R-to-N",
        "R-to-NT",
        "mixed-0.5-s0",
    ]


def test_resolve_all_with_members_is_all() -> None:
    assert resolve(["all", "matched", "R-to-NT"]) == protocols_of(RNT)
    assert resolve([]) == ()


def test_unknown_name_lists_suites_examples_and_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        resolve(["R-to-N", "R-to-NX"])
    message = str(caught.value)
    assert "Did you mean 'R-to-N" in message
    assert all(name in message for name in SUITES)
    assert "RNT-to-RNT" in message
    assert len(message) < 300


@pytest.mark.parametrize(("wrong", "right"), [("ablatoin", "ablation"), ("paper-missmatched", "paper-mismatched")])
def test_misspelt_suite_gets_the_suite(wrong: str, right: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{right}'"):
        resolve([wrong])


@pytest.mark.parametrize("text", ["R-to-NT", "mixed-0.3-s7"])
def test_resolve_inverts_str(text: str) -> None:
    (setting,) = resolve([text])
    assert str(setting) == text


def test_settings_share_one_interface() -> None:
    for setting in (Protocol.parse("R-to-NT"), MixedAvailability()):
        assert setting.subsets("query", ["a", "b"]).shape == (2,)
