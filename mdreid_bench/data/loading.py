"""The images of items, read, resized and, for training, augmented."""

from collections.abc import Sequence

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.corrupting import corrupted
from mdreid_bench.data.feeding import Rows, Sample
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.transforms import Pixels, TrainTransform, resize
from protocols.corruption import Corruption
from protocols.modality import Modality

Draw = tuple[Rows, int, int]
"""(row, epoch, position in the epoch): the item to read, or that of each sensor, and what augmentation depends on."""


class ItemReader:
    """Reads and resizes items, keeping the resized pixels in memory while they fit.

    Args:
        index: the dataset.
        items: its training or test items.
        config: size of the images and range of counts.
        training: which interpolation to resize with.
        cache_bytes: memory for resized items; 0 keeps none.
        corruption: what becomes of the decoded images before they are resized; None leaves them as they are.
    """

    def __init__(
        self,
        index: DatasetIndex,
        items: Items,
        config: RunConfig,
        *,
        training: bool,
        cache_bytes: int = 0,
        corruption: Corruption | None = None,
    ) -> None:
        self.index, self.images, self.training = index, items.images, training
        self.names, self.corruption = items.names, corruption
        self.size, self.counts = config.image_size, config.image.counts
        self.item_bytes = len(index.sensors) * 3 * self.size[0] * self.size[1]
        self.capacity = cache_bytes // self.item_bytes
        self._cache: dict[int, dict[Modality, Pixels]] = {}

    def __call__(self, row: int) -> dict[Modality, Pixels]:
        """Return the resized images of a row, (H, W, 3) uint8 by modality."""
        if row in self._cache:
            return self._cache[row]
        images = self.index.read(self.images[row], self.counts)
        if self.corruption is not None:
            images = corrupted(images, self.corruption, str(self.names[row]))
        pixels = {m: resize(image, self.size, training=self.training) for m, image in images.items()}
        if len(self._cache) < self.capacity:
            self._cache[row] = pixels
        return pixels


class TrainingImages:
    """Augmented images of the training items of some datasets, one after the other, by ``Draw``.

    Args:
        indexes: the datasets.
        config: image size, augmentation, seed, cache.
        sensors: whose images are read.
        stream: what the augmentation depends on besides seed, epoch and position.
    """

    def __init__(
        self, indexes: Sequence[DatasetIndex], config: RunConfig, sensors: Modality, stream: tuple[int, ...] = ()
    ) -> None:
        cache = (config.data.cache_mb << 20) // len(indexes)
        self.readers = [ItemReader(i, i.train, config, training=True, cache_bytes=cache) for i in indexes]
        self.places = [(read, row) for read in self.readers for row in range(len(read.images))]
        self.sensors, self.seed = tuple(sensors), (config.seed, *stream)
        self.transform = TrainTransform(config.augment)
        noise = 4 * config.augment.erase * max(config.augment.erase_area)  # bytes for each byte of pixels
        self.item_bytes = round(max(read.item_bytes for read in self.readers) * (1 + noise))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, draw: Draw) -> Sample:
        rows, epoch, position = draw
        if isinstance(rows, int):
            found = self._read(rows)
            pixels = {m: found[m] for m in self.sensors}
        else:
            pixels = {m: self._read(row)[m] for m, row in zip(self.sensors, rows, strict=True)}
        return Sample(*self.transform.each(pixels, (*self.seed, epoch, position)), rows)

    def _read(self, row: int) -> dict[Modality, Pixels]:
        read, own = self.places[row]
        return read(own)


class TestImages:
    """Images of test items, or of other ones, by row number; not augmented, but corrupted where that is asked for."""

    def __init__(
        self,
        index: DatasetIndex,
        config: RunConfig,
        items: Items | None = None,
        corruption: Corruption | None = None,
    ) -> None:
        own = index.test if items is None else items
        self.read = ItemReader(index, own, config, training=False, corruption=corruption)
        self.item_bytes = self.read.item_bytes

    def __len__(self) -> int:
        return len(self.read.images)

    def __getitem__(self, row: int) -> Sample:
        return Sample(self.read(row), {}, row)
