"""The checks of a GPU work, as far as that can be seen without one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from mdreid_bench.processes.device import pick_device
from mdreid_bench.testing import METHOD_CHECKS
from tests.cli.running import environment
from tests.gpu import check, methods, processes
from tests.gpu.check import GROUPS, NOT_RUN, apart, main, page, perform
from tests.gpu.frame import TINY, Bench, Line, Sizes, chosen, required

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
PRETENDING = (
    "import torch\ntorch.cuda.is_available = lambda: True\ntorch.cuda.device_count = lambda: 1\n"
    "from mdreid_bench.cli.app import main\nmain()\n"
)
"""The command line on a machine that claims to have one card."""


def here(group: str, arguments: Sequence[str], sizes: Sizes, seconds: float) -> list[Line]:
    """Perform a group in this process, which spares the start of another."""
    folder = Path(arguments[-1]) / group
    folder.mkdir()
    return [line for _, line in perform(GROUPS[group](sizes), Bench(CPU, sizes, folder))]


def test_the_whole_script_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(check, "apart", lambda group, _, *rest: here(group, [str(tmp_path)], *rest))
    monkeypatch.setattr(methods, "METHOD_CHECKS", METHOD_CHECKS[:2])
    monkeypatch.setattr(processes, "checks", lambda: (("two processes on one card", processes.shared),))
    written = tmp_path / "page.md"
    code = main(["--device", "cpu", "--tiny", "--page", str(written)])
    text = written.read_text(encoding="utf-8")
    assert text.startswith("# Performance on a GPU\n\nMade by `make gpu-check`")
    assert "no GPU: the figures mean nothing" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert {row[3] for row in rows[1:]} <= {"pass", "FAIL", "measured", ":---", "---"}
    assert not [row for row in rows if "Error" in row[1]]
    assert code == (1 if any(row[3] == "FAIL" for row in rows) else 0)
    found = " ".join(row[0] for row in rows)
    for what in (
        *("peak of the card", "extraction, batch of 1 triplets, bf16", "against its trunk alone", "image pipeline"),
        *("contract of mdreid", "vectors of mdreid, fp16", "training step of mdreid, bf16", "TF32", "layout"),
        *("memory of a batch", "4 batches handed over", "type of the pixels", "two processes on one card"),
    ):
        assert what in found
    verdicts = {row[0].partition(":")[0]: row[3] for row in rows}
    assert verdicts["contract of mdreid, fp32"] == verdicts["training step of mdreid, fp16"] == "pass"
    assert str(written) in capsys.readouterr().out


def test_without_a_gpu_it_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--page", str(tmp_path / "page.md")]) == 0
    said = capsys.readouterr()
    assert " ".join((said.out + said.err).split()) == (
        "There is no CUDA device that torch can use here, so nothing was checked and no page written."
    )
    assert not list(tmp_path.iterdir())


def broken(bench: Bench) -> Iterator[Line]:
    yield Line("before", "found")
    raise ValueError("\nThe card is on fire.\nTraceback")


def test_a_check_that_raises_is_a_line_that_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    fine = ("fine", lambda _: [Line("after", "found")])
    lines = [line for _, line in perform([("broken", broken), fine], Bench(CPU, TINY, tmp_path))]
    assert [line.what for line in lines] == ["before", "broken", "after"]
    assert re.fullmatch(r"ValueError in test_check.py:\d+: The card is on fire\.", lines[1].measured)
    assert [line.verdict for line in lines] == ["measured", "FAIL", "measured"]


def test_what_there_is_no_time_for_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, _ in GROUPS["speed"](TINY)]
    assert [(line.what, line.measured) for line in apart("speed", (), TINY, 0.5)] == [
        (name, NOT_RUN) for name in names
    ]
    start = time.monotonic()
    late = apart("speed", ("--device", "cpu", "--tiny"), TINY, 1.0)
    assert time.monotonic() - start < 20
    assert late[0].measured == "ended after 1 s"
    assert all(line.verdict == "FAIL" for line in late)
    assert [line.what for line in late[1:]] == names


def test_an_interrupt_ends_it_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> list[Line]:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "apart", interrupted)
    assert main(["--device", "cpu", "--tiny"]) == 130


def test_an_unknown_group_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["sped"])
    assert end.value.code == 2
    assert "there is no group 'sped'; the groups are speed, methods" in capsys.readouterr().err


def test_limits_and_choices() -> None:
    assert required("x", 1.1, 1.1, "times").verdict == "pass"
    assert required("x", 1.2, 1.1, "times") == Line("x", "1.2 times", "at most 1.1 times", "FAIL")
    assert required("x", 0.44, 0.45, least=True, more="2 GiB") == Line("x", "0.44, 2 GiB", "at least 0.45", "FAIL")
    assert chosen("x", {"a": 1.04, "b": 1.0}, "a").verdict == "pass"
    assert chosen("x", {"a": 1.06, "b": 1.0}, "a").verdict == "FAIL"


def test_the_page_counts_what_failed() -> None:
    text = page([Line("a", "1", "2", "FAIL"), Line("b", "1")], CPU, 61.2)
    assert "2 lines in 61 s, 1 of which failed." in text
    assert re.search(r"^\| a +\| 1 +\| 2 +\| FAIL +\|$", text, re.MULTILINE)


def test_single_precision_is_what_its_name_says_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert pick_device("cpu").type == "cpu"
    assert torch.backends.cudnn.allow_tf32
    assert pick_device("auto").type == "cuda"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.slow
def test_runs_are_killed_and_go_on_and_two_are_kept_off_one_card(tmp_path: Path) -> None:
    for name in ("killed", "shared"):
        (tmp_path / name).mkdir()
    (line,) = processes.killed(Bench(CPU, Sizes(epochs=8), tmp_path / "killed"))
    assert (line.measured, line.verdict) == ("the same bytes", "pass")
    bench = Bench(torch.device("cuda"), TINY, tmp_path / "shared")
    program = tmp_path / "pretending.py"
    program.write_text(PRETENDING, encoding="utf-8")
    (line,) = processes.shared(bench, (str(program),))
    assert (line.measured, line.verdict) == ("refused with advice, exit 2", "pass")


@pytest.mark.slow
def test_the_script_as_it_is_called(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu.check", "--device", "cpu", "--tiny", "--page", str(tmp_path / "p.md")]
    own = environment(MDREID_CACHE=str(tmp_path / "cache"))
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=480, check=False)
    assert done.returncode in (0, 1), done.stderr
    text = (tmp_path / "p.md").read_text(encoding="utf-8")
    assert "Error" not in text
    assert NOT_RUN not in text
    assert "the same bytes" in text


@pytest.mark.slow
def test_a_real_interrupt_ends_what_was_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.gpu.check", "speed", "--device", "cpu"]
    job = subprocess.Popen(command, cwd=ROOT, env=environment(TMPDIR=str(tmp_path)), start_new_session=True)
    children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
    while not (started := children.read_text().split()):
        time.sleep(0.05)
    job.send_signal(signal.SIGINT)
    assert job.wait(20) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(started[0]), 0)
