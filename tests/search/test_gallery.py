"""Gallery folders: what is found and what is refused."""

from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.search.gallery import read_gallery
from protocols.modality import Modality
from tests.data.trees import Recorder, paint


def plant(root: Path, *names: str) -> None:
    for name in names:
        paint(root / name, (8, 6), name)


def test_files_of_one_name_are_one_item(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/b.jpg", "RGB/a.JPG", "NI/b.jpeg", "TI/c.jpg", "TI/b.jpg")
    plant(tmp_path, "RGB/.hidden.jpg", "elsewhere/d.jpg")
    (tmp_path / "RGB" / "notes.txt").write_text("mine")
    found = read_gallery(tmp_path, Recorder())
    assert [(name, str(Modality(code))) for name, code in zip(found.names, found.sensors.tolist(), strict=True)] == [
        ("a", "R"),
        ("b", "RNT"),
        ("c", "T"),
    ]
    assert found.images[1][Modality.N] == str(tmp_path / "NI" / "b.jpeg")


@pytest.mark.parametrize("names", [(), ("RBG/a.jpg",), ("a.jpg",)])
def test_a_folder_without_images_is_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    plant(tmp_path, *names)
    with pytest.raises(DataError, match=r"No images in .*: expected files such as RGB/NAME\.jpg"):
        read_gallery(tmp_path, Recorder())


def test_all_faults_are_counted(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/a.jpg", "RGB/a.png", "NI/a.jpg", *(f"TI/{i:02d}.jpg" for i in range(12)))
    for i in range(11):
        (tmp_path / f"TI/{i:02d}.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="has 12 faults") as caught:
        read_gallery(tmp_path, Recorder())
    message = str(caught.value)
    assert "RGB/a.png: same name as a.jpg" in message
    assert "TI/00.jpg: not an image" in message
    assert message.endswith("; and 2 more.")
