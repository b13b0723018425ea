"""``score --distractors`` on stored embeddings: vectors, folders of images and datasets, and what is refused."""

import csv
import io
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdreid_bench.errors import DataError
from mdreid_bench.results.distractors import Distractors
from mdreid_bench.results.store import load_record
from mdreid_bench.search.distractors import Embedded
from protocols.distractors import nested
from protocols.evaluation import evaluate
from protocols.exclusion import Labels
from protocols.modality import Modality
from protocols.ranking import rank_embeddings
from tests.cli.conftest import Trained
from tests.cli.running import Outcome, report_texts
from tests.data.trees import plant
from tests.evaluation.stored import WIDTH, Stored, store

RUN = ("score", "--run", "msvr310-mdreid-tiny-s0", "--protocol", "R-to-NT")
NT = Modality.parse("NT")


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    return store(tmp_path / "results")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A folder of 1500 vectors for galleries with N and T, as tied as those of the run."""
    (tmp_path / "crowd").mkdir()
    drawn = np.random.default_rng(3).integers(3, size=(1500, WIDTH)).astype(np.float16)
    np.save(tmp_path / "crowd" / "NT.npy", drawn)
    return tmp_path / "crowd"


def measured(stored: Stored) -> Distractors:
    (found,) = load_record(stored.scope.record_path("R-to-NT")).distractors
    return found


def refused(done: Outcome, code: int, *words: str) -> None:
    told = " ".join(done.stderr.split())
    assert (done.returncode, [word for word in words if word not in told]) == (code, []), told


def test_every_size_is_the_whole_gallery_at_once(stored: Stored, vectors: Path) -> None:
    done = stored.call(*RUN, "--distractors", str(vectors))
    assert done.returncode == 0, done.stderr
    found, items = measured(stored), stored.items
    assert (found.source, found.kind, found.seed) == ("crowd", "vectors", 0)
    assert [one.distractors for one in found.sizes] == [0, 100, 1000, 1500]
    assert [one.gallery for one in found.sizes] == [22, 122, 1022, 1522]
    added, (sizes, subset) = np.load(vectors / "NT.npy").astype(np.float32), nested(1500)
    assert sizes == (100, 1000, 1500)
    gallery = items.labels.take(items.gallery)
    for number, one in enumerate(found.sizes[1:]):
        own = added[subset <= number]
        others = 100 + np.arange(len(own))
        labels = Labels(*(np.concatenate([getattr(gallery, n), others]) for n in ("identity", "camera", "scene")))
        offered = np.concatenate([stored.matrices[NT][items.gallery], own])
        asked = stored.matrices[Modality.R][items.query]
        whole = rank_embeddings(asked, offered, items.labels.take(items.query), labels, stored.table.exclusion)
        means = evaluate(whole).summary()
        assert (one.mAP, one.rank1) == (means.mAP, means.rank1)
        assert one.interval[0] <= one.mAP <= one.interval[1]
        assert one.chance < found.sizes[number].chance
    metrics = load_record(stored.scope.record_path("R-to-NT")).metrics
    assert (found.sizes[0].mAP, found.sizes[0].rank1) == (metrics.mAP, metrics.rank1)


def test_safetensors_and_a_small_memory_give_the_same_and_another_seed_another_subset(
    stored: Stored, vectors: Path, tmp_path: Path
) -> None:
    assert stored.call(*RUN, "--distractors", str(vectors)).returncode == 0
    first = measured(stored)
    again = stored.call(*RUN, "--distractors", str(vectors))
    assert "1 reused, 0 done" in again.stderr
    drawn = np.load(vectors / "NT.npy").astype(np.float32)
    header = {"vectors": {"dtype": "F32", "shape": list(drawn.shape), "data_offsets": [0, drawn.nbytes]}}
    text = json.dumps({"__metadata__": {"made": "by hand"}, **header}).encode()
    (vectors / "NT.npy").unlink()
    (vectors / "NT.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + drawn.tobytes())
    assert stored.call(*RUN, "--distractors", str(vectors), "--memory-budget", "1").returncode == 0
    assert measured(stored).sizes == first.sizes
    assert measured(stored).digest != first.digest
    assert stored.call(*RUN, "--distractors", str(vectors), "--distractor-seed", "1").returncode == 0
    both = load_record(stored.scope.record_path("R-to-NT")).distractors
    assert [one.seed for one in both] == [0, 1]
    assert both[0].sizes[1] != both[1].sizes[1]
    assert both[0].sizes[-1] == both[1].sizes[-1]


def test_report_and_json_show_it(stored: Stored, vectors: Path, tmp_path: Path) -> None:
    done = stored.call(*RUN, "--distractors", str(vectors), "--json")
    rows = [row for row in json.loads(done.stdout)["measured"] if row["distractors"]]
    assert [(row["metric"], row["distractor_items"]) for row in rows[:3]] == [("mAP", 0), ("rank1", 0), ("mAP", 100)]
    assert rows[2]["value"] == pytest.approx(100 * measured(stored).sizes[1].mAP)
    texts = report_texts(stored.call, "distractors", tmp_path / "out")
    title = "mAP with distractors: vectors in crowd, R-to-NT"
    assert title in texts["report.md"]
    assert title in texts["report.html"]
    stem = "map-with-distractors-vectors-in-crowd-r-to-nt-msvr310-synthetic"
    assert f"{stem}.svg" in texts
    assert any(name.startswith("distractors-map") and name.endswith(".tex") for name in texts)
    tidy = csv.DictReader(io.StringIO(texts["results.csv"]))
    assert {(line["metric"], line["distractor_items"]) for line in tidy} >= {("mAP", ""), ("rank1", "1500")}


def test_what_cannot_be_used_is_refused_in_one_sentence(stored: Stored, vectors: Path, tmp_path: Path) -> None:
    with_it = (*RUN, "--distractors")
    refused(stored.call(*with_it, "nowhere"), 2, "--distractors nowhere is neither a folder nor one of the datasets")
    refused(stored.call(*with_it, str(vectors), "--rerank", "3,1,0.3"), 2, "--distractors is measured by the scores")
    refused(stored.call(*with_it, str(vectors), "--protocol", "N-to-R"), 3, "have no vectors for R, only for NT")
    refused(stored.call(*with_it, str(vectors), "--protocol", "mixed"), 2, "are known by different sensors")
    refused(stored.call(*with_it, str(tmp_path / "results")), 3, "No images in")
    np.save(vectors / "NT.npy", np.ones((5, WIDTH + 1), dtype=np.float32))
    refused(stored.call(*with_it, str(vectors)), 3, "have vectors of 7 numbers for NT", "those of the run have 6")
    np.save(vectors / "NT.npy", np.full((5, WIDTH), np.inf, dtype=np.float32))
    refused(stored.call(*with_it, str(vectors)), 3, "a score for NT is not finite")
    np.save(vectors / "NT.npy", np.ones((5, WIDTH)))
    refused(stored.call(*with_it, str(vectors)), 3, "holds no matrix (n, E) of float32 or float16")
    (vectors / "NT.npy").rename(vectors / "NT.safetensors")
    refused(stored.call(*with_it, str(vectors)), 3, "holds no matrix (n, E) of float32 or float16")
    assert len(measured(stored).sizes) == 4  # that of the whole folder is kept
    street = Embedded("street", "images", stored.folder, replace(stored.table, sensors=Modality.parse("RT")))
    with pytest.raises(DataError, match="street have no N, which the gallery asks for"):
        street.load(NT)


def test_images_are_embedded_once_with_the_weights_of_the_run(trained: Trained, tmp_path: Path) -> None:
    """A folder of images, another dataset, which is refused where it has the very images, and the training items."""
    shutil.copytree(trained.results, tmp_path / "results")
    own = Trained(tmp_path / "results", trained.images, trained.environment)
    (tmp_path / "data").mkdir()
    shutil.copytree(trained.images, tmp_path / "data" / "MSVR310")
    plant(tmp_path / "data", "rgbnt201")
    command = ("score", "--run", "msvr310-mdreid-tiny-s1", "--protocol", "R-to-NT", "--device", "cpu")
    folder = next(path for path in (tmp_path / "data" / "RGBNT201").iterdir() if path.is_dir())
    for source in ("msvr310", "rgbnt201", str(folder)):
        done = own.call(*command, "--data-root", str(tmp_path / "data"), "--distractors", source)
        assert done.returncode == 0, done.stderr
    record = load_record(own.folder("mdreid") / "full" / "R-to-NT.json")
    kinds = {one.kind: one for one in record.distractors}
    assert set(kinds) == {"training items", "dataset", "images"}
    assert all(one.sizes[0].mAP == record.metrics.mAP for one in kinds.values())
    stored = sorted(path.name for path in (own.folder("mdreid") / "full").glob("distractors-*"))
    assert len(stored) == 3
    again = own.call(*command, "--data-root", str(tmp_path / "data"), "--distractors", "rgbnt201")
    assert ("extracting" in again.stderr, "1 reused, 0 done" in again.stderr) == (False, True)
    told = own.call("report", "--suite", "distractors")
    assert "trained methods have seen them" in " ".join(told.stdout.split())
