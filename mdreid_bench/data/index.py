"""A dataset that has been found, read and checked: tables of triplets and their fingerprints."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mdreid_bench.data.card import DatasetCard
from mdreid_bench.data.dataset import Triplet
from mdreid_bench.data.images import BadImageError, load_rgb
from mdreid_bench.errors import DataError, UsageError
from protocols.modality import SINGLES, Modality


@dataclass(frozen=True, eq=False)
class DatasetIndex:
    """What training and evaluation need to know of a dataset.

    Attributes:
        card: the published facts.
        root: folder of the dataset; paths in the tables are relative to it.
        synthetic: True for generated images.
        train: one row per triplet, sorted by name: ``name`` (unique), ``identity``, ``camera``, ``scene`` (int64) and
            one path per sensor in ``R``, ``N``, ``T``.
        test: the same for the distinct test triplets; one that is both query and gallery item is one row.
        query: (Q,) rows of ``test``, ascending.
        gallery: (G,) rows of ``test``, ascending.
        train_fingerprint: hexadecimal hash of names, labels and contents of ``train``.
        test_fingerprint: the same for ``test``, its queries and its gallery.
        limit: the number passed to ``limited`` when that left something out, else None.
        unlimited: the index before it was limited, else None.
    """

    card: DatasetCard
    root: Path
    synthetic: bool
    train: pd.DataFrame
    test: pd.DataFrame
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    train_fingerprint: str
    test_fingerprint: str
    limit: int | None = None
    unlimited: "DatasetIndex | None" = None

    @property
    def full_test_fingerprint(self) -> str:
        """Fingerprint of the whole test set, whatever the limit."""
        return (self.unlimited or self).test_fingerprint

    def read(self, row: Mapping[str, Any] | pd.Series) -> dict[Modality, Image.Image]:
        """Decode the three images of a row; a strip is decoded once and cut in three.

        Raises:
            DataError: for an image that has become unreadable since the dataset was opened.
        """
        paths = {modality: str(row[str(modality)]) for modality in SINGLES}
        if len(set(paths.values())) > 1:
            return {modality: self._load(path) for modality, path in paths.items()}
        strip = self._load(paths[Modality.R])
        width = strip.width // len(SINGLES)
        return {m: strip.crop((i * width, 0, (i + 1) * width, strip.height)) for i, m in enumerate(SINGLES)}

    def _load(self, path: str) -> Image.Image:
        try:
            return load_rgb(self.root / path)
        except BadImageError as error:
            raise DataError(
                f"{self.root / path} has changed since {self.card.title} was checked ({error}); "
                "restore the file and run again."
            ) from error

    def limited(self, count: int) -> "DatasetIndex":
        """Return an index with at most ``count`` test triplets: whole identities, the same ones each time.

        Identities are taken in ascending order, those with queries first; one that does not fit is passed over.
        A count that leaves nothing out returns the index unchanged.

        Raises:
            UsageError: when no identity with a query fits.
        """
        if len(self.test) <= count:
            return self
        identity = self.test["identity"].to_numpy()
        asked = np.unique(identity[self.query])
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
                f"A limit of {count} test triplets holds no whole query identity of {self.card.title}; "
                f"use at least {smallest}."
            )
        return self._with_test_rows(np.isin(identity, chosen), count)

    def _with_test_rows(self, keep: NDArray[np.bool_], count: int) -> "DatasetIndex":
        place = np.cumsum(keep) - 1
        test = self.test[keep].reset_index(drop=True)
        names = "\n".join([self.test_fingerprint, *test["name"]])
        return replace(
            self,
            test=test,
            query=place[self.query[keep[self.query]]],
            gallery=place[self.gallery[keep[self.gallery]]],
            test_fingerprint=hashlib.blake2b(names.encode(), digest_size=16).hexdigest(),
            limit=count,
            unlimited=self.unlimited or self,
        )


def table(triplets: Iterable[Triplet]) -> pd.DataFrame:
    """Return the frame described at ``DatasetIndex.train``."""
    rows: Sequence[Triplet] = sorted(triplets, key=lambda triplet: triplet.name)
    columns: dict[str, Any] = {"name": [t.name for t in rows]}
    for label in ("identity", "camera", "scene"):
        columns[label] = np.array([getattr(t, label) for t in rows], dtype=np.int64)
    for i, modality in enumerate(SINGLES):
        columns[str(modality)] = [t.paths[i] for t in rows]
    return pd.DataFrame(columns)
