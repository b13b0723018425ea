"""The frame of the command line: help, errors, exit codes."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mdreid_bench import OTHER_SYSTEM
from mdreid_bench.cli import app as application
from mdreid_bench.cli import list_command
from mdreid_bench.cli.errors import describe
from mdreid_bench.cli.values import parse_image
from mdreid_bench.config import presets
from mdreid_bench.data import registry as datasets
from mdreid_bench.errors import DataError, MdreidError, UsageError
from mdreid_bench.results.schema import Metrics
from protocols.names import UnknownNameError
from tests.cli.running import CARDS_ALONE, START, environment, in_process, mdreid_bench
from tests.report.fakes import put, study

GOLDEN = Path(__file__).parent / "golden" / "help.txt"
DATASETS = f"'msvr310'? Valid: {', '.join([*datasets.names(), 'all'])}"


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make ``mdreid-bench list suites`` raise."""

    def failing(_: object) -> None:
        raise error

    monkeypatch.setitem(list_command._SOURCES, "suites", failing)


def listed_commands(text: str) -> list[str]:
    """Return the words of the commands panel, without the frame and however it was wrapped."""
    panel = text[text.index("Commands") :]
    return re.sub(r"[^\w.,' -]", " ", panel).split()


def test_help_lists_the_commands_as_in_the_golden_file() -> None:
    expected = GOLDEN.read_text(encoding="utf-8").split()
    for columns in ("0", "1", "20", "60", "80", "200"):
        done = mdreid_bench("--help", env=environment(COLUMNS=columns))
        assert done.returncode == 0
        assert listed_commands(done.stdout) == expected


def test_without_arguments_the_help_is_shown() -> None:
    done = mdreid_bench()
    assert "Commands" in done.stdout + done.stderr


@pytest.mark.parametrize("command", application.COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    shown = CliRunner(env=environment()).invoke(application.app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"  mdreid-bench {command}" in shown.output
    assert f"mdreid-bench {command} [OPTIONS]" in shown.output.replace("\n", "")


def test_what_only_looks_things_up_answers_without_torch(tmp_path: Path) -> None:
    put(tmp_path, study(suites=["all"], seeds=(0,)))
    kinds = ("methods", "datasets", "protocols", "suites", "presets")
    calls = [["--help"], ["run", "--help"], *(["list", kind] for kind in kinds)]
    calls += [["show-config", "--method", method, "--dataset", "msvr310"] for method in ("mdreid", "top-reid")]
    formats = ["--latex", "--markdown", "--csv", "--html", "--out", str(tmp_path / "out")]
    calls += [["report", "--results", str(tmp_path), *given] for given in ([], formats)]
    code = CARDS_ALONE + (
        "import sys; from typer.testing import CliRunner; from mdreid_bench.cli.app import app\n"
        f"for call in {calls}: print(CliRunner().invoke(app, call).exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0 False"] * len(calls)


def test_a_tilde_is_expanded_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "r", study(suites=["paper-matched"], seeds=(0,)))
    (tmp_path / "mine.yaml").write_text("batch: {size: 24}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    run = CliRunner(env=environment(HOME=str(tmp_path))).invoke
    assert run(application.app, ["report", "--csv", "--results=~/r", "--out=~/tables"]).exit_code == 0
    assert (tmp_path / "tables").is_dir()
    assert run(application.app, ["merge", "~/r", "--results=~/joined"]).exit_code == 0
    assert (tmp_path / "joined").is_dir()
    config = ["show-config", "--method", "mdreid", "--dataset", "msvr310", "--config=~/mine.yaml"]
    assert "  size: 24" in run(application.app, config).stdout
    assert parse_image("D=~/depth.png")[1] == tmp_path / "depth.png"


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (("run", "--dataset", "msvr310", "--dry-run", "--data-root", ""), "--data-root"),
        (("run", "--dataset", "msvr310", "--dry-run", "--results= "), "--results"),
        (("check", "--dataset", "msvr310", "--data-root="), "--data-root"),
        (("synth", ""), "An argument"),
    ],
)
def test_nothing_is_not_the_folder_one_is_in(arguments: tuple[str, ...], called: str) -> None:
    done = CliRunner(env=environment()).invoke(application.app, list(arguments))
    why = "has no value; perhaps it was to come from a variable that is not set"
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"Error: {called} {why}.\n")


def test_version() -> None:
    done = mdreid_bench("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mdreid-bench {version('mdreid-bench')}\n", "")


def test_an_unknown_command_exits_2_and_names_the_nearest() -> None:
    done = mdreid_bench("lst")
    assert done.returncode == 2
    assert "lst" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("run --dataset msvr310 --epochs 0", "--epochs takes a whole number of at least 1, not '0'."),
        ("run --dataset msvr310 --batch-size x", "--batch-size takes a whole number of at least 1, not 'x'."),
        ("run --dataset msvr310 --limit 0", "--limit takes a whole number of at least 1, not '0'."),
        ("run --dataset msvr310 --mix x", "--mix takes a number, not 'x'."),
        ("run --dataset msvr310 --seed -1", "--seed takes a whole number from 0 to 9223372036854775807, not '-1'."),
        (
            "run --dataset msvr310 --seed 1,2,3",
            "--seed takes one number and may be repeated: --seed 1 --seed 2 --seed 3.",
        ),
        (
            "run --dataset msvr310 --precision fp8",
            "Unknown value of --precision 'fp8'. Did you mean 'fp32'? Valid: auto, fp32, bf16, fp16.",
        ),
        (
            "run --dataset msvr310 --select best",
            "Unknown value of --select 'best'. Did you mean 'best-test'? Valid: last-epoch, best-test.",
        ),
        (
            "run --dataset msvr310 --set schedule.epochs=0",
            "--set schedule.epochs=0: The configuration key schedule.epochs takes a number above 0, not 0.",
        ),
        (
            "run --dataset msvr310 --set schedule.epochs=1.5",
            "--set schedule.epochs=1.5: The configuration key schedule.epochs takes a whole number, not 1.5.",
        ),
        (
            "run --dataset msvr310 --set precision=fp8",
            "--set precision=fp8: The configuration key precision takes 'auto', 'fp32', 'bf16' or 'fp16', not 'fp8'.",
        ),
        (
            "run --dataset msvr310 --method random --set options.rol=paper",
            "--set options.rol=paper: random has no options, so options.rol cannot be set; name the method that has "
            "it with --method.",
        ),
        ("check all", "check takes options only, and 'all' is none; did you mean --dataset all?"),
        ("check --dataset msvr31 --data-root x", f"--dataset: Unknown dataset 'msvr31'. Did you mean {DATASETS}."),
        (
            "run --dataset msvr310,regdb",
            "--dataset takes one name and may be repeated: --dataset msvr310 --dataset regdb.",
        ),
        ("show-config --method mdreid --dataset msvr310,regdb", "--dataset takes one name, not 'msvr310,regdb'."),
        (
            "run --dataset msvr310 regdb",
            "run takes options only, and 'regdb' is none; did you mean --dataset regdb?",
        ),
        ("run --dataset msvr310 --seed 1 2", "run takes options only, and '2' is none; did you mean --seed 2?"),
        ("list suites x", "list takes KIND and options, and 'x' is one too many; see 'mdreid-bench list -h'."),
        ("run --dataset", "Option '--dataset' requires an argument; see 'mdreid-bench run -h'."),
        ("--dataset msvr310", "No such option: --dataset; see 'mdreid-bench -h'."),
        (
            "run --dataset msvr310 --device gpu",
            "Unknown value of --device 'gpu'. Did you mean 'cuda'? Valid: auto, cpu, cuda.",
        ),
        (
            "run --dataset msvr310 --method mdreid --batch-size 7",
            "--batch-size 7: Configuration key batch: batch.size 7 must be a multiple of batch.instances 4 and hold "
            "at least two identities.",
        ),
        (
            "run --dataset msvr310 --method mdreid --set image.size=256x128",
            "--set image.size=256x128: The configuration key image.size takes a list in brackets, such as [1, 2], "
            "not '256x128'.",
        ),
        (
            "run --dataset msvr310 --results README.md",
            "--results takes a folder, and README.md is a file; name another.",
        ),
        ("run msvr310", "run takes options only, and 'msvr310' is none; did you mean --dataset msvr310?"),
        ("run mdreid", "run takes options only, and 'mdreid' is none; did you mean --method mdreid?"),
        ("run R-to-NT", "run takes options only, and 'R-to-NT' is none; did you mean --protocol R-to-NT?"),
        (
            "report x",
            "report takes options only, and 'x' is none; see 'mdreid-bench report -h'.",
        ),
        ("run", "Missing option '--dataset'; see 'mdreid-bench run -h'."),
        ("run --dataset msvr310 --zzz", "No such option: --zzz; see 'mdreid-bench run -h'."),
        ("lst", "No such command 'lst'. Did you mean 'list'?"),
        ("search i --top 0", "--top takes a whole number of at least 1, not '0'."),
        ("synth d --seed -3", "--seed takes a whole number of at least 0, not '-3'."),
    ],
)
def test_every_misuse_gets_one_sentence_that_names_what_was_typed(arguments: str, sentence: str) -> None:
    done = in_process(*arguments.split(), env=environment())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"Error: {sentence}\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("RGB-to-NIR", "R-to-N"),
        ("R2NT", "R-to-NT"),
        ("rgb+tir-to-nir", "RT-to-N"),
        ("R->T", "R-to-T"),
        ("visible to thermal", "R-to-T"),
    ],
)
def test_a_protocol_in_other_words_is_understood_well_enough_to_ask(typed: str, meant: str) -> None:
    done = in_process("run", "--dataset", "msvr310", "--protocol", typed, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"Error: --protocol: Unknown protocol or suite {typed!r}. Did you mean {meant!r}? Valid: "
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("run --dataset msvr310 --method clip", "--method: Unknown method 'clip'. Did you mean 'clip-zero-shot'?"),
        (
            "show-config --dataset msvr310 --method mdreid --set epochs=3",
            "--set: Unknown configuration key 'epochs'. Did you mean 'schedule.epochs'?",
        ),
        (
            "run --dataset msvr310 --corrupt fog-3 --corrupt-side all",
            "Unknown value of --corrupt-side 'all'. Did you",
        ),
        (
            "score --run x --results /nowhere",
            "--run: Unknown run 'x'. Valid: none, because /nowhere/runs holds no runs",
        ),
        ("check --dataset msvr310 --data-root /nowhere", "--data-root: No MSVR310 in /nowhere: expected MSVR310/"),
    ],
)
def test_an_error_begins_with_its_option_and_what_was_probably_meant(arguments: str, told: str) -> None:
    done = in_process(*arguments.split(), env=environment())
    assert done.returncode in (2, 3)
    assert done.stderr.splitlines()[-1].startswith(f"Error: {told}")


@pytest.mark.parametrize("arguments", [("-h",), ("run", "-h"), ("list", "-h")])
def test_the_short_flag_shows_help_too(arguments: tuple[str, ...]) -> None:
    short, long = (in_process(*arguments[:-1], flag, env=environment()).stdout for flag in (arguments[-1], "--help"))
    assert short == long
    assert "Usage:" in short


def test_help_shows_what_an_option_takes() -> None:
    shown = " ".join(in_process("run", "-h", env=environment(COLUMNS="200")).stdout.split())
    for choices in ("[auto|cpu|cuda]", "[stop|skip]", "[standard|trapezoid]", *datasets.names(), *presets.names()):
        assert choices in shown, choices


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in in_process("-h", env=environment()).stdout


def test_an_unknown_option_exits_2() -> None:
    assert mdreid_bench("list", "suites", "--colour").returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("Batch size 5 is odd."), 2),
        (DataError("There is no folder."), 3),
        (MdreidError("It failed."), 1),
        (UnknownNameError("protocol", "x", ["R-to-N"]), 2),
        (PermissionError(13, "Permission denied", "/data/x"), 3),
        (OSError(errno.ENOSPC, "No space left on device"), 3),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1),
        (MemoryError(), 1),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), 1),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_expected_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    fail_with(monkeypatch, error)
    done = CliRunner(env=environment()).invoke(application.app, ["list", "suites"])
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "should not happen" not in done.stderr


def test_a_bug_is_one_line_that_tells_how_to_see_more(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    done = CliRunner(env=environment()).invoke(application.app, ["list", "suites"])
    assert done.exit_code == 1
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert "MDREID_DEBUG=1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "extra"), [(["--debug"], {}), ([], {"MDREID_DEBUG": "1"})])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], extra: dict[str, str]
) -> None:
    fail_with(monkeypatch, DataError("There is no folder."))
    done = CliRunner(env=environment(**extra)).invoke(application.app, [*arguments, "list", "suites"])
    assert done.exit_code == 3
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("Error: There is no folder.\n")


def test_an_invalid_value_names_its_field() -> None:
    with pytest.raises(ValueError, match="mAP") as caught:
        Metrics(mAP=2, rank1=0, rank5=0, rank10=0, mINP=0)
    failure = describe(caught.value)
    assert failure is not None
    assert failure.exit_code == 2
    assert failure.message.startswith("Invalid value for Metrics mAP: ")


@pytest.mark.parametrize("error", [typer.Exit(4), typer.Abort(), BrokenPipeError()])
def test_errors_of_the_command_line_library_are_left_to_it(error: BaseException) -> None:
    assert describe(error) is None


def bare(*arguments: str, **env: str) -> "subprocess.CompletedProcess[bytes]":
    """Run ``mdreid-bench`` whose output may be in any encoding."""
    command = [sys.executable, "-c", START, *arguments]
    return subprocess.run(command, env=environment(**env), capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "env",
    [
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.slow),
        pytest.param({"PYTHONIOENCODING": "latin-1"}, marks=pytest.mark.slow),
        {"PYTHONIOENCODING": "", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_an_encoding_lacks_is_spelt(tmp_path: Path, env: dict[str, str]) -> None:
    put(tmp_path, study(suites=["paper-matched"], seeds=(0, 1)))
    shown = bare("report", "--results", str(tmp_path), **env)
    assert (shown.returncode, b"65.1 +- 2.4" in shown.stdout or b"65.1 \xb1 2.4" in shown.stdout) == (0, True)
    written = bare("report", "--results", str(tmp_path), "--csv", "--out", str(tmp_path / "日"), **env)
    assert written.returncode == 0
    assert written.stdout.isascii()
    refused = bare("list", "日", **env)
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"Error: Unknown list '\\u")


def test_json_is_json_in_any_encoding() -> None:
    code = "from mdreid_bench.cli.console import Console, ready_streams; ready_streams(); Console().json(['日±'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(PYTHONIOENCODING="ascii"), capture_output=True, check=True)
    assert json.loads(done.stdout) == ["日±"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "suites"),
        pytest.param(("list", "suites", "--json"), marks=pytest.mark.slow),
        pytest.param(("--version",), marks=pytest.mark.slow),
        pytest.param(("--help",), marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_at_the_output_is_one_sentence(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", START, *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        deaf = subprocess.run(command, env=environment(), stdout=full, stderr=full, check=False)
    assert (done.returncode, deaf.returncode) == (3, 3)
    assert done.stderr == "Error: The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "suites"),
        pytest.param(("list", "suites", "--json"), marks=pytest.mark.slow),
        pytest.param(("--version",), marks=pytest.mark.slow),
    ],
)
def test_a_reader_that_has_gone_is_no_error_to_speak_of(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", START, *arguments], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


@pytest.mark.parametrize("moment", ["import", "end"])
def test_a_signal_during_imports_or_at_the_end_leaves_no_traceback(tmp_path: Path, moment: str) -> None:
    (tmp_path / "stopping.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    code = {
        "import": "from mdreid_bench.cli import list_command; list_command._SOURCES['suites'] = lambda _: "
        f"__import__('stopping'); {START}",
        "end": f"import atexit; atexit.register(lambda: __import__('stopping')); {START}",
    }[moment]
    extended = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    command = [sys.executable, "-c", code, "list", "suites"]
    done = subprocess.run(command, env=extended, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")


def test_a_signal_during_imports_leaves_no_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "stopping.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    code = (
        "from pathlib import Path; from mdreid_bench.cli.errors import heed_signals; "
        "from mdreid_bench.results.storage.temporary import temporary_beside\nheed_signals()\n"
        f"with temporary_beside(Path({str(tmp_path)!r}) / 'images', folder=True) as made: "
        "(made / 'one.jpg').touch(); import stopping"
    )
    extended = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    done = subprocess.run([sys.executable, "-c", code], env=extended, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert list(tmp_path.glob(".*")) == []


LACKING = """
import os, signal, sys
sys.modules["fcntl"] = None
for owner, name in ((os, "fork"), (os, "register_at_fork"), (os, "O_CLOEXEC"), (os, "sync"), (signal, "SIGHUP")):
    delattr(owner, name)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "--dataset", "msvr310"),
        pytest.param(("--version",), marks=pytest.mark.slow),
        pytest.param((), marks=pytest.mark.slow),
    ],
)
def test_a_system_without_what_is_needed_is_told_so_and_no_more(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "sitecustomize.py").write_text(LACKING)
    path = os.pathsep.join((str(tmp_path), *sys.path))
    for start in (["-c", START], ["-m", "mdreid_bench"]):
        command = [sys.executable, *start, *arguments]
        done = subprocess.run(command, env=environment(PYTHONPATH=path), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{OTHER_SYSTEM}\n")
    code = "import mdreid_bench; mdreid_bench.load_method"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(PYTHONPATH=path), capture_output=True, text=True, check=False)
    assert done.stderr.endswith(f"ImportError: {OTHER_SYSTEM}\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with pipes")
def test_a_closed_pipe_is_quiet() -> None:
    command = f'"{sys.executable}" -c "{START}" list protocols --json | head -c 1'
    done = subprocess.run(["sh", "-c", command], env=environment(), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[", "")
