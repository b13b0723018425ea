import pytest

from protocols.names import UnknownNameError, closest


def test_message_names_value_nearest_match_and_all_valid() -> None:
    error = UnknownNameError("method", "mdried", ["mdreid", "top-reid"])
    assert str(error) == "Unknown method 'mdried'. Did you mean 'mdreid'? Valid: mdreid, top-reid."
    assert (error.kind, error.value, error.valid) == ("method", "mdried", ("mdreid", "top-reid"))


def test_message_can_show_less_than_it_searches() -> None:
    error = UnknownNameError("word", "abd", ["abc", "xyz"], shown=["three letters"])
    assert str(error) == "Unknown word 'abd'. Did you mean 'abc'? Valid: three letters."


def test_nothing_near_gives_no_question() -> None:
    assert str(UnknownNameError("method", "qqq", ["mdreid"])) == "Unknown method 'qqq'. Valid: mdreid."


@pytest.mark.parametrize(("value", "found"), [("MDREID", "MDReID"), ("mdreed", "MDReID"), ("zzz", None), ("", None)])
def test_closest_ignores_case(value: str, found: str | None) -> None:
    assert closest(value, ["MDReID", "top-reid"]) == found
