"""What is printed where: results to stdout, all else to stderr, plain when there is no terminal."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdreid_bench.cli.console import PIPE_WIDTH, Console
from mdreid_bench.cli.sparse import RunsAhead, SparseTask
from mdreid_bench.cli.values import chosen
from mdreid_bench.progress import Reporter
from mdreid_bench.report.table import Column, Number, Table
from mdreid_bench.wording import duration
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
    times = clock(0, 1, 10, 11, 18, 22)
    console = Console(lambda: next(times))
    with console.track("train", 4) as step:
        step(note="id 1.0")  # at 1 s: too soon for a line
        step(note="id 0.9")  # at 10 s: a line, half done in 10 s
        step()  # at 11 s: too soon
        step()  # at 18 s: done, the last line follows
    assert capsys.readouterr().err.splitlines() == [
        "train: 2/4, 10 s left, id 0.9",
        "train: 4/4, took 22 s, id 0.9",
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


def test_a_pipe_gets_a_line_every_tenth_or_half_a_minute(capsys: Captured) -> None:
    times = clock(0, *range(2, 202, 2), 200)
    with Console(lambda: next(times)).track("train", 1000) as step:
        for number in range(100):
            step(20 if number < 50 else 0)
    lines = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    # a hundredth a second, until nothing more is done after 100 s
    assert lines == [*(f"train: {count}/1000" for count in range(100, 1000, 100)), "train: 1000/1000"]


@pytest.mark.parametrize("seconds", [0.5, 3, 9, 40, 70, 200, 1000, 20_000])
@pytest.mark.parametrize("total", [1, 7, 120, 1000])
def test_no_pipe_gets_more_than_a_line_a_tenth_or_half_a_minute(capsys: Captured, seconds: float, total: int) -> None:
    now = [0.0]
    with Console(lambda: now[0]).track("train", total) as step:
        for number in range(total):
            now[0] = seconds * (number + 1) / total
            step()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 1 + min(seconds // 10, 9 + seconds // 30)
    assert len(lines) >= min(seconds // 30, total, 1)


def test_many_short_runs_are_not_announced_one_by_one_in_a_pipe(capsys: Captured) -> None:
    now = [0.0]
    console = Console(lambda: now[0])
    with console.runs(200) as begin:
        for number in range(200):
            begin(f"run {number}")
            with console.track("training", 10) as step, console.track("inner", 10) as inner:
                for _ in range(10):
                    now[0] += 0.4
                    inner()
                    step()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["Run 1 of 200", "Run 9 of 200", "Run 17 of 200"]
    assert len(lines) == 25  # in 800 s, one for every 32 s


def test_a_slow_task_writes_every_half_minute(capsys: Captured) -> None:
    times = clock(0, *range(10, 100, 10), 90)
    with Console(lambda: next(times)).track("train", 1000) as step:
        for _ in range(9):
            step()
    starts = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert starts == ["train: 3/1000", "train: 6/1000", "train: 9/1000", "train: 9/1000"]


def test_each_run_is_announced_with_the_time_left_for_all(capsys: Captured) -> None:
    times = clock(0, 0, 60, 60, 180, 180)
    console = Console(lambda: next(times))
    with console.runs(3) as begin:
        for label in ("MDReID on MSVR310, seed 1", "MDReID on MSVR310, seed 2", "MDReID on MSVR310, seed 3"):
            begin(label)
    assert capsys.readouterr().err.splitlines() == [
        "Run 1 of 3: MDReID on MSVR310, seed 1.",
        "Run 2 of 3: MDReID on MSVR310, seed 2; about 2 min 00 s left for all.",
        "Run 3 of 3: MDReID on MSVR310, seed 3; about 1 min 30 s left for all.",
    ]


def test_in_the_first_run_its_task_tells_the_time_left_for_all() -> None:
    times = clock(0, 0, 10, 10)
    ahead = RunsAhead(4, lambda: 10.0)
    ahead.begin("x")
    task = SparseTask("train", 100, lambda line: None, lambda: next(times))
    assert ahead.headline(task) == "Run 1 of 4: x"
    task.step(20)  # in 0 s, which promises nothing
    task.step(30)  # half of it in 10 s, so 20 s for each of four runs, of which none of the first is over
    assert ahead.headline(task) == "Run 1 of 4: x; about 1 min 20 s left for all"


LOSSES = "identity 3.2101, triplet 0.3122, orthogonality 0.6667, discrepancy 5.2511, rate 1e-03"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 160, 200])
def test_bar_count_and_time_stay_however_long_the_losses_are(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    console = Console()
    with console.runs(12) as begin:
        begin("MDL + ROL + KDL, MDReID on RGBNT201, seed 3")
        with console.track("training mdreid on rgbnt201", 1234) as step:
            step(617, note=LOSSES)
            assert console._progress is not None
            console._progress.refresh()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    drawn = [line for part in plain.split("\r") for line in part.splitlines()]
    headlines = [line for line in drawn if line.startswith("Run 1 of 12: MDL + ROL + KDL, MDReID")]
    bars = [line for line in drawn if line.startswith("training mdreid on rgbnt201") and "617/1234" in line]
    assert headlines
    assert bars
    assert all("━" * 3 in line and re.search(r"-:--|\d\d:\d\d", line) for line in bars)
    assert all(len(line) <= width for line in bars)
    assert any(LOSSES in line for line in bars) == (width >= 160)


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
