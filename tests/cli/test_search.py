"""``mdreid-bench index`` and ``search`` with a method trained for a moment."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mdreid_bench.data.images import load_rgb
from mdreid_bench.data.items import Items
from mdreid_bench.data.transforms import normalise, resize
from mdreid_bench.embedding.embed import embed
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.progress import Silent
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.store import RunFolder
from mdreid_bench.search.gallery import seen
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.trained_method import load_trained
from protocols.calibration import Calibration
from protocols.modality import RNT, Modality, subsets
from tests.cli.conftest import Trained
from tests.support import mostly_slow

RUN = "msvr310-mdreid-tiny-s1"
SENSORS = {Modality.R: ("RGB", "vis"), Modality.N: ("NI", "ni"), Modality.T: ("TI", "th")}
FLAGS = {Modality.R: "--rgb", Modality.N: "--nir", Modality.T: "--tir"}


@pytest.fixture(scope="module")
def gallery(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test images as a gallery; each item keeps another subset of its sensors."""
    root = tmp_path_factory.mktemp("gallery")
    images = sorted((trained.images / "bounding_box_test").glob("*/vis/*.jpg"))
    for number, image in enumerate(images):
        for modality in subsets(RNT)[number % len(subsets(RNT))]:
            folder, sensor = SENSORS[modality]
            (root / folder).mkdir(exist_ok=True)
            shutil.copy(image.parent.parent / sensor / image.name, root / folder / image.name)
    return root


@pytest.fixture(scope="module")
def index(trained: Trained, gallery: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "yard"
    done = trained.call("index", str(gallery), str(out), "--run", RUN, "--camera", "2", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}\n"
    assert "Indexed 16 items" in done.stderr
    return out


def embed_one(trained: Trained, folder: Path, name: str, wanted: Modality, camera: int) -> NDArray[np.float32]:
    """Embed one item by itself, as the method's contract says."""
    method, config = load_trained(RunFolder(trained.folder("mdreid")))
    images = {
        m: normalise(
            resize(load_rgb(folder / SENSORS[m][0] / f"{name}.jpg"), config.image_size, training=False), config.image
        )[None]
        for m in wanted
    }
    vector: NDArray[np.float32] = method.embed_all(images, torch.tensor([camera]), (wanted,))[wanted].numpy()[0]
    return vector


@pytest.mark.parametrize("subset", mostly_slow(subsets(RNT), (Modality.R, Modality.R | Modality.N, RNT)), ids=str)
def test_hits_are_the_exact_ranking_for_a_query_with_any_sensors(
    trained: Trained, gallery: Path, index: Path, tmp_path: Path, subset: Modality
) -> None:
    names = sorted({path.stem for path in gallery.glob("*/*.jpg")})
    available = [Modality.parse("".join(str(m) for m in SENSORS if _file(gallery, m, n).exists())) for n in names]
    assert set(available) == set(subsets(RNT))
    vectors = np.stack([embed_one(trained, gallery, n, a, 2) for n, a in zip(names, available, strict=True)])
    complete = next(name for name, a in zip(names, available, strict=True) if len(a) == 3)
    query = embed_one(trained, gallery, complete, subset, 5)
    exact = np.sort(vectors @ query)[::-1][:16]

    flags = [part for m in subset for part in (FLAGS[m], str(_file(gallery, m, complete)))]
    done = trained.call("search", str(index), *flags, "--camera", "5", "--top", "16", "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["query"], found["items"]) == (str(subset), 16)
    np.testing.assert_allclose([hit["similarity"] for hit in found["hits"]], exact, atol=1e-5)
    expected = [float(vectors[names.index(hit["item"])] @ query) for hit in found["hits"]]
    np.testing.assert_allclose([hit["similarity"] for hit in found["hits"]], expected, atol=1e-5)
    assert {hit["item"]: hit["sensors"] for hit in found["hits"]} == dict(
        zip(names, map(str, available), strict=True)
    )


def test_scores_are_calibrated_where_the_run_has_a_calibration(
    trained: Trained, gallery: Path, index: Path, tmp_path: Path
) -> None:
    """The index says what a calibration would do, uses one by default where items have more and
    fewer sensors, and refuses to go without where told to."""
    shutil.copytree(trained.results, tmp_path / "results")
    own = replace(trained, results=tmp_path / "results")
    folder, out = RunFolder(own.folder("mdreid")), tmp_path / "yard"
    make = ("index", str(gallery), str(out), "--run", RUN, "--camera", "2", "--device", "cpu")
    done = own.call(*make, "--calibration", "standardised")
    assert "makes it, with --calibration standardised" in done.stderr
    assert done.returncode == 3
    assert "so items with more sensors score lower" in own.call(*make).stderr
    method, _ = load_trained(folder)
    pairs = {(q, g): (0.1 * len(q) + 0.2 * len(g), 0.5 / len(g)) for q in subsets(RNT) for g in subsets(RNT)}
    calibration = Calibration.of(pairs)
    StoredCalibration.of(calibration, checkpoint.digest(method.state_dict()), 8).write(folder.calibration)
    assert "score lower" not in own.call(*make).stderr
    query = ("--nir", str(sorted((gallery / "NI").iterdir())[0]), "--top", "16", "--camera", "2", "--device", "cpu")
    plain, found = (
        json.loads(caller.call("search", str(path), *query, "--json").stdout)
        for caller, path in ((trained, index), (own, out))
    )
    assert (plain["calibration"], found["calibration"]) == ("none", "standardised")
    wanted = {}
    for hit in plain["hits"]:
        score, sensors = np.array([hit["similarity"]], dtype=np.float32), Modality.parse(hit["sensors"])
        wanted[hit["item"]] = float(calibration.standardised(score, Modality.N, sensors)[0])
    assert [hit["item"] for hit in found["hits"]] == sorted(wanted, key=lambda item: (-wanted[item], item))
    assert "standard deviations" in own.call("search", str(out), *query).stdout
    single = tmp_path / "single"
    for folder_name, images in (("RGB", _alone(gallery, Modality.R)), ("NI", _alone(gallery, Modality.N))):
        (single / folder_name).mkdir(parents=True)
        for image in images:
            shutil.copy(image, single / folder_name)
    assert own.call("index", str(single), str(tmp_path / "singles"), *make[3:]).returncode == 0
    alike = json.loads(own.call("search", str(tmp_path / "singles"), *query, "--json").stdout)
    assert (alike["calibration"], {hit["sensors"] for hit in alike["hits"]}) == ("none", {"R", "N"})
    assert own.call(*make, "--calibration", "none").returncode == 0
    assert json.loads(own.call("search", str(out), *query, "--json").stdout)["hits"] == plain["hits"]


def _alone(gallery: Path, modality: Modality) -> list[Path]:
    """Return the images of the items that no other sensor saw."""
    folders = [names[0] for names in SENSORS.values()]
    images = gallery.glob(f"{SENSORS[modality][0]}/*")
    return [image for image in images if sum((gallery / f / image.name).exists() for f in folders) == 1]


def _file(gallery: Path, modality: Modality, name: str) -> Path:
    return gallery / SENSORS[modality][0] / f"{name}.jpg"


def test_the_table_shows_the_top(trained: Trained, gallery: Path, index: Path) -> None:
    image = sorted((gallery / "RGB").iterdir())[0]
    done = trained.call("search", str(index), "--rgb", str(image), "--top", "3", "--camera", "2")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines if line and line[0] in "123"] == ["3", "1", "2", "3"]
    assert next(line for line in lines if line and line[0] == "1")[1] == image.stem


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "at least one image"),
        (("--rgb", "nothing.jpg"), 3, "nothing.jpg cannot be used: file is missing"),
        (("--rgb", "IMAGE", "--camera", "8"), 2, "use 0 to 7"),
        (("--rgb", "IMAGE", "--image", "R=IMAGE"), 2, "Two images are given for one sensor"),
        (("--image", "D=IMAGE"), 2, "knows the sensors RNT; leave out the image of D"),
        (("--image", "depth.png"), 2, "the letter of a sensor (R, N, T, D) and a file, such as D=depth.png"),
        (("--rgb", "IMAGE", "--device", "tpu"), 2, "Unknown value of --device"),
    ],
)
def test_mistakes_in_a_search(
    trained: Trained, gallery: Path, index: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    image = str(sorted((gallery / "RGB").iterdir())[0])
    done = trained.call("search", str(index), *[part.replace("IMAGE", image) for part in arguments])
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--run", "msvr310"), 2, "give more of its name or key"),
        (("--run", RUN, "--camera", "9"), 2, "was trained with 8 cameras; use 0 to 7"),
        (("--run", RUN, "--factory", "Flet"), 2, "cannot make the index 'Flet'"),
        (("--run", RUN, "--probes", "2"), 2, "cannot make the index 'Flat'"),
    ],
)
def test_mistakes_in_an_index(
    trained: Trained, gallery: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = trained.call("index", str(gallery), str(tmp_path / "out"), *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_approximate_index_says_what_it_finds(trained: Trained, gallery: Path, tmp_path: Path) -> None:
    made = ("index", str(gallery), str(tmp_path / "out"), "--run", RUN, "--factory", "IVF2,Flat")
    done = trained.call(*made, "--probes", "2", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stderr.split())
    assert "IVF2,Flat finds 100.0 % of the 10 nearest of 16 of the items themselves [100.0, 100.0]" in told


def test_a_folder_with_other_things_is_refused_before_anything_is_embedded(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = trained.call("index", str(tmp_path / "no-gallery"), str(tmp_path), "--run", RUN)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: OUT, the last argument, must be new or an index, and ")


def test_an_empty_gallery_is_refused(trained: Trained, tmp_path: Path) -> None:
    done = trained.call("index", str(tmp_path), str(tmp_path / "out"), "--run", RUN)
    assert done.returncode == 3
    assert "No images in" in done.stderr


def test_a_loaded_method_embeds_as_the_run_did(trained: Trained) -> None:
    folder = RunFolder(trained.folder("mdreid"))
    stored = EmbeddingFolder(folder.scope(None).embeddings)
    table = stored.read_items()
    method, config = load_trained(folder)
    name, camera = str(table.items.names[0]), int(table.items.labels.camera[0])
    place = trained.images / "bounding_box_test" / name[:4]
    for subset in subsets(RNT):
        item = seen(name, {m: place / SENSORS[m][1] / name for m in subset})
        (vector,) = embed(method, config, Items.of([item]), camera, torch.device("cpu"), Silent())
        np.testing.assert_allclose(vector, stored.load(subset, table)[0], atol=1e-5)


def test_weights_that_are_gone_or_new_are_noticed(
    trained: Trained, index: Path, gallery: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained.results, tmp_path / "results")
    copied = Trained(tmp_path / "results", trained.images, trained.environment)
    image = str(sorted((gallery / "RGB").iterdir())[0])
    (weights,) = (copied.results / "trained").glob("msvr310-mdreid-s1-*/weights.safetensors")
    (others,) = (copied.results / "trained").glob("msvr310-mdreid-s2-*/weights.safetensors")
    tensors, facts = checkpoint.read(weights)
    shutil.copy(others, weights)
    done = copied.call("search", str(index), "--rgb", image)
    assert (done.returncode, "belongs to msvr310-mdreid-s2-" in done.stderr) == (3, True)
    checkpoint.write(weights, {name: value + 1 for name, value in tensors.items()}, facts)
    done = copied.call("search", str(index), "--rgb", image)
    assert (done.returncode, "was trained again" in done.stderr) == (3, True)
    weights.unlink()
    done = copied.call("search", str(index), "--rgb", image)
    assert (done.returncode, "are gone; put them back, or run again" in done.stderr) == (3, True)


def test_a_run_of_another_version_or_without_its_files_does_not_load(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.results, tmp_path / "results")
    folder = RunFolder(Trained(tmp_path / "results", trained.images, {}).folder("mdreid"))
    with monkeypatch.context() as patch:
        patch.setattr(MDReID, "card", replace(CARD, version=CARD.version + 1))
        with pytest.raises(DataError, match=r"of which version .* is installed"):
            load_trained(folder)
    folder.config.write_text("method: [")
    with pytest.raises(DataError, match=r"config\.yaml is damaged"):
        load_trained(folder)
    folder.config.unlink()
    with pytest.raises(DataError, match=r"There is no .*config\.yaml"):
        load_trained(folder)


def test_names_of_items_are_shown_and_steer_nothing(trained: Trained, gallery: Path, tmp_path: Path) -> None:
    """Names as only bytes can be, and with what would clear a terminal or turn its text around."""
    (tmp_path / "RGB").mkdir()
    names = [os.fsdecode(name) for name in (b"\xff\xfe", b"a\x1b[2Jb", "\u202ec".encode(), b"\xc2\x9b31m")]
    for name, image in zip(names, sorted((gallery / "RGB").iterdir()), strict=False):
        shutil.copy(image, tmp_path / "RGB" / f"{name}.jpg")
    done = trained.call("index", str(tmp_path), str(tmp_path / "yard"), "--run", RUN, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    search = ("search", str(tmp_path / "yard"), "--rgb", str(sorted((gallery / "RGB").iterdir())[0]))
    shown, plain = trained.call(*search), trained.call(*search, "--json")
    for text in (shown.stdout, plain.stdout):
        assert not [char for char in text if not char.isprintable() and char != "\n"]
    assert sorted(hit["item"] for hit in json.loads(plain.stdout)["hits"]) == sorted(names)
