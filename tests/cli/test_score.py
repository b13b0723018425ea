"""``mdreid-bench score`` on runs whose images are gone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mdreid_bench.cli.values import parse_size, with_mix
from mdreid_bench.errors import UsageError
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.storage.lock import attempt
from mdreid_bench.results.storage.temporary import _boot
from mdreid_bench.results.store import load_record
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint
from protocols.mixed import MixedAvailability
from protocols.suites import resolve
from tests.cli.conftest import METHODS, QUICK, Trained
from tests.cli.running import START

RUN = "msvr310-mdreid-tiny-s1"
CELLS = ("--protocol", "R-to-NT", "--protocol", "N-to-R")


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Trained:
    """The trained runs in a results folder of the test's own."""
    shutil.copytree(trained.results, tmp_path / "results")
    return Trained(tmp_path / "results", trained.images, trained.environment)


def _run(copied: Trained) -> tuple[str, ...]:
    """Return the command that trained the run, with the images where they are now."""
    data = ("--dataset", "msvr310", "--data-root", str(copied.images))
    return ("run", *data, "--method", "mdreid", "--seed", "1", *QUICK)


def test_mixed_is_scored_with_the_image_folder_moved_away(copied: Trained) -> None:
    done = copied.call("score", "--run", RUN, "--protocol", "mixed")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path == copied.folder("mdreid") / "full" / "mixed-0.5-s0.json"
    record, other = load_record(path), load_record(path.with_name("R-to-NT.json"))
    assert record.protocol == "mixed-0.5-s0"
    assert list(record.provenance.phase_seconds) == ["score"]
    for name in ("run_key", "config_key", "test_fingerprint", "train_fingerprint", "selection", "options", "trunk"):
        assert getattr(record, name) == getattr(other, name)
    assert f"{100 * record.metrics.mAP:.1f}" in done.stdout
    assert f"{100 * record.chance.mAP:.1f}" in done.stdout


def test_a_calibration_is_made_by_run_and_used_by_score(copied: Trained) -> None:
    calibrated = ("--calibration", "standardised")
    made = copied.call(*_run(copied), "--protocol", "mixed", *calibrated)
    assert made.returncode == 0, made.stderr
    folder = copied.folder("mdreid")
    first = load_record(folder / "full" / "mixed-0.5-s0.standardised.json")
    assert (first.calibration, list(first.provenance.phase_seconds)) == ("standardised", ["calibrate", "score"])
    stored = StoredCalibration.read(folder / "calibration.json")
    assert stored is not None
    assert len(stored.pairs) == 49
    done = copied.call(
        "score", "--run", RUN, "--protocol", "mixed", "--protocol", "R-to-NT", "--protocol", "pooled-T"
    )
    assert done.returncode == 0, done.stderr
    done = copied.call("score", "--run", RUN, "--protocol", "R-to-NT", "--protocol", "pooled-T", *calibrated)
    assert done.returncode == 0, done.stderr
    plain, other = (load_record(folder / "full" / f"R-to-NT{form}.json") for form in ("", ".standardised"))
    assert (plain.metrics, plain.run_key) == (other.metrics, other.run_key)
    (folder / "calibration.json").unlink()
    again = copied.call(*_run(copied), "--protocol", "mixed", *calibrated)
    assert "1 reused" in again.stderr
    assert StoredCalibration.read(folder / "calibration.json") == stored
    shown = copied.call("report", "--no-published", "--method", "mdreid")
    assert shown.returncode == 0, shown.stderr
    for title in ("mixed-0.5-s0", "pooled-T"):
        table = shown.stdout[shown.stdout.index(f"{title}, MSVR310") :]
        assert [line.split("  ")[0] for line in table.splitlines() if line.startswith("MDReID")][:2] == [
            "MDReID",
            "MDReID (scores standardised)",
        ]
    matched = shown.stdout[shown.stdout.index("Matched") : shown.stdout.index("Mismatched")]
    assert "standardised" not in matched


def test_scoring_again_gives_the_record_of_the_run(copied: Trained) -> None:
    path = copied.folder("mdreid") / "full" / "R-to-NT.json"
    before = load_record(path)
    reused = copied.call("score", "--run", RUN, "--protocol", "R-to-NT")
    assert load_record(path) == before
    path.unlink()
    anew = copied.call("score", "--run", RUN, "--protocol", "R-to-NT")
    after = load_record(path)
    forced = copied.call("score", "--run", RUN, "--protocol", "R-to-NT", "--force")
    assert load_record(path).provenance.created >= after.provenance.created
    assert after.model_copy(update={"provenance": before.provenance}) == before
    assert reused.stdout == anew.stdout == forced.stdout
    assert str(path) in reused.stdout


def test_links_are_not_written_through(copied: Trained, tmp_path: Path) -> None:
    """As in a results folder that somebody else sent."""
    scope, precious = copied.folder("mdreid") / "full", tmp_path / "precious"
    precious.write_text("do not touch")
    (scope / ".R-to-R.lock").symlink_to(precious)
    (scope.parent / "run.log").unlink()
    (scope.parent / "run.log").symlink_to(precious)
    done = copied.call("score", "--run", RUN, "--protocol", "R-to-R")
    assert (done.returncode, "it is a link, which is not followed" in done.stderr) == (3, True)
    done = copied.call("score", "--run", RUN, "--protocol", "N-to-N")
    assert done.returncode == 0, done.stderr
    assert precious.read_text() == "do not touch"


def test_embeddings_by_other_weights_of_the_same_key_are_refused(copied: Trained) -> None:
    """As when a results folder has the embeddings of one machine and the weights that another trained."""
    (folder,) = (copied.results / "trained").glob("msvr310-mdreid-s1-*")
    weights = TrainingFolder(folder).weights
    tensors, facts = checkpoint.read(weights)
    checkpoint.write(weights, {name: 2 * value for name, value in tensors.items()}, facts)
    for command in (("score", "--run", RUN), _run(copied)):
        done = copied.call(*command, "--protocol", "R-to-R")
        assert (done.returncode, f"were not made with the weights {weights}" in done.stderr) == (3, True), done.stderr
    weights.unlink()
    assert copied.call("score", "--run", RUN, "--protocol", "R-to-R").returncode == 0


def test_what_a_killed_process_left_is_cleared_away(copied: Trained) -> None:
    left = copied.folder("mdreid") / "full" / f".R-to-R.npz.{_boot()}-0123456789abcdef.tmp"
    left.touch()
    assert copied.call("score", "--run", RUN, "--protocol", "R-to-R").returncode == 0
    assert not left.exists()


def test_the_grid_of_several_runs_is_one_table(copied: Trained) -> None:
    runs = [part for method in METHODS for part in ("--run", copied.folder(method).name)]
    done = copied.call("score", *runs, "--protocol", "all", "--protocol", "mixed", "--mix", "0.3", "--mix-seed", "2")
    assert done.returncode == 0, done.stderr
    assert "MSVR310, 50 protocols" in done.stdout
    assert done.stdout.splitlines()[-1] == str(copied.results / "runs")
    for method in METHODS:
        assert len(list((copied.folder(method) / "full").glob("*.json"))) == 50
        assert (copied.folder(method) / "full" / "mixed-0.3-s2.json").exists()


def test_trapezoid_lies_beside_standard_and_is_marked(copied: Trained) -> None:
    done = copied.call("score", "--run", RUN, "--protocol", "R-to-NT", "--average-precision", "trapezoid")
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path.name == "R-to-NT.trapezoid.json"
    assert "trapezoid AP" in " ".join(done.stdout.split())
    assert load_record(path).metrics.mAP < load_record(path.with_name("R-to-NT.json")).metrics.mAP


def test_a_reranked_record_lies_beside_the_plain_one_and_is_marked(copied: Trained) -> None:
    plain = copied.folder("mdreid") / "full" / "R-to-NT.json"
    before = plain.read_bytes()
    arguments = ("score", "--run", RUN, "--protocol", "R-to-NT", "--rerank", "3,1,0")
    done = copied.call(*arguments)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1])
    assert path == plain.with_name("R-to-NT.rerank-3-1-0.0.json")
    record = load_record(path)
    assert record.rerank == "3-1-0.0"
    assert record.metrics != load_record(plain).metrics
    assert "re-rank" in done.stdout
    assert "1 reused, 0 done" in copied.call(*arguments).stderr
    assert plain.read_bytes() == before
    both = copied.call("compare", RUN, "msvr310-mdreid-tiny-s2", "--rerank", "3,1,0")
    assert (both.returncode, "no protocol in common" in both.stderr) == (2, True)


def test_run_takes_the_same_scoring_options(copied: Trained) -> None:
    """With the images in another place nothing is trained or extracted again, for they are the same images."""
    options = ("--protocol", "mixed", "--mix", "0.7", "--average-precision", "trapezoid", "--memory-budget", "1MiB")
    done = copied.call(*_run(copied), *options)
    assert done.returncode == 0, done.stderr
    assert "training mdreid" not in done.stderr
    assert "Plan: 1 run, 1 cell (1 new, 0 cached)" in done.stderr
    assert Path(done.stdout.splitlines()[-1]) == copied.folder("mdreid") / "full" / "mixed-0.7-s0.trapezoid.json"


def test_score_does_without_torch(copied: Trained) -> None:
    code = (
        "import sys; from mdreid_bench.cli.app import app; app(sys.argv[1:], standalone_mode=False);"
        "assert 'torch' not in sys.modules"
    )
    arguments = ["score", "--run", RUN, "--protocol", "R-to-R", "--results", str(copied.results)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=copied.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--run", "msvr310-mdried"), 2, "Unknown run"),
        (("--run", "msvr310"), 2, "give more of its name or key"),
        (("--protocol", "R-to-X"), 2, "Unknown protocol"),
        (("--limit", "5"), 3, "not evaluated with --limit 5; there is: full"),
        (("--mix", "0.5"), 2, "--mix and --mix-seed are for --protocol mixed"),
        (("--protocol", "mixed", "--mix", "0"), 2, "above 0 and at most 1, not 0"),
        (("--rerank", "20,6"), 2, "--rerank takes k1,k2,lambda, such as 20,6,0.3, not '20,6'"),
        (("--average-precision", "trapez"), 2, "Did you mean 'trapezoid'"),
        (("--memory-budget", "1 hectare"), 2, "such as 500MB or 1GiB"),
        (("--calibration", "standardized"), 2, "Did you mean 'standardised'"),
        (("--calibration", "standardised", "--rerank", "20,6,0.3"), 2, "--rerank do not go together"),
        (("--calibration", "standardised", "--corrupt", "fog-3"), 2, "--corrupt do not go together"),
        (("--protocol", "mixed", "--calibration", "standardised"), 3, "makes it, with --calibration standardised"),
    ],
)
def test_mistakes_are_one_sentence(trained: Trained, arguments: tuple[str, ...], code: int, message: str) -> None:
    given = {part for part in arguments if part.startswith("--")}
    base = ["score"] if "--run" in given else ["score", "--run", RUN]
    base += [] if "--protocol" in given else ["--protocol", "R-to-R"]
    done = trained.call(*base, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_damaged_and_missing_parts_are_named(copied: Trained) -> None:
    folder = copied.folder("mdreid")
    (folder / "full" / "embeddings" / "R.npy").write_bytes(b"")
    done = copied.call("score", "--run", RUN, "--protocol", "R-to-R")
    assert (done.returncode, "R.npy are not those that belong to" in done.stderr) == (3, True)
    (folder / "run.json").unlink()
    done = copied.call("score", "--run", RUN, "--protocol", "N-to-N")
    assert (done.returncode, "run.json; evaluate the run once more" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GiB", 2**30), ("500MB", 500_000_000), ("1.5 kib", 1536), ("7", 7), ("2 tb", 2 * 10**12), ("8B", 8)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1XB", "0", "0.5B", "1e9", "1 GiB GiB", "9" * 400])
def test_sizes_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="--memory-budget"):
        parse_size(text)


def test_mix_goes_into_plain_mixed_alone() -> None:
    names = ["R-to-N", "Mixed", "mixed-0.9-s4"]
    assert with_mix(names, None, None) == names
    assert with_mix(names, 0.25, None) == ["R-to-N", "mixed-0.25-s0", "mixed-0.9-s4"]
    assert with_mix(names, None, 3) == ["R-to-N", "mixed-0.5-s3", "mixed-0.9-s4"]
    assert resolve(with_mix(["mixed"], 1e-5, 1)) == (MixedAvailability(1e-5, 1),)


def test_scoring_is_logged_and_summed_up_and_waits_for_others(copied: Trained) -> None:
    folder = copied.folder("mdreid")
    lines = (folder / "run.log").read_text().splitlines()
    before = load_record(folder / "full" / "R-to-NT.json")
    lock = folder / "full" / ".N-to-R.lock"
    with attempt(lock):
        process = subprocess.Popen(
            [sys.executable, "-c", START, "score", "--run", RUN, "--results", str(copied.results), *CELLS],
            env=copied.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "Waiting for N-to-R of msvr310-mdreid" in process.stderr.readline()
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert said.splitlines()[-1] == "Cells: 1 reused, 1 done."
    added = (folder / "run.log").read_text().splitlines()[len(lines) :]
    assert any(re.search(r"scoring .*: 1/1 N-to-R", line) for line in added)
    assert load_record(folder / "full" / "R-to-NT.json") == before
    assert not lock.exists()
