"""Thermal counts of 16 bits on every way that images take: datasets, galleries, queries, weights in use."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import TrainingImages
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.embed import embed
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.search.gallery import read_gallery, seen
from mdreid_bench.weights.load_method import read_images
from protocols.modality import RNT, Modality
from tests.data.trees import Recorder, check_dataset, plant
from tests.results.factory import make_record
from tests.support import small_config

SAID = "of counts, scaled by image.counts or else from the 1st to the 99th percentile of each image."


def counts(number: int) -> bytes:
    """Return a PNG file of 12 x 8 pixels in 4 x 2 blocks between 7000 and 9000."""
    blocks = np.random.default_rng(number).integers(7000, 9000, (2, 4))
    buffer = io.BytesIO()
    Image.fromarray(np.kron(blocks, np.ones((4, 3))).astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def ranged(config: RunConfig, span: tuple[float, float] | None) -> RunConfig:
    return config.model_copy(update={"image": config.image.model_copy(update={"counts": span})})


@pytest.fixture
def config() -> RunConfig:
    return small_config("mdreid")


@pytest.fixture
def radiometric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset whose thermal images, whatever their suffix, are counts."""
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    folder = plant(tmp_path, "msvr310")
    for number, path in enumerate(sorted(folder.rglob("th/*.jpg"))):
        path.write_bytes(counts(number))
    return tmp_path


def opened(root: Path) -> tuple[DatasetIndex, list[str]]:
    told = Recorder()
    return open_dataset("msvr310", root, told), told.messages


def test_a_dataset_says_that_it_has_counts(radiometric: Path) -> None:
    index, said = opened(radiometric)
    number = len(list(radiometric.rglob("th/*.jpg")))
    assert index.image_rules == {"counts": number}
    assert f"MSVR310 has {number} images {SAID}" in said
    assert f"MSVR310 has {number} images {SAID}" in opened(radiometric)[1]  # from what is remembered of them
    told = Recorder()
    report = check_dataset("msvr310", radiometric, told)
    assert f"MSVR310 has {number} images {SAID}" in told.messages
    assert Kind.IMAGE not in {finding.kind for finding in report.findings}


def test_training_and_test_images_of_counts_differ(radiometric: Path, config: RunConfig) -> None:
    index, _ = opened(radiometric)
    source = TrainingImages([index], config, index.sensors)
    thermal = [source[row, 1, 0].pixels[Modality.T] for row in range(len(index.train))]
    assert len({pixels.tobytes() for pixels in thermal}) == len(thermal)
    assert all(np.ptp(pixels) > 100 for pixels in thermal)
    wide = np.asarray(index.read(index.train.images[0], (0, 65535))[Modality.T])
    assert 0 < np.ptp(wide) < 10


def test_a_range_that_leaves_no_contrast_is_refused_before_training(radiometric: Path) -> None:
    index, _ = opened(radiometric)
    index.check_counts(None)
    index.check_counts((7000, 9000))
    number = index.image_rules["counts"]
    with pytest.raises(
        UsageError, match=rf"image.counts \[0, 255\] makes a single grey of {number} images of MSVR310"
    ):
        index.check_counts((0, 255))


def test_the_range_is_part_of_the_key_where_it_is_set(config: RunConfig) -> None:
    assert "counts" not in config.determining()["image"]
    assert ranged(config, (7000, 9000)).determining()["image"]["counts"] == [7000, 9000]
    with pytest.raises(ValueError, match="must be lower than the second"):
        config.image.model_validate({"counts": [5, 5]})


def test_tables_say_which_rules_images_needed() -> None:
    (table,) = run_tables([make_record(image_rules={"counts": 24})])
    assert f"24 images {SAID}" in table.caption


def test_objects_of_a_gallery_of_counts_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: RunConfig
) -> None:
    monkeypatch.setenv("MDREID_CACHE", str(tmp_path / "cache"))
    for number in range(6):
        path = tmp_path / "yard" / "TI" / f"car{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(counts(number))
    told = Recorder()
    items = read_gallery(tmp_path / "yard", told, RNT)
    assert told.messages == [f"The gallery has 6 images {SAID}", "The gallery has 6 items: 6 T."]
    method = registry.get("mdreid").build(
        config, DataFacts(identities=4, cameras=2, modalities=Modality.parse("RNT"))
    )
    vectors = embed(method.eval(), config, items, 0, torch.device("cpu"), Recorder())
    assert len(np.unique(vectors, axis=0)) == 6
    query = seen("query", {Modality.T: tmp_path / "yard" / "TI" / "car3.png"})
    one = embed(method, config, type(items).of([query]), 0, torch.device("cpu"), Recorder())
    assert int(np.argmax(vectors @ one[0])) == 3
    method.config = config
    files: Mapping[Modality, Path] = {Modality.T: tmp_path / "yard" / "TI" / "car3.png"}
    assert read_images(method, files)[Modality.T].std() > 0.1
    method.config = ranged(config, (0, 255))
    with pytest.raises(DataError, match=r"become a single grey with image.counts \[0.*255"):
        read_images(method, files)
