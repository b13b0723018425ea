"""A dataset that has been found, read and checked: its items and their fingerprints."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.decoding import Span, becomes_one_grey
from mdreid_bench.data.images import BadImageError, InspectedImage, load_rgb, rules_of
from mdreid_bench.data.items import Items
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.wording import counted, printable
from protocols.modality import Modality


@dataclass(frozen=True, eq=False)
class DatasetIndex:
    """What training and evaluation need to know of a dataset.

    Attributes:
        card: the published facts.
        root: folder of the dataset; paths of images are relative to it.
        synthetic: True for generated images.
        train: the training items, sorted by name.
        test: the distinct test items, sorted by name; one that is both query and gallery item is one row.
        train_fingerprint: hexadecimal hash of names, labels and contents of ``train``.
        test_fingerprint: the same for ``test``, its queries and its gallery.
        limit: the number passed to ``limited`` when that left something out, else None.
        unlimited: the index before it was limited, else None.
        facts: of each image when it was checked, by path.
        split: how the dataset is divided, where there are several ways; else None.
        findings: what is wrong with the dataset but forbids nothing: how many by kind.
    """

    card: DatasetCard
    root: Path
    synthetic: bool
    train: Items
    test: Items
    train_fingerprint: str
    test_fingerprint: str
    limit: int | None = None
    unlimited: "DatasetIndex | None" = None
    facts: Mapping[str, InspectedImage] = field(default_factory=dict)
    split: str | None = None
    findings: Mapping[str, int] = field(default_factory=dict)

    @property
    def sensors(self) -> Modality:
        """The sensors that the dataset has."""
        return self.card.sensors

    @property
    def full_test_fingerprint(self) -> str:
        """Fingerprint of the whole test set, whatever the limit."""
        return (self.unlimited or self).test_fingerprint

    @property
    def image_rules(self) -> dict[str, int]:
        """How many images need each rule of docs/methods/images.md."""
        return rules_of(self.facts.values())

    def check_counts(self, counts: Span | None) -> None:
        """Refuse a range of counts in which images have no contrast.

        Raises:
            UsageError: when different counts of any image would become a single grey.
        """
        if counts is None:
            return
        flat = [p for p, fact in self.facts.items() if fact.counts and becomes_one_grey(fact.counts, counts)]
        if flat:
            low, high = self.facts[flat[0]].counts or counts
            raise UsageError(
                f"image.counts {list(counts)} makes a single grey of {counted(len(flat), 'image')} of "
                f"{self.card.title}, such as {printable(flat[0])} with counts from {low:g} to {high:g}; "
                "choose a range that they fill, or leave it out."
            )

    def read(self, images: Mapping[Modality, str], counts: Span | None = None) -> dict[Modality, Image.Image]:
        """Decode the images of an item; a strip is decoded once and cut in as many parts as it has sensors.

        Args:
            images: file of each sensor.
            counts: those that become black and white, where an image holds counts; by default percentiles of its own.

        Raises:
            DataError: for an image that has changed or become unreadable since the dataset was opened.
        """
        found: dict[Modality, Image.Image] = {}
        for path in dict.fromkeys(images.values()):
            sensors, picture = [sensor for sensor in images if images[sensor] == path], self._load(path, counts)
            width = picture.width // len(sensors)
            for i, sensor in enumerate(sensors):
                part = (i * width, 0, (i + 1) * width, picture.height)
                found[sensor] = picture.crop(part) if len(sensors) > 1 else picture
        return {sensor: found[sensor] for sensor in images}

    def _load(self, path: str, counts: Span | None) -> Image.Image:
        known = self.facts.get(path)
        try:
            return load_rgb(self.root / path, counts, known.digest if known else None)
        except BadImageError as error:
            raise DataError(
                f"{self.root / path} has changed since {self.card.title} was checked ({error}); "
                "restore the file and run again."
            ) from error

    def limited(self, count: int) -> "DatasetIndex":
        """Return an index with at most ``count`` test items: whole identities, the same ones each time.

        Identities are taken in ascending order, those with queries first; one that does not fit is passed over.
        A count that leaves nothing out returns the index unchanged.

        Raises:
            UsageError: when no identity with a query fits.
        """
        if len(self.test) <= count:
            return self
        identity = self.test.labels.identity
        asked = np.unique(identity[self.test.query])
        chosen: list[int] = []
        left = count
        for candidate in [*asked, *np.setdiff1d(identity, asked)]:
            size = int((identity == candidate).sum())
            if size <= left:
                chosen.append(int(candidate))
                left -= size
        if not np.isin(chosen, asked).any():
            smallest = min(int((identity == candidate).sum()) for candidate in asked)
            raise UsageError(
                f"A limit of {count} test items holds no whole query identity of {self.card.title}; "
                f"use at least {smallest}."
            )
        return self._with_test_rows(np.isin(identity, chosen), count)

    def _with_test_rows(self, keep: NDArray[np.bool_], count: int) -> "DatasetIndex":
        test = self.test.take(keep)
        names = "\n".join([self.test_fingerprint, *test.names.tolist()])
        return replace(
            self,
            test=test,
            test_fingerprint=hashlib.blake2b(names.encode(), digest_size=16).hexdigest(),
            limit=count,
            unlimited=self.unlimited or self,
        )
