"""Small copies of the real folder layouts."""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from mdreid_bench.data import registry
from mdreid_bench.data.check import Reading, read_dataset
from mdreid_bench.data.dataset import Fault, Scan
from mdreid_bench.data.synthetic.plan import PlannedFrame
from mdreid_bench.progress import Reporter, Silent, Step

DATASETS = ("market1501-mm", "msvr310", "rgbnt100", "rgbnt201", "wmveid863")


class Recorder(Silent):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.totals: list[int] = []
        self.done = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Step]:
        self.totals.append(total)

        def step(count: int = 1, note: str = "") -> None:
            self.done += count

        yield step


def check_dataset(name: str, root: Path, reporter: Reporter) -> Reading:
    """Read a dataset as ``check`` does."""
    return read_dataset(name, root, reporter, anew=True)


def faults(scan: Scan) -> tuple[Fault, ...]:
    """Everything that is wrong with file names."""
    missing = (Fault(path, "file is missing") for paths in scan.missing.values() for path in paths)
    return (*scan.misnamed, *missing)


def small_plan(dataset: str) -> list[PlannedFrame]:
    """The tiny plan reduced to four training and two test identities."""
    frames = registry.get(dataset).plan("tiny")
    chosen = []
    for train in (True, False):
        part = [frame for frame in frames if ("train" in frame.paths[0]) == train]
        labels = sorted({frame.identity for frame in part})[: 4 if train else 2]
        chosen += [frame for frame in part if frame.identity in labels]
    return chosen


def names(frames: Iterable[PlannedFrame]) -> list[str]:
    """All file names of a plan."""
    return [path for frame in frames for path in (*frame.paths, *frame.copy)]


def paint(path: Path, size: tuple[int, int], key: str) -> None:
    """Write a JPEG of one colour that depends on ``key``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = zlib.crc32(key.encode())
    Image.new("RGB", size, (number & 255, number >> 8 & 255, number >> 16 & 255)).save(path, "JPEG")


def plant(root: Path, dataset: str) -> Path:
    """Write the small plan as plain coloured images and return the folder of the dataset."""
    known = registry.get(dataset)
    folder = root / known.card.title
    size = known.strip_size or (12, 8)
    for frame in small_plan(dataset):
        for paths in (frame.paths, frame.copy):
            for number, path in enumerate(paths):
                paint(folder / path, size, frame.paths[number])
    return folder
