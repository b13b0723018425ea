"""Pieces of messages."""

from mdreid_bench.wording import counted, listed, printable


def test_what_could_steer_a_terminal_is_escaped_and_the_rest_kept() -> None:
    assert printable("é λ\x1b[31m\n\u202e\udcff\x9b") == r"é λ\x1b[31m\n\u202e\udcff\x9b"


def test_lists_say_how_much_they_leave_out() -> None:
    names = [str(number) for number in range(12)]
    assert listed(names[:2]) == "0, 1"
    assert listed(names, 3) == "0, 1, 2 and 9 more"
    assert listed(names, 11, "; ").endswith("9; 10; and 1 more")


def test_numbers_have_their_noun() -> None:
    assert [counted(number, "fault") for number in (0, 1, 2)] == ["0 faults", "1 fault", "2 faults"]
