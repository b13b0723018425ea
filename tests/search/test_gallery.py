"""Gallery folders: what is found and what is refused."""

from pathlib import Path

import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.search.gallery import read_gallery
from protocols.modality import RNT, Modality
from tests.data.trees import Recorder, paint


def plant(root: Path, *names: str) -> None:
    for name in names:
        paint(root / name, (8, 6), name)


def test_files_of_one_name_are_one_item(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/b.jpg", "RGB/a.JPG", "NI/b.jpeg", "TI/c.jpg", "TI/b.jpg")
    plant(tmp_path, "RGB/.hidden.jpg", "elsewhere/d.jpg")
    (tmp_path / "RGB" / "notes.txt").write_text("mine")
    found = read_gallery(tmp_path, Recorder(), RNT)
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
        read_gallery(tmp_path, Recorder(), RNT)


def test_all_faults_are_counted(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/a.jpg", "RGB/a.png", "NI/a.jpg", *(f"TI/{i:02d}.jpg" for i in range(12)))
    for i in range(11):
        (tmp_path / f"TI/{i:02d}.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match="has 12 faults") as caught:
        read_gallery(tmp_path, Recorder(), RNT)
    message = str(caught.value)
    assert "RGB/a.png: same name as a.jpg" in message
    assert "TI/00.jpg: not an image" in message
    assert message.endswith("; and 2 more.")


def test_all_that_is_passed_over_is_said(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/a.jpg", "RGB/b.webp", "TIR/a.tif", "D/a.jpg", "RGB/more/c.jpg", "other/d.jpg", "e.png")
    (tmp_path / "RGB" / "f.gif").write_text("moving")
    told = Recorder()
    found = read_gallery(tmp_path, told, RNT)
    assert found.names.tolist() == ["a", "b"]
    assert told.messages == [
        "The gallery has 1 x file that is no image, passed over: RGB/f.gif.",
        "The gallery has 1 x folder beside those of sensors, passed over: other.",
        "The gallery has 1 x folder of a sensor that the method does not know, passed over: D.",
        "The gallery has 1 x folder within those of sensors, passed over: RGB/more.",
        "The gallery has 1 x image beside those of sensors, passed over: e.png.",
        "The gallery has 2 items: 1 RT, 1 R.",
    ]


@pytest.mark.parametrize("folder", ["TIR", "tir", "TI", "Thermal", "th"])
def test_folders_have_their_usual_names(folder: str, tmp_path: Path) -> None:
    plant(tmp_path, "vis/a.jpg", "vis/b.jpg", "nir/b.jpg", f"{folder}/a.jpg", f"{folder}/b.jpg")
    found = read_gallery(tmp_path, Recorder(), RNT)
    assert [str(Modality(code)) for code in found.sensors.tolist()] == ["RT", "RNT"]


def test_two_folders_of_one_sensor_are_a_fault(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/a.jpg", "TI/a.jpg", "TIR/a.jpg")
    with pytest.raises(DataError, match="TIR: a second folder for T beside TI"):
        read_gallery(tmp_path, Recorder(), RNT)


def test_letters_of_another_case_make_no_other_item_unless_a_sensor_has_both(tmp_path: Path) -> None:
    plant(tmp_path, "RGB/Car 0.PNG", "TI/car 0.png", "RGB/b.jpg", "RGB/B.jpg", "NI/b.jpg")
    found = read_gallery(tmp_path, Recorder(), RNT)
    sensors = dict(zip(found.names.tolist(), (str(Modality(code)) for code in found.sensors.tolist()), strict=True))
    assert sensors == {"Car 0": "RT", "B": "R", "b": "RN"}
