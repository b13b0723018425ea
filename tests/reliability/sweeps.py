"""Sweeps over the files that others write, and the list of all sweeps; each counts its outcomes."""

import io
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from mdreid_bench.data import fingerprint
from mdreid_bench.data.images import BadImageError, inspect_image, load_rgb
from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.render import render
from mdreid_bench.errors import DataError
from mdreid_bench.models.state_dict import read_state
from protocols.modality import Modality
from tests.reliability import stored
from tests.reliability.damage import HARMLESS, NOTICED, REFUSED, Counts, sweep


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


def released(folder: Path, step: int) -> Counts:
    """A checkpoint in the format of PyTorch, which has no checksum that is looked at: its SHA-256 names the run."""
    torch.manual_seed(0)
    path, state = folder / "released.pth", {f"layer{number}.weight": torch.randn(3, 4) for number in range(3)}
    torch.save(state, path)

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        try:
            found = read_state(path)
        except DataError:
            return REFUSED
        same = found.keys() == state.keys() and all(torch.equal(found[name], value) for name, value in state.items())
        return HARMLESS if same else NOTICED

    return sweep(path.read_bytes(), step, read)


def remembered(folder: Path, step: int) -> Counts:
    """What is remembered of images between two runs, in the user's cache."""
    rest = (8, 8, ("counts",), (0.0, 9.0))
    facts = {f"{number}.jpg": (number, number, f"{number:032x}", *rest) for number in range(4)}
    path = folder / "images.json"
    path.write_text(fingerprint.Remembered.of(facts).model_dump_json())

    def read(damaged: bytes) -> str:
        path.write_bytes(damaged)
        found = fingerprint.recall(path)
        assert found in ({}, facts)
        return HARMLESS if found else REFUSED

    return sweep(path.read_bytes(), step, read)


SWEEPS: dict[str, Callable[[Path, int], Counts]] = {
    "image (JPEG)": images,
    "released checkpoint (PyTorch)": released,
    "checkpoint": stored.checkpoints,
    "table of embeddings": stored.tables,
    "matrix of embeddings": stored.matrices,
    "per-query values": stored.per_query,
    "record": stored.records,
    "facts of a run": stored.run_facts,
    "configuration of a run": stored.configuration,
    "search index": stored.search_index,
    "memory of the images": remembered,
}
