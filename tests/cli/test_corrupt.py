"""--corrupt on the command line: what is refused, what is planned, what is measured, shown and scored again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mdreid_bench.data.synthetic import plans
from tests.cli.running import Outcome, environment, in_process
from tests.data.trees import plant


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corrupt")
    plant(folder, "msvr310")
    return folder


def call(root: Path, command: str, *more: str) -> Outcome:
    return in_process(
        command, *more, env=environment(MDREID_CACHE=str(root / "cache"), MDREID_RESULTS=str(root / "r"))
    )


def run(root: Path, *more: str) -> Outcome:
    data = ("--dataset", "msvr310", "--data-root", str(root), "--method", "random", "--device", "cpu")
    return call(root, "run", *data, "--set", "image.scale=0.25", "--protocol", "R-to-NT", *more)


def records(root: Path) -> Iterator[dict[str, object]]:
    for path in sorted((root / "r" / "runs").glob("*/*/*.json")):
        yield json.loads(path.read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--corrupt", "mist-3"), "Unknown corruption 'mist-3'."),
        (("--corrupt", "fog-9"), "Unknown corruption 'fog-9'. Did you mean 'fog-5'?"),
        (
            ("--corrupt", "saturate-3"),
            "--corrupt saturate-3 changes colours, which the images of NT of MSVR310 lack; corrupt R alone with "
            "--corrupt-sensors R.",
        ),
        (("--corrupt", "saturate", "--corrupt-sensors", "T"), "the images of T of MSVR310 lack; use another type."),
        (("--corrupt", "fog-3", "--corrupt-sensors", "D"), "names sensors that MSVR310 does not have: it has RNT."),
        (("--corrupt", "fog-3", "--corrupt-sensors", "X"), "Unknown subset of sensors 'X'."),
        (("--corrupt", "fog-3", "--corrupt-side", "left"), "Unknown value of --corrupt-side 'left'."),
        (("--corrupt", "fog-3", "--corrupt-draw", "correlated"), "draws nothing; use --corrupt random."),
        (("--corrupt-side", "query"), "--corrupt-side goes with --corrupt; add it, or leave --corrupt-side out."),
        (
            ("--corrupt", "fog-3", "--corrupt-repetitions", "0"),
            "--corrupt-repetitions takes a whole number of at least 1",
        ),
        (("--corrupt", "regdb-c"), "RegDB-C is made of RegDB, not of MSVR310; use --corrupt random there."),
    ],
)
def test_what_a_dataset_cannot_have_is_one_sentence(
    root: Path, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = run(root, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (root / "r").exists()


def test_a_published_set_says_itself_what_is_corrupted(root: Path) -> None:
    done = call(root, "run", "--dataset", "regdb", "--corrupt", "RegDB-C", "--corrupt-side", "query")
    assert done.returncode == 2
    assert "RegDB-C says itself which images are corrupted, and how; leave --corrupt-side out." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "cells"),
    [
        (("--corrupt", "random"), 11),
        (("--corrupt", "fog-3"), 2),
        (("--corrupt", "fog", "--corrupt", "fog-3"), 6),
        (("--corrupt", "all-3"), 20),  # 19 types, as infrared images have no saturate
        (("--corrupt", "digital", "--corrupt-sensors", "R"), 26),
        (("--corrupt", "random", "--corrupt-repetitions", "3", "--corrupt", "snow-1"), 7),
    ],
)
def test_what_is_planned(root: Path, arguments: tuple[str, ...], cells: int) -> None:
    done = run(root, "--dry-run", *arguments)
    assert done.returncode == 0, done.stderr
    (row,) = (line.split() for line in done.stdout.splitlines() if "Random" in line or " random " in line)
    assert str(cells) in row


def test_corrupted_cells_are_measured_shown_reported_and_scored(root: Path, tmp_path: Path) -> None:
    asked = ("--corrupt", "fog-2", "--corrupt", "fog-4", "--corrupt-side", "gallery", "--corrupt-repetitions", "2")
    done = run(root, *asked)
    assert done.returncode == 0, done.stderr
    assert "Corrupted test images, MSVR310" in done.stdout
    assert "weather: fog, levels 2/4" in " ".join(done.stdout.split())
    found = list(records(root))
    assert [record["corruption"] and record["corruption"]["repetition"] for record in found] == [0, 1, 0, 1, None]  # type: ignore[index]
    assert {record["schema_version"] for record in found} == {4}
    again = run(root, *asked)
    assert "Cells: 5 reused, 0 done" in again.stderr

    scored = call(root, "score", "--run", "msvr310-random", "--protocol", "R-to-NT", "--corrupt", "fog-4")
    assert scored.returncode == 0, scored.stderr
    assert "1 reused, 1 done" in scored.stderr  # both sides, from the embeddings of the gallery side
    gone = call(root, "score", "--run", "msvr310-random", "--protocol", "R-to-NT", "--corrupt", "rain-1")
    assert gone.returncode == 3
    assert "There are no stored embeddings in" in gone.stderr
    assert "embeddings.rain-1.r0; run the cell first." in gone.stderr.replace("\n", "")

    reported = call(root, "report", "--markdown", "--out", str(tmp_path))
    assert reported.returncode == 0, reported.stderr
    text = (tmp_path / "report.md").read_text()
    sections = [line for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        "## Mismatched: query and gallery with different sensors",
        "## Cost",
        "## Corrupted test images",
    ]
    assert "mAP by level of corruption" in text
    assert list(tmp_path.glob("map-by-level-of-corruption-*.svg"))

    (clean,) = (root / "r" / "runs").glob("*/full/R-to-NT.json")
    clean.unlink()
    alone = call(root, "report")
    assert alone.returncode == 3
    assert "There are only 5 records of corrupted images without any of the images as they are" in alone.stderr


def test_what_a_corruption_does_not_reach_is_told(root: Path, tmp_path: Path) -> None:
    asked = ("--protocol", "N-to-T", "--corrupt", "contrast-1", "--corrupt-sensors", "R", "--results", str(tmp_path))
    done = run(root, *asked)
    assert done.returncode == 0, done.stderr
    told = "Corrupted images under N-to-T: not applicable: no image of R is to be corrupted on either side."
    assert told in " ".join(done.stderr.split())
    assert "Cells: 0 reused, 3 done, 0 skipped, 0 failed, 1 not applicable." in done.stderr


def test_a_published_set_is_named_and_corrupts_visible_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "_regdb_size", lambda _: (4, 2))
    data = ("--dataset", "regdb", "--method", "random", "--device", "cpu", "--set", "image.scale=0.25")
    done = call(tmp_path, "run", *data, "--corrupt", "regdb-c", "--corrupt-repetitions", "1")
    assert done.returncode == 0, done.stderr
    found = [record["corruption"] for record in records(tmp_path)]
    own = {"name": "random", "side": "both", "sensors": "R", "correlated": False, "seed": 0, "repetition": 0}
    assert [one for one in found if one is not None] == [own | {"published": "RegDB-C"}] * 2
    assert len(found) == 4
