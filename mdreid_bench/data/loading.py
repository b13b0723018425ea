"""The images of items, read, resized and, for training, augmented."""

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.feeding import Sample
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.transforms import Pixels, TrainTransform, resize
from protocols.modality import Modality

Draw = tuple[int, int, int]
"""(row, epoch, position in the epoch): the row to read and what its augmentation depends on."""


class ItemReader:
    """Reads and resizes items, keeping the resized pixels in memory while they fit.

    Args:
        index: the dataset.
        items: its training or test items.
        config: size of the images and range of counts.
        training: which interpolation to resize with.
        cache_bytes: memory for resized items; 0 keeps none.
    """

    def __init__(
        self, index: DatasetIndex, items: Items, config: RunConfig, *, training: bool, cache_bytes: int = 0
    ) -> None:
        self.index, self.images, self.training = index, items.images, training
        self.size, self.counts = config.image_size, config.image.counts
        self.item_bytes = len(index.sensors) * 3 * self.size[0] * self.size[1]
        self.capacity = cache_bytes // self.item_bytes
        self._cache: dict[int, dict[Modality, Pixels]] = {}

    def __call__(self, row: int) -> dict[Modality, Pixels]:
        """Return the resized images of a row, (H, W, 3) uint8 by modality."""
        if row in self._cache:
            return self._cache[row]
        images = self.index.read(self.images[row], self.counts)
        pixels = {m: resize(image, self.size, training=self.training) for m, image in images.items()}
        if len(self._cache) < self.capacity:
            self._cache[row] = pixels
        return pixels


class TrainingImages:
    """Augmented images of training items by ``Draw``."""

    def __init__(self, index: DatasetIndex, config: RunConfig) -> None:
        self.read = ItemReader(index, index.train, config, training=True, cache_bytes=config.data.cache_mb << 20)
        self.transform, self.seed = TrainTransform(config.augment), config.seed
        noise = 4 * config.augment.erase * max(config.augment.erase_area)  # bytes for each byte of pixels
        self.item_bytes = round(self.read.item_bytes * (1 + noise))

    def __len__(self) -> int:
        return len(self.read.images)

    def __getitem__(self, draw: Draw) -> Sample:
        row, epoch, position = draw
        return Sample(*self.transform.each(self.read(row), (self.seed, epoch, position)), row)


class TestImages:
    """Images of test items by row number, not augmented."""

    def __init__(self, index: DatasetIndex, config: RunConfig) -> None:
        self.read = ItemReader(index, index.test, config, training=False)
        self.item_bytes = self.read.item_bytes

    def __len__(self) -> int:
        return len(self.read.images)

    def __getitem__(self, row: int) -> Sample:
        return Sample(self.read(row), {}, row)
