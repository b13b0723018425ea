"""Handing over batches: equal bits with and without loader processes, and no waiting for what never comes."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdreid_bench.config.schema import ImageConfig, RunConfig
from mdreid_bench.data import feeding, loading
from mdreid_bench.data.feeding import Feeder, Sample, fitting
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.loading import TrainingImages
from mdreid_bench.data.transforms import normalise, normalised
from mdreid_bench.errors import DataError, MdreidError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, Modality
from tests.support import small_config

CPU = torch.device("cpu")
PATIENCE = 60
"""Seconds after which a test takes a wait for endless."""


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


class Grey:
    """Small grey images; ``before`` is called with the key of each."""

    item_bytes = 3 * 4 * 4

    def __init__(self, before: Callable[[int], None], side: int = 4) -> None:
        self.before, self.side = before, side
        self.item_bytes = 3 * side * side

    def __len__(self) -> int:
        return 64

    def __getitem__(self, key: Any) -> Sample:
        self.before(key)
        return Sample({Modality.R: np.full((self.side, self.side, 3), key, dtype=np.uint8)}, {}, key)


def test_a_table_of_levels_holds_what_arithmetic_gives() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 9, 7), dtype=np.uint8))
    by_channel = ImageConfig(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    for image in (ImageConfig(), ImageConfig(mean=0.4815, std=0.2686), by_channel, ImageConfig(mean=(0.4, 0.5, 0.6))):
        mean, std = (torch.tensor(value, dtype=torch.float32).reshape(-1, 1, 1) for value in (image.mean, image.std))
        by_hand = pixels.float().div_(255).sub_(mean).div_(std)
        assert torch.equal(normalised(pixels, image), by_hand)
        one = normalise(np.ascontiguousarray(pixels[0].permute(1, 2, 0).numpy()), image)
        assert torch.equal(one, by_hand[0])


@pytest.fixture
def config() -> RunConfig:
    return small_config("mdreid")


def test_training_batches_are_the_same_to_the_bit_with_any_number_of_processes(
    planted: DatasetIndex, config: RunConfig
) -> None:
    keys = [[(row, epoch, row) for row in range(4)] for epoch in range(3)]
    seen = {}
    for workers in (0, 1, 2):
        torch.manual_seed(5)
        feed = Feeder(TrainingImages([planted], config, planted.sensors), workers)
        batches = [loaded.on(CPU, config.image) for part in (keys[:2], keys[2:]) for loaded in feed(part)]
        seen[workers] = (batches, torch.rand(3))
    for workers in (1, 2):
        for one, other in zip(seen[0][0], seen[workers][0], strict=True):
            assert all(torch.equal(one[sensor], other[sensor]) for sensor in RNT)
        assert torch.equal(seen[0][1], seen[workers][1])


def test_erased_boxes_are_filled_with_the_noise_that_was_drawn_for_them(
    planted: DatasetIndex, config: RunConfig
) -> None:
    erasing = config.model_copy(update={"augment": config.augment.model_copy(update={"erase": 1.0})})
    source = TrainingImages([planted], erasing, planted.sensors)
    samples = [source[row, 1, row] for row in range(3)]
    images = feeding.collate(samples).on(CPU, erasing.image)
    assert any(sample.boxes for sample in samples)
    for place, sample in enumerate(samples):
        for sensor, pixels in sample.pixels.items():
            expected = normalise(pixels, erasing.image)
            if sensor in sample.boxes:
                top, left, noise = sample.boxes[sensor]
                expected[:, top : top + noise.shape[1], left : left + noise.shape[2]] = torch.from_numpy(noise)
            assert torch.equal(images[sensor][place], expected)


def test_what_is_handed_over_is_no_larger_than_was_reckoned(planted: DatasetIndex, config: RunConfig) -> None:
    for source, keys in (
        (TrainingImages([planted], config, planted.sensors), [(row, 0, row) for row in range(8)]),
        (loading.TestImages(planted, config), list(range(8))),
    ):
        loaded = feeding.collate([source[key] for key in keys])  # type: ignore[index]
        assert loaded.pixels.nbytes + loaded.noise.nbytes <= len(keys) * source.item_bytes


@pytest.mark.parametrize(
    ("wanted", "free", "workers"),
    [(8, None, 8), (8, 10**9, 8), (2, 75 * 2**20, 2), (8, 75 * 2**20, 2), (1, 40 * 2**20, 0), (2, 0, 0), (0, 0, 0)],
)
def test_as_many_processes_as_find_room(wanted: int, free: int | None, workers: int) -> None:
    assert fitting(wanted, 10 * 2**20, free) == workers


@pytest.mark.parametrize(("free", "workers"), [(1 << 20, "none of 2"), (8 << 20, "1 of 2")])
def test_too_little_shared_memory_is_said_before_it_is_used(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, free: int, workers: str
) -> None:
    told, asked = Told(), config.model_copy(update={"data": config.data.model_copy(update={"workers": 2})})
    source = Grey(lambda _: None, side=512)
    monkeypatch.setattr(feeding, "shared_space", lambda: free)
    feed = feeding.feeder(source, 2, asked, CPU, told)
    assert [loaded.rows.tolist() for loaded in feed([[0, 1], [2]])] == [[0, 1], [2]]
    assert told.lines == [
        f"The {free >> 20} MB that are free in /dev/shm are enough for {workers} loader processes; a container gets "
        "more with docker run --shm-size=12m."
    ]
    monkeypatch.setattr(feeding, "shared_space", lambda: 12 << 20)
    feeding.feeder(source, 2, asked, CPU, told)
    assert len(told.lines) == 1


def _killed(key: int) -> None:
    if key == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def _lost(key: int) -> None:
    if key == 3:
        raise DataError("The image 3 is lost.")


def test_a_loader_process_that_is_killed_is_an_error_with_advice() -> None:
    start = time.monotonic()
    with pytest.raises(MdreidError, match=r"has died, .*--set data.workers=1"):
        list(Feeder(Grey(_killed), workers=2)([[0, 1], [2, 3], [4]]))
    assert time.monotonic() - start < PATIENCE


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_data_is_the_same_from_a_loader_process(workers: int) -> None:
    with pytest.raises(DataError, match=r"^The image 3 is lost\.$"):
        list(Feeder(Grey(_lost), workers)([[0, 1], [2, 3]]))
    assert multiprocessing.active_children() == []


SMALL = """
import sys, torch
from tests.data.test_feeding import CPU, Grey, Told
from mdreid_bench.data.feeding import Feeder, feeder
from mdreid_bench.errors import MdreidError
from tests.support import small_config

source, batches = Grey(lambda key: None, side=512), [[0, 1, 2, 3]] * 4
try:
    list(Feeder(source, 2)(batches))
except MdreidError as error:
    print(error)
config, told = small_config("mdreid"), Told()
config = config.model_copy(update={"data": config.data.model_copy(update={"workers": 2})})
print(len(list(feeder(source, 4, config, CPU, told)(batches))), *told.lines)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="only root can mount a small /dev/shm"
)
def test_a_small_dev_shm_ends_in_an_error_or_is_avoided(tmp_path: Path) -> None:
    script = tmp_path / "small.py"
    script.write_text(SMALL)
    mount = f"mount -t tmpfs -o size=4m tmpfs /dev/shm && exec {sys.executable} {script}"
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "mount" in done.stderr and not done.stdout:
        pytest.skip(f"no small /dev/shm here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    full, avoided = done.stdout.splitlines()
    assert full.startswith("The shared memory in /dev/shm is full; use fewer loader processes")
    assert avoided.startswith("4 The 4 MB that are free in /dev/shm are enough for none of 2 loader processes")
