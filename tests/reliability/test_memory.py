"""Extraction in parts and in a memory that does not suffice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding import parts
from mdreid_bench.embedding.extract import extract
from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import MdreidError, is_out_of_memory
from mdreid_bench.models.method import Method
from protocols.modality import RNT, subsets
from tests.data.trees import Recorder
from tests.reliability.training import CPU, untrained


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("out of memory"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


class Cramped:
    """A memory that holds no more than some items, and counts what was embedded in it."""

    def __init__(self, method: Method, room: int, stop_after: int = 10**6) -> None:
        self.original, self.room, self.stop_after = method.embed_all, room, stop_after
        self.rows = 0

    def __deepcopy__(self, _: Any) -> "Cramped":
        """Stay one and the same in the copy of the method that embeds."""
        return self

    def __call__(self, images: Any, camera: Tensor, subsets: Any) -> Any:
        if len(camera) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        if self.rows >= self.stop_after:
            raise KeyboardInterrupt
        self.rows += len(camera)
        return self.original(images, camera, subsets)


def _extract(
    index: DatasetIndex, config: RunConfig, path: Path, room: int = 1000, stop_after: int = 10**6, seed: int = 0
) -> tuple[dict[str, Any], list[str], int]:
    """Return the matrices, the messages and the number of rows that were embedded."""
    method, recorder, folder = (
        untrained(index, config.model_copy(update={"seed": seed})),
        Recorder(),
        EmbeddingFolder(path),
    )
    cramped = Cramped(method.eval(), room, stop_after)
    method.embed_all = cramped  # type: ignore[method-assign]
    try:
        extract(method, index, config, folder, CPU, recorder)
    except KeyboardInterrupt:
        assert not folder.items_file.exists()
        return {}, recorder.messages, cramped.rows
    assert {p.name for p in path.iterdir()} == {*(f"{s}.npy" for s in subsets(RNT)), "items.npz"}
    return {str(s): np.load(folder.matrix(s)) for s in subsets(RNT)}, recorder.messages, cramped.rows


def test_extraction_halves_its_batches_until_they_fit(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    whole, none, _ = _extract(index, config, tmp_path / "whole")
    halved, messages, rows = _extract(index, config, tmp_path / "halved", room=1)
    assert none == []
    assert [m.split("; ")[0] for m in messages] == [
        "Too little memory for 5 items at once with single-classifier",
        "Too little memory for 2 items at once with single-classifier",
    ]
    assert rows == len(index.test)
    assert all(np.abs(whole[name] - halved[name]).max() < 1e-6 for name in whole)


def test_extraction_that_cannot_hold_one_item_says_so(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(MdreidError, match="A single item of msvr310 is too large for the memory of cpu"):
        _extract(index, config, tmp_path, room=0)


@pytest.fixture
def _every_batch_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SECONDS", 0.0)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_extraction_continues_after_the_last_part(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    whole, _, count = _extract(index, config, tmp_path / "whole")
    for stop in (5, 10, 15):
        path = tmp_path / str(stop)
        _extract(index, config, path, stop_after=stop)
        found, _, rows = _extract(index, config, path)
        assert rows == count - stop
        assert all(np.array_equal(whole[name], found[name]) for name in whole)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_parts_of_other_weights_are_not_continued(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    other, _, count = _extract(index, config, tmp_path / "other", seed=5)
    _extract(index, config, tmp_path / "mixed", stop_after=10, seed=0)
    found, _, rows = _extract(index, config, tmp_path / "mixed", seed=5)
    assert rows == count
    assert all(np.array_equal(other[name], found[name]) for name in other)


@pytest.mark.usefixtures("_every_batch_is_a_part")
def test_a_damaged_part_and_those_after_it_are_made_again(
    index: DatasetIndex, config: RunConfig, tmp_path: Path
) -> None:
    whole, _, count = _extract(index, config, tmp_path / "whole")
    path = tmp_path / "damaged"
    _extract(index, config, path, stop_after=15)
    second = sorted((path / "parts").iterdir())[1]
    content = bytearray(second.read_bytes())
    content[-7] ^= 1
    second.write_bytes(content)
    found, _, rows = _extract(index, config, path)
    assert rows == count - 5
    assert all(np.array_equal(whole[name], found[name]) for name in whole)


def test_without_much_to_do_there_is_one_part(index: DatasetIndex, config: RunConfig, tmp_path: Path) -> None:
    _extract(index, config, tmp_path, stop_after=15)
    assert not (tmp_path / "parts").exists()
