"""The images behind stored embeddings: found, checked to be those of the run, and made small."""

import io
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.check_rules import Kind as Finding
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.location import VARIABLE, given_root, resolve_data_root
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.embedding.stored import StoredItems
from mdreid_bench.errors import DataError
from mdreid_bench.inspection.strips import SIZE, Picture
from mdreid_bench.progress import Reporter
from mdreid_bench.results.run_facts import RunFacts
from protocols.modality import Modality


def open_images(
    facts: RunFacts, stored: StoredItems, data_root: Path | None, reporter: Reporter
) -> tuple[DatasetIndex | None, str]:
    """Find the test images of a run; where nobody said where they are, perhaps none, and the reason in a few words.

    Raises:
        DataError: when a folder that was named does not hold the dataset, or other images than the run was tested
            with.
    """
    shared, given = facts.shared, given_root(data_root)
    if given is None and shared.data_kind == "real":
        return None, f"neither --data-root nor {VARIABLE} says where they are"
    location = resolve_data_root(data_root, shared.dataset, reporter)
    incomplete = not shared.data_findings.keys().isdisjoint((Finding.MISSING, Finding.EXTRA))
    index = open_dataset(shared.dataset, location.root, reporter, shared.split, incomplete=incomplete)
    if stored.limit is not None:
        index = index.limited(stored.limit)
    if index.test_fingerprint == stored.test_fingerprint:
        return index, ""
    differ = f"the test images of {index.card.title} in {location.root} are not those that the run was tested with"
    if given is None:
        return None, f"{differ}, which --data-root can name"
    raise DataError(
        f"{differ[0].upper()}{differ[1:]} (fingerprint {index.test_fingerprint[:10]}, not "
        f"{stored.test_fingerprint[:10]}); name their folder with --data-root, or go without with --no-images."
    )


@dataclass(frozen=True)
class Thumbnails:
    """Small images of test items; only those that are asked for are decoded.

    Attributes:
        index: the dataset; None where images are not to be had.
        config: of the run, for the range of counts.
    """

    index: DatasetIndex | None
    config: RunConfig | None
    _known: dict[int, dict[Modality, Image.Image]] = field(default_factory=dict, repr=False)

    def of(self, row: int) -> dict[Modality, Image.Image]:
        """Return the images of an item by sensor, ``SIZE`` pixels at the longer side, and keep them; see ``read``."""
        if row not in self._known:
            self._known[row] = self.read(row, SIZE)
        return self._known[row]

    def read(self, row: int, size: int) -> dict[Modality, Image.Image]:
        """Return the images of an item by sensor, with so many pixels at the longer side; empty without images.

        Raises:
            DataError: for an image that has changed since the dataset was opened.
        """
        if self.index is None:
            return {}
        counts = self.config.image.counts if self.config else None
        found = self.index.read(self.index.test.images[row], counts)
        return {sensor: _scaled(image, size) for sensor, image in found.items()}

    def pictures(self, row: int, name: str, sensors: Modality) -> tuple[Picture, ...]:
        """Return one picture for each of some sensors, in their order."""
        found = self.of(row)
        return tuple(Picture(f"{name}, {sensor}", str(sensor), found.get(sensor)) for sensor in sensors)


def _scaled(image: Image.Image, size: int) -> Image.Image:
    """Shrink or stretch an image to some pixels at its longer side."""
    scale = size / max(image.size)
    width, height = (max(1, round(scale * length)) for length in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    """Return the bytes of an image file, the same each time."""
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return stream.getvalue()
