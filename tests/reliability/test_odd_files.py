"""Things in a dataset that are no files, or more than they seem: passed by or named, never waited for."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.images import BadImageError, inspect_image, load_rgb
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from mdreid_bench.results.store import Store
from tests.data.trees import check_dataset, plant

ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "not a file"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "not a file"),
    "link to itself": (lambda path: path.symlink_to(path.name), "not readable"),
    "link to nothing": (lambda path: path.symlink_to("nothing"), "file is missing"),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_file_is_one_fault(tmp_path: Path, odd: str) -> None:
    make, what = ODD[odd]
    folder = plant(tmp_path, "msvr310")
    image = sorted(folder.rglob("*.jpg"))[0]
    image.unlink()
    make(image)
    report = check_dataset("msvr310", tmp_path, Silent())
    found = [finding for finding in report.findings if finding.kind is not Kind.COUNT]
    assert [(f.kind, f.path) for f in found] == [(Kind.IMAGE, image.relative_to(folder).as_posix())]
    assert what in found[0].what
    with pytest.raises(DataError, match=f"1 fault.*{what}"):
        open_dataset("msvr310", tmp_path, Silent())


def test_a_folder_called_like_an_image_is_a_missing_file(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    image = sorted(folder.rglob("*.jpg"))[0]
    image.unlink()
    image.mkdir()
    report = check_dataset("msvr310", tmp_path, Silent())
    assert [f.kind for f in report.findings if f.kind is not Kind.COUNT] == [Kind.MISSING]


def test_a_folder_within_itself_is_walked_a_few_times(tmp_path: Path) -> None:
    folder = plant(tmp_path, "msvr310")
    place = sorted(folder.rglob("*.jpg"))[0].parent
    (place / "loop").symlink_to(place)
    report = check_dataset("msvr310", tmp_path, Silent())
    kinds = [f.kind for f in report.findings if f.kind is not Kind.COUNT]
    assert set(kinds) == {Kind.NAME}
    assert len(kinds) < 100


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_100, 10_000, 14_000])
def test_refusing_large_images_says_nothing_more(tmp_path: Path, side: int) -> None:
    """Pillow would warn on the terminal of images above a size of its own."""
    Image.new("1", (side, side)).save(tmp_path / "large.png")
    for read in (inspect_image, load_rgb):
        with pytest.raises(BadImageError, match="more than 64 million pixels"):
            read(tmp_path / "large.png")
    program = (
        "import sys; from pathlib import Path; from mdreid_bench.data.images import *\n"
        "try: inspect_image(Path(sys.argv[1]))\n"
        "except BadImageError: sys.exit(5)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (5, "")


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    scope = tmp_path / "runs" / "a-run" / "full"
    scope.mkdir(parents=True)
    os.mkfifo(scope / "R-to-N.json")
    ((_, said),) = Store(tmp_path).records()
    assert said == "cannot be read (not a regular file)"
