"""Sweeps over the files that the suite writes; each returns how often which damage had which outcome."""

import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from mdreid_bench.data.items import Items
from mdreid_bench.embedding.stored import EmbeddingFolder, StoredItems
from mdreid_bench.errors import DataError
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import RunFolder
from mdreid_bench.search.gallery import seen
from mdreid_bench.search.search_index import SearchIndex
from mdreid_bench.weights import checkpoint
from protocols.exclusion import Exclusion, Labels
from protocols.modality import RNT, Modality, subsets
from tests.reliability.damage import HARMLESS, REFUSED, Counts, sweep
from tests.results.factory import make_record, query_values
from tests.results.facts import make_facts
from tests.support import small_config


def records(folder: Path, step: int) -> Counts:
    """A record file."""
    record = make_record()

    def read(damaged: bytes) -> str:
        try:
            found = decode(damaged)
        except BadRecordError:
            return REFUSED
        assert found == record
        return HARMLESS

    return sweep(json.dumps(encode(record), indent=2).encode(), step, read)


def per_query(folder: Path, step: int) -> Counts:
    """The per-query values of a cell."""
    values, path = query_values(40), folder / "values.npz"
    digest = values.write(path)

    def read(damaged: bytes) -> str:
        path.unlink()  # another inode, because a change within a tick of the clock need not change the time
        path.write_bytes(damaged)
        try:
            found = QueryValues.read(path, digest)
        except DataError:
            return REFUSED
        assert np.array_equal(found.names, values.names)
        assert np.array_equal(found.identities, values.identities)
        for name, array in vars(values.metrics).items():
            assert np.array_equal(getattr(found.metrics, name), array, equal_nan=array.dtype.kind == "f")
        return HARMLESS

    return sweep(path.read_bytes(), step, read)


def checkpoints(folder: Path, step: int) -> Counts:
    """A state of the training: weights, optimiser, log."""
    torch.manual_seed(0)
    network, path = nn.Linear(8, 5), folder / "state.safetensors"
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(8)).sum().backward()
    optimizer.step()
    checkpoint.save_state(path, network, optimizer, {"epoch": 3, "log": [{"epoch": 1, "loss": 0.25}]}, {})
    tensors, facts = checkpoint.read(path)

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        try:
            found, told = checkpoint.read(path)
        except DataError:
            return REFUSED
        assert told == facts
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], value) for name, value in tensors.items())
        return HARMLESS

    return sweep(path.read_bytes(), step, read)


def _embeddings(folder: Path) -> tuple[EmbeddingFolder, StoredItems]:
    stored, rng, number = EmbeddingFolder(folder / "embeddings"), np.random.default_rng(0), np.arange(6)
    stored.path.mkdir(exist_ok=True)
    for subset in subsets(RNT):
        np.save(stored.matrix(subset), rng.normal(size=(6, 4)).astype(np.float32))
    names = np.array([f"{i:04d}.jpg" for i in number])
    labels = Labels(number // 2, number % 2, number * 0)
    items = Items(names, labels, np.full(6, RNT.value, dtype=np.uint8), np.full(6, 6, dtype=np.uint8))
    stored.write_items(StoredItems(items, RNT, Exclusion.CAMERA, "ab" * 16, None))
    return stored, stored.read_items()


def tables(folder: Path, step: int) -> Counts:
    """The table of the rows of embeddings."""
    stored, items = _embeddings(folder)
    before = _described(items)

    def read(damaged: bytes) -> str:
        stored.items_file.write_bytes(damaged)
        try:
            found = stored.read_items()
        except DataError:
            return REFUSED
        assert _described(found) == before
        return HARMLESS

    return sweep(stored.items_file.read_bytes(), step, read)


def matrices(folder: Path, step: int) -> Counts:
    """A matrix of embeddings."""
    stored, items = _embeddings(folder)
    path = stored.matrix(Modality.R)
    before = np.array(stored.load(Modality.R, items))

    def read(damaged: bytes) -> str:
        path.unlink()  # another inode, because a change within a tick of the clock need not change the time
        path.write_bytes(damaged)
        try:
            found = stored.load(Modality.R, items)
        except DataError:
            return REFUSED
        assert np.array_equal(found, before)
        return HARMLESS

    return sweep(path.read_bytes(), step, read)


def run_facts(folder: Path, step: int) -> Counts:
    """The description of a run."""
    facts, path = make_facts(), folder / "run.json"
    facts.write(path)

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        try:
            found = RunFacts.read(path)
        except DataError:
            return REFUSED
        assert found == facts
        return HARMLESS

    return sweep(path.read_bytes(), step, read)


def configuration(folder: Path, step: int) -> Counts:
    """The configuration with which a trained method is built again; what does not matter for numbers may change."""
    config, place = small_config("mdreid"), RunFolder(folder)
    determining = config.determining()
    facts = make_facts(config=canonical_hash(determining))

    def read(damaged: bytes) -> str:
        place.config.write_bytes(damaged)
        try:
            found = read_config(place.config, facts)
        except DataError:
            return REFUSED
        assert found.determining() == determining
        return HARMLESS

    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    return sweep(text.encode(), step, read)


def search_index(folder: Path, step: int) -> Counts:
    """All three files of a search index, one after the other; FAISS by itself would read damaged vectors."""
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    items = Items.of(seen(f"{row}", dict.fromkeys(subsets(RNT)[row], Path("a.jpg"))) for row in range(6))
    built = SearchIndex.build(vectors, items, run="a-run", weights=None)
    built.write(folder)
    before = built.search(vectors[0], 6)

    def read(damaged: bytes, path: Path) -> str:
        path.unlink()  # another inode, because a change within a tick of the clock need not change the time
        path.write_bytes(damaged)
        try:
            found = SearchIndex.read(folder)
        except DataError:
            return REFUSED
        assert found.search(vectors[0], 6) == before
        return HARMLESS

    counts = Counts()
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        counts += sweep(content, step, partial(read, path=path))
        path.write_bytes(content)
    return counts


def _described(stored: StoredItems) -> str:
    items = stored.items
    parts = (items.names, *vars(items.labels).values(), items.sensors, items.roles)
    content = b"|".join(np.ascontiguousarray(part).tobytes() for part in parts)
    rest = [getattr(stored, name) for name in vars(stored) if name != "items"]
    return hashlib.sha256(content + repr(rest).encode()).hexdigest()
