"""What is printed where: results to stdout, all else to stderr, plain when there is no terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdreid_bench.cli.console import PIPE_WIDTH, Console
from mdreid_bench.cli.sparse import duration
from mdreid_bench.cli.values import chosen
from mdreid_bench.progress import Reporter
from mdreid_bench.report.table import Column, Number, Table
from protocols.names import UnknownNameError

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def clock(*times: float) -> Iterator[float]:
    return iter(times)


def test_messages_go_to_stderr_as_typed(capsys: Captured) -> None:
    console: Reporter = Console()
    console.message("[bold]x[/bold] :smile:" + " word" * 60)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "[bold]x[/bold] :smile:" + " word" * 60 + "\n"


def test_warnings_and_errors_are_labelled_and_cannot_steer_the_terminal(capsys: Captured) -> None:
    Console().warn("careful\x1b[31m")
    Console().error("two\nlines")
    assert capsys.readouterr().err == "Warning: careful\\x1b[31m\nError: two\\nlines\n"


def test_results_and_json_go_to_stdout_unwrapped(capsys: Captured) -> None:
    path = Path("x" * 300)
    Console().result(path)
    Console().json({"[red]": ["y" * 300, 0.5]})
    captured = capsys.readouterr()
    first, _, rest = captured.out.partition("\n")
    assert first == str(path)
    assert json.loads(rest) == {"[red]": ["y" * 300, 0.5]}
    assert captured.err == ""


def test_a_wide_table_is_not_cut_where_it_is_piped(capsys: Captured) -> None:
    columns = tuple(Column(f"column{i}", numeric=True) for i in range(40))
    Console().table(Table("t", columns, (tuple(Number(10.0 + i) for i in range(40)),)))
    out = capsys.readouterr().out
    assert all(f"{10 + i}.0" in out and f"column{i}" in out for i in range(40))
    assert "…" not in out
    assert max(map(len, out.splitlines())) > PIPE_WIDTH


def test_prose_wraps_at_120_columns_in_a_pipe_but_cells_do_not(capsys: Captured) -> None:
    Console().table(Table("t", (Column("a"),), (("x",),), caption="word " * 60))
    Console().table(Table("t", (Column("a"),), (("cell " * 60,),)))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert ("word " * (PIPE_WIDTH // 5)).strip() in lines
    assert ("cell " * 60).strip() in lines


def test_nothing_is_cut_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    number = Number(40.0, interval=(35.0, 45.0))
    columns = (Column("method"), *(Column(f"c{i}", numeric=True) for i in range(3)))
    Console().table(Table("t", columns, (("a-method-with-a-long-name", number, number, number),)))
    out = capsys.readouterr().out
    assert "…" not in out
    assert (out.count("40.0"), out.count("[35.0, 45.0]")) == (3, 0)
    assert "Spread and interval are left out" in out


@pytest.mark.parametrize("width", ["0", "1", "20"])
def test_every_cell_is_there_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, width: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    columns = tuple(Column(f"c{i}", numeric=True) for i in range(12))
    Console().table(Table("t", columns, (tuple(map(str, range(10, 22))),)))
    out = capsys.readouterr().out
    assert all(str(i) in out for i in range(10, 22))


def test_progress_off_a_terminal_is_a_line_now_and_then(capsys: Captured) -> None:
    times = clock(0, 1, 5, 6, 8, 12)
    console = Console(lambda: next(times))
    with console.track("train", 4) as step:
        step(note="id 1.0")  # at 1 s: too soon for a line
        step(note="id 0.9")  # at 5 s: a line, half done in 5 s
        step()  # at 6 s: too soon
        step()  # at 8 s: done, the last line follows
    assert capsys.readouterr().err.splitlines() == [
        "train: 2/4, 5 s left, id 0.9",
        "train: 4/4, took 12 s, id 0.9",
    ]


def test_a_task_of_an_instant_prints_nothing(capsys: Captured) -> None:
    times = clock(0, 0.5, 1)
    with Console(lambda: next(times)).track("quick", 1) as step:
        step()
    assert capsys.readouterr() == ("", "")


def test_a_task_that_fails_does_not_claim_to_have_ended(capsys: Captured) -> None:
    times = clock(0, 10, 20)
    console = Console(lambda: next(times))

    def fail() -> None:
        with console.track("train", 2) as step:
            step()
            raise RuntimeError("x")

    with pytest.raises(RuntimeError, match="x"):
        fail()
    assert capsys.readouterr().err == "train: 1/2, 10 s left\n"


def test_a_terminal_gets_bars_and_keeps_a_line_of_each_longer_task(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    times = clock(0, 0, 50, 60, 70, 71)  # both start at 0, then inner step, outer step, inner end, outer end
    console = Console(lambda: next(times))
    with console.track("outer", 2) as outer, console.track("inner", 3) as inner:
        inner(2, note="id [1.0]")
        outer()
        console.message("between")
    shown = capsys.readouterr().err
    assert "0/2" in shown
    assert "0/3" in shown
    lines = [line.rpartition("\x1b[2K")[2].strip() for line in shown.splitlines()]
    kept = [line for line in lines if line in ("between", "inner: 2/3, took 1 min 10 s, id [1.0]")]
    assert len(kept) == 2
    assert shown.endswith("outer: 1/2, took 1 min 11 s\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600, "1 h 00 min"),
        (7805, "2 h 10 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_names_are_chosen_in_order_once_and_in_any_case() -> None:
    valid = ["a", "b", "c"]
    assert chosen(["C", "a", "c"], valid, "letter") == ["c", "a"]
    assert chosen(["b", "all"], valid, "letter") == ["b", "a", "c"]
    assert chosen(["mynet", "OTHER"], ["MyNet", "other"], "method") == ["MyNet", "other"]
    assert chosen(["ab", "AB"], ["AB", "ab"], "method") == ["ab", "AB"]
    with pytest.raises(UnknownNameError, match=r"Unknown letter 'd'.*Valid: a, b, c, all\."):
        chosen(["d"], valid, "letter")
