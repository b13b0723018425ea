"""``mdreid-bench verify``: published against measured, and an exit code that says whether they agree."""

import re
from pathlib import Path

import pytest

from mdreid_bench.cli import verify_session
from mdreid_bench.data.marker import MARKER, Marker, write_marker
from mdreid_bench.report.verification import published
from mdreid_bench.results.published import Figure
from mdreid_bench.results.store import load_record
from tests.cli.conftest import Trained
from tests.cli.running import Outcome, in_process

WANTED = [("R-to-N", "mAP"), ("RNT-to-RNT", "rank1")]


@pytest.fixture
def weights(trained: Trained) -> Path:
    (found,) = trained.results.glob("trained/msvr310-mdreid-s1-*/weights.safetensors")
    return found


def verify(trained: Trained, weights: Path, results: Path, *arguments: str) -> Outcome:
    data = ("--dataset", "msvr310", "--data-root", str(trained.images.parent), "--device", "cpu")
    return in_process(
        "verify", *data, "--weights", str(weights), "--results", str(results), *arguments, env=trained.environment
    )


def test_figures_that_differ_exit_1(trained: Trained, weights: Path, tmp_path: Path) -> None:
    done = verify(trained, weights, tmp_path)
    assert done.returncode == 1
    assert "Not all figures agree." in done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith(("differs", "agrees"))]
    assert len(rows) == len(published("msvr310", "mdreid")) == 10
    assert re.search(r"RNT-to-RNT\s+mAP\s+MDReID Table 1b\s+51\.0\s", done.stdout)
    assert "Similarity: released." in done.stdout
    records = [load_record(path) for path in tmp_path.glob("runs/*/full/*.json")]
    assert {record.options["similarity"] for record in records} == {"released"}
    assert {record.protocol for record in records} == {row[0] for row in rows}


def test_figures_that_agree_exit_0(
    trained: Trained, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(*_: str) -> list[Figure]:
        return [
            Figure("MDReID", "Table 9", "msvr310", "MDReID", protocol, metric, value, "address", "")
            for (protocol, metric), value in zip(WANTED, values, strict=True)
        ]

    values = [0.0, 0.0]
    monkeypatch.setattr(verify_session, "published", figures)
    first = verify(trained, weights, tmp_path, "--similarity", "paper")
    paths = [next(tmp_path.glob(f"runs/*/full/{protocol}.json")) for protocol, _ in WANTED]
    measured = [100 * getattr(load_record(p).metrics, m) for p, (_, m) in zip(paths, WANTED, strict=True)]
    assert first.returncode == 1
    values = [value + 0.09 for value in measured]
    again = verify(trained, weights, tmp_path, "--similarity", "paper")
    assert (again.returncode, again.stdout.count("agrees")) == (0, 2)
    assert "2 cached" in again.stderr


def test_synthetic_images_are_refused_because_nothing_is_published_for_them(
    trained: Trained, weights: Path, tmp_path: Path
) -> None:
    write_marker(trained.images, Marker(dataset="msvr310", scale="tiny", seed=0))
    try:
        done = verify(trained, weights, tmp_path)
    finally:
        (trained.images / MARKER).unlink()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing that is published is for synthetic images; give the folder of the real msvr310" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_has_no_published_figures_is_refused(trained: Trained, tmp_path: Path) -> None:
    (single,) = trained.results.glob("trained/msvr310-single-classifier-*/weights.safetensors")
    done = verify(trained, single, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No figures are published for single-classifier on msvr310" in done.stderr


def test_an_unknown_similarity_exits_2(trained: Trained, weights: Path, tmp_path: Path) -> None:
    done = verify(trained, weights, tmp_path, "--similarity", "other")
    assert done.returncode == 2
    assert "Unknown value of --similarity" in done.stderr
