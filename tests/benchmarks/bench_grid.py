"""The price of all 49 protocols: with extraction, without it, and through the whole of ``run``."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items, Role
from mdreid_bench.data.location import resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.extract import embedded, extract
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.evaluation.cells import CellScorer
from mdreid_bench.models.mdreid.card import CARD
from mdreid_bench.models.mdreid.method import MDReID
from mdreid_bench.models.method import DataFacts, Method
from mdreid_bench.processes.device import pick_precision
from mdreid_bench.progress import Silent
from mdreid_bench.results.store import Store
from mdreid_bench.runs.execute import Means, execute
from mdreid_bench.runs.plan import plan_cells
from mdreid_bench.runs.run import Run
from mdreid_bench.weights.checkpoint import save_weights
from protocols.exclusion import Exclusion
from protocols.modality import RNT, subsets
from protocols.protocol import Protocol, protocols_of
from tests.benchmarks.measuring import MEBIBYTE, Benchmark, require, seconds
from tests.benchmarks.stored_grid import score
from tests.protocols.cases import labels
from tests.results.factory import make_record
from tests.results.facts import make_facts

CPU = torch.device("cpu")
TRIPLETS = 67
"""201 images."""
ALONE = Protocol.parse("RNT-to-RNT")
QUERIES, ITEMS, WIDTH = 1715, 8575, 2048
"""RGBNT100 with MDReID on CLIP ViT-B/16."""


@pytest.fixture(scope="module")
def index() -> DatasetIndex:
    """Synthetic MSVR310, from the cache or drawn anew."""
    location = resolve_data_root(None, "msvr310", Silent())
    return open_dataset("msvr310", location.root, Silent())


def configure(index: DatasetIndex, preset: str) -> RunConfig:
    flags = {"trunk": {"pretrained": None}}
    card = index.card
    options = CARD.options_model
    return resolve("mdreid", options, CARD.recipes, card.name, card.image_size, preset, Overrides(flags=flags))


def untrained(index: DatasetIndex, config: RunConfig) -> Method:
    torch.manual_seed(0)
    return MDReID.build(config, DataFacts(index.train.identities, index.card.cameras))


class PaperTrunk:
    """ViT-B/16 with random weights and 201 images, each triplet both query and gallery item."""

    def __init__(self, index: DatasetIndex, folder: Path) -> None:
        roles = np.full(TRIPLETS, (Role.QUERY | Role.GALLERY).value, dtype=np.uint8)
        self.index = replace(index, test=replace(index.test.take(np.arange(TRIPLETS)), roles=roles))
        self.config, self.scope = configure(index, "paper"), Store(folder).folder(make_record()).scope(None)
        self.folder = EmbeddingFolder(self.scope.embeddings)
        self.method = untrained(index, self.config).eval()
        self.precision = pick_precision(self.config.evaluation.precision, CPU, self.method.token_width)

    def grid(self) -> None:
        """Do what ``run`` does for all protocols."""
        extract(self.method, self.index, self.config, self.folder, CPU, Silent())
        self.score(protocols_of(RNT))

    def alone(self) -> None:
        """Do no more than RNT-to-RNT needs: one embedding per item, one matrix, one protocol."""
        (matrix,) = embedded(self.method, self.index, self.config, CPU, (RNT,)).values()
        self.folder.path.mkdir(parents=True, exist_ok=True)
        for subset in subsets(RNT):  # the table names them all; the others are empty
            self.folder.matrix(subset).write_bytes(b"")
        np.save(self.folder.matrix(RNT), matrix)
        self.folder.write_items(StoredItems.of(self.index))
        self.score((ALONE,))

    def score(self, protocols: Sequence[Protocol]) -> None:
        score(self.folder.read_items(), CellScorer(make_facts(), self.scope), protocols)


def test_grid_with_extraction(benchmark: Benchmark, index: DatasetIndex, tmp_path: Path) -> None:
    paper = PaperTrunk(index, tmp_path)
    paper.method.embed_all({m: torch.zeros(1, 3, 128, 256) for m in RNT}, torch.zeros(1).long(), subsets(RNT))
    alone: list[float] = []
    processor: dict[str, float] = {}

    def counted(name: str, work: Callable[[], None]) -> None:
        start = time.process_time()
        work()
        processor[name] = min(processor.get(name, math.inf), time.process_time() - start)

    benchmark.pedantic(
        lambda: counted("grid", paper.grid),
        setup=lambda: alone.append(seconds(lambda: counted("alone", paper.alone))),
        rounds=3,
    )
    benchmark.extra_info["seconds of RNT-to-RNT alone"] = round(min(alone), 2)
    benchmark.extra_info["ratio of processor times"] = round(processor["grid"] / processor["alone"], 3)
    size = f"paper trunk, {3 * TRIPLETS} images, {paper.precision}"
    what = f"49 protocols against RNT-to-RNT alone, extraction included ({size})"
    require(benchmark, what, benchmark.stats["min"] / min(alone), 1.10, "times")


@pytest.mark.parametrize("vectors", ["of MDReID's form", "without zeros"])
def test_grid_from_stored_embeddings(benchmark: Benchmark, tmp_path: Path, vectors: str) -> None:
    rng = np.random.default_rng(0)
    facts = make_facts()
    scope = Store(tmp_path).folder(make_record()).scope(None)
    folder = EmbeddingFolder(scope.embeddings)
    folder.path.mkdir(parents=True)
    for subset in subsets(RNT):
        matrix = rng.standard_normal((ITEMS, WIDTH), dtype=np.float32)
        if vectors == "of MDReID's form":  # a block for each sensor, zero where it is absent, and one for all
            absent = [place for place, sensor in enumerate(RNT) if sensor not in subset]
            matrix.reshape(ITEMS, len(RNT) + 1, -1)[:, absent] = 0
        np.save(folder.matrix(subset), matrix)
    query = np.sort(rng.choice(ITEMS, QUERIES, replace=False))
    names = np.array([f"{row:05d}" for row in range(ITEMS)])
    known = labels(rng, ITEMS, 50, 8)
    roles = np.full(ITEMS, Role.GALLERY.value, dtype=np.uint8)
    roles[query] |= Role.QUERY.value
    items = Items(names, known, np.full(ITEMS, RNT.value, dtype=np.uint8), roles)
    folder.write_items(StoredItems(items, RNT, Exclusion.CAMERA, "b" * 12, None))
    facts.write(scope.path.parent / "run.json")
    command = [sys.executable, "-m", "tests.benchmarks.stored_grid", str(scope.path)]
    done = benchmark.pedantic(lambda: subprocess.run(command, capture_output=True, check=True), rounds=1)
    measured = json.loads(done.stdout)
    left, right = (rng.standard_normal((rows, WIDTH), dtype=np.float32) for rows in (QUERIES, ITEMS))
    bare = min(seconds(lambda: left @ right.T) for _ in range(3))
    benchmark.extra_info["seconds of 49 bare matrix products"] = round(49 * bare, 1)
    what = f"49 protocols from stored embeddings {vectors}, {QUERIES:,} x {ITEMS:,} items, E = {WIDTH:,}"
    require(benchmark, what, measured["seconds"], 10, "s")
    require(benchmark, f"peak memory of the process: {what}", measured["bytes"] / MEBIBYTE, 2048, "MiB")


def test_grid_through_run(benchmark: Benchmark, index: DatasetIndex, tmp_path: Path) -> None:
    config = configure(index, "tiny")
    method = untrained(index, config)
    stores = iter(range(1000))

    def measure(protocols: Sequence[Protocol]) -> None:
        store = Store(tmp_path / str(next(stores)))
        run = Run(MDReID.card, index, config, {}, None, store)
        # Random weights stand in for trained ones, so that nothing is trained here.
        save_weights(run.training_folder.weights, method, {})
        outcomes = list(execute([(run, plan_cells(run, protocols))], Means(CPU, Silent())))
        assert all(outcome.status == "done" for outcome in outcomes)

    measure((ALONE,))
    alone: list[float] = []
    benchmark.pedantic(
        lambda: measure(protocols_of(RNT)), setup=lambda: alone.append(seconds(lambda: measure((ALONE,)))), rounds=5
    )
    benchmark.extra_info["seconds of one protocol"] = round(min(alone), 2)
    what = f"49 protocols against one through run, same model and images (tiny preset, {len(index.test)} triplets)"
    require(benchmark, what, benchmark.stats["min"] / min(alone), 1.5, "times")
