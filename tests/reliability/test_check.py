"""All faults of a dataset at once: what was planted, no more and no less."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mdreid_bench.data import registry
from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.check import Reading
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.datasets.msvr310 import MSVR310
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.data.synthetic.plan import Scale
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from tests.data.trees import DATASETS, Recorder, check_dataset, plant, small_plan
from tests.reliability.planting import Expected, Planter


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))


def _small(dataset: str, root: Path, scale: Scale, patch: pytest.MonkeyPatch) -> Path:
    """Draw four training and two test identities of a synthetic dataset."""
    plan = small_plan(dataset)
    patch.setattr(type(registry.get(dataset)), "plan", lambda *_: plan)
    return generate(root, dataset, scale, 0, Silent())


def _must_be(report: Reading, expected: Expected) -> None:
    """Every expected finding is there once and nothing else is."""
    found = [(finding.kind, finding.path) for finding in report.findings]
    assert sorted(found) == sorted((kind, path) for kind, path, _ in expected)
    for kind, path, what in expected:
        assert any((f.kind, f.path) == (kind, path) and what in f.what for f in report.findings), (path, what)


def test_twenty_planted_faults_are_found_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MSVR310, "card", replace(MSVR310.card, counts=SplitCounts(16, 4, 16, 2, 16, 2)))
    folder = _small("msvr310", tmp_path, "full", monkeypatch)
    assert check_dataset("msvr310", tmp_path, Silent()).findings == ()
    expected = Planter(folder).plant()
    assert len(expected) == 20
    assert {kind for kind, _, _ in expected} == set(Kind) - {Kind.CAMERA}
    _must_be(check_dataset("msvr310", tmp_path, Silent()), expected)


@pytest.mark.slow
def test_twenty_planted_faults_are_found_at_full_scale(tmp_path: Path) -> None:
    folder = generate(tmp_path, "msvr310", "full", 0, Silent())
    healthy = check_dataset("msvr310", tmp_path, Silent())
    assert (healthy.findings, len(healthy.paths), healthy.complete_items) == (
        (),
        3 * (1032 + 591 + 1055),
        1032 + 591 + 1055,
    )
    expected = Planter(folder).plant()
    assert len(expected) == 20
    _must_be(check_dataset("msvr310", tmp_path, Silent()), expected)


@pytest.mark.parametrize("dataset", DATASETS)
def test_healthy_data_have_no_faults(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _small(dataset, tmp_path, "tiny", monkeypatch)
    recorder = Recorder()
    report = check_dataset(dataset, tmp_path, recorder)
    assert report.findings == ()
    assert report.marker
    assert recorder.totals == [len(report.paths)]
    again = Recorder()
    check_dataset(dataset, tmp_path, again)
    assert again.totals == [len(report.paths)]  # every image is read, whatever is remembered


def test_real_data_are_compared_with_the_published_counts(tmp_path: Path) -> None:
    plant(tmp_path, "rgbnt201")
    counts = [f for f in check_dataset("rgbnt201", tmp_path, Silent()).findings if f.kind is Kind.COUNT]
    assert [(f.path, f.what) for f in counts] == [
        ("test", "20 images instead of 836"),
        ("test", "2 identities instead of 30"),
        ("train_171", "16 images instead of 3951"),
        ("train_171", "4 identities instead of 171"),
    ]


def test_wrong_strips_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _small("rgbnt100", tmp_path, "tiny", monkeypatch)
    strip = sorted((folder / "rgbir/query").iterdir())[0]
    Image.open(strip).crop((0, 0, 700, 128)).save(strip)
    _must_be(
        check_dataset("rgbnt100", tmp_path, Silent()),
        {(Kind.SIZE, f"rgbir/query/{strip.name}", "strip of 700x128 pixels instead of 768x128")},
    )


def test_a_query_seen_by_one_camera_only_has_no_positive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _small("rgbnt201", tmp_path, "tiny", monkeypatch)
    names = sorted(path.name for path in (folder / "test/RGB").iterdir())
    gone = [name for name in names if name.startswith(names[0][:6]) and "_cam2_" in name]
    kept = [name for name in names if name.startswith(names[0][:6]) and "_cam1_" in name]
    assert gone
    for name in gone:
        for sensor in ("RGB", "NI", "TI"):
            (folder / "test" / sensor / name).unlink()
    what = "no gallery item of its identity in another camera"
    _must_be(
        check_dataset("rgbnt201", tmp_path, Silent()), {(Kind.POSITIVE, f"test/RGB/{name}", what) for name in kept}
    )


def test_an_empty_split_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _small("rgbnt100", tmp_path, "tiny", monkeypatch)
    for path in (folder / "rgbir/query").iterdir():
        path.unlink()
    _must_be(check_dataset("rgbnt100", tmp_path, Silent()), {(Kind.COUNT, "rgbir/query", "no images")})


def test_lacking_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found an empty folder"):
        check_dataset("msvr310", tmp_path, Silent())
