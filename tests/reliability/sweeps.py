"""Files damaged in every way that one place allows, and what their readers make of it.

Every sweep returns how often the damage was refused with a clean error, was noticed (the file counts as another one),
or did not matter (the content read is the very same). Anything else, a wrong number above all, is an error.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from mdreid_bench.data.images import BadImageError, inspect_image, load_rgb
from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.render import render
from mdreid_bench.engine import checkpoint
from mdreid_bench.errors import DataError
from mdreid_bench.evaluation.embeddings import EmbeddingFolder, TestItems
from mdreid_bench.results.per_query import QueryValues
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.run_facts import RunFacts, SharedFacts
from protocols.exclusion import Exclusion, Labels
from protocols.modality import SUBSETS, Modality
from tests.results.factory import make_record, query_values

REFUSED, NOTICED, HARMLESS = "refused", "noticed as another file", "read the same"
Counts = Counter[str]
_BLOCK = 16


def damages(content: bytes, step: int) -> Iterator[tuple[str, bytes]]:
    """Yield cuts, flipped bits, blocks of zeros and bytes put in or left out, at every ``step``-th offset."""
    for at in range(0, len(content), step):
        bit = 1 << (at // step) % 8
        end = min(at + _BLOCK, len(content))
        yield "cut", content[:at]
        yield "flipped", content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
        yield "zeroed", content[:at] + bytes(end - at) + content[end:]
        yield "doubled", content[:at] + content[at:end] + content[at:]
        yield "left out", content[:at] + content[end:]


def sweep(content: bytes, step: int, read: Callable[[bytes], str]) -> Counts:
    """Damage a content in all ways; ``read`` tells what comes of each."""
    result: Counts = Counter()
    for kind, damaged in damages(content, step):
        if damaged != content:
            result[f"{kind}: {read(damaged)}"] += 1
    return result


def images(folder: Path, step: int) -> Counts:
    """A synthetic JPEG: an image that decodes has another fingerprint, and loads as what was inspected."""
    names = ("sweep", 0)
    drawn = render(
        draw_identity("vehicle", stream(*names, "identity")),
        draw_camera("vehicle", stream(*names, "camera")),
        draw_scene("vehicle", stream(*names, "scene"), place=0),
        stream(*names, "frame"),
    )
    buffer, path = io.BytesIO(), folder / "image.jpg"
    Image.fromarray(drawn[Modality.R]).save(buffer, "JPEG", quality=90)
    path.write_bytes(buffer.getvalue())
    before = inspect_image(path).digest

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        try:
            facts = inspect_image(path)
        except BadImageError:
            facts = None
        try:
            loaded = load_rgb(path)
        except BadImageError:
            assert facts is None
            return REFUSED
        assert facts is not None
        assert (loaded.width, loaded.height) == (facts.width, facts.height)
        assert facts.digest != before
        return NOTICED

    return sweep(buffer.getvalue(), step, read)


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
    values.write(path)

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        try:
            found = QueryValues.read(path)
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
    checkpoint.save_state(path, network, optimizer, {"epoch": 3, "log": [{"epoch": 1, "loss": 0.25}]})
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


def _embeddings(folder: Path) -> tuple[EmbeddingFolder, TestItems]:
    stored, rng, number = EmbeddingFolder(folder / "embeddings"), np.random.default_rng(0), np.arange(6)
    stored.path.mkdir(exist_ok=True)
    for subset in SUBSETS:
        np.save(stored.matrix(subset), rng.normal(size=(6, 4)).astype(np.float32))
    names = np.array([f"{i:04d}.jpg" for i in number])
    labels = Labels(number // 2, number % 2, number * 0)
    stored.write_items(TestItems(names, labels, number, number, Exclusion.CAMERA, "ab" * 16, None))
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
    record, path = make_record(), folder / "run.json"
    shared = SharedFacts(**{name: getattr(record, name) for name in SharedFacts.model_fields})
    facts = RunFacts(shared=shared, identities=5, cameras=3, training="a-b", weights=None)
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


def _described(items: TestItems) -> str:
    parts = (items.names, *vars(items.labels).values(), items.query, items.gallery)
    content = b"|".join(np.ascontiguousarray(part).tobytes() for part in parts)
    rest = (items.exclusion, items.test_fingerprint, items.limit, dict(items.hashes))
    return hashlib.sha256(content + repr(rest).encode()).hexdigest()


SWEEPS: dict[str, Callable[[Path, int], Counts]] = {
    "image (JPEG)": images,
    "record": records,
    "per-query values": per_query,
    "checkpoint": checkpoints,
    "table of embeddings": tables,
    "matrix of embeddings": matrices,
    "facts of a run": run_facts,
}
