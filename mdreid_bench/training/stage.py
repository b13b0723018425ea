"""What the epochs of a training are drawn from: one dataset or several, labelled or not, paired or not."""

from dataclasses import dataclass
from functools import reduce
from operator import and_

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.losing import losing
from mdreid_bench.models.card import DataFacts, MethodCard
from mdreid_bench.training.sampler import IdentityBatches, UnpairedBatches
from protocols.modality import Modality

Sampler = IdentityBatches | UnpairedBatches


@dataclass(frozen=True)
class Stage:
    """What the epochs of a training are drawn from.

    Attributes:
        labelled: datasets whose identities are known; several are drawn from as if they were one.
        unlabelled: a dataset whose identities the method guesses before each epoch; every step then has a batch of
            it beside the labelled one.
        paired: whether row i of every sensor is one item; else it is some image of one identity.
        evaluated: the dataset to be tested with, where nothing of it is trained on.
        partial: whether items that lack sensors are drawn too, their rows telling which; rows are items then.
        lost: whether labelled items have lost sensors that they had.
        refusal: why the method cannot be trained on this, if so.
    """

    labelled: tuple[DatasetIndex, ...]
    unlabelled: DatasetIndex | None = None
    paired: bool = True
    evaluated: DatasetIndex | None = None
    partial: bool = False
    lost: bool = False
    refusal: str | None = None

    @classmethod
    def of(
        cls,
        card: MethodCard,
        index: DatasetIndex,
        sources: tuple[DatasetIndex, ...] = (),
        missing: float = 0.0,
        seed: int = 0,
    ) -> "Stage":
        """Return what a method is trained on for a dataset to be evaluated: that one, unless there are sources.

        A method that adapts learns identities from the sources, and guesses those of the dataset. Rows are items
        where all items have all sensors; elsewhere they are identities, if the method can do with that. Where
        labelled items lose sensors, at the rate ``missing`` and drawn with the seed, rows stay items if the losses
        can do without those.
        """
        known = sources if card.adapts else sources or (index,)
        target = index if card.adapts else None
        last = index if sources and not target else None
        if missing:
            labelled = tuple(losing(one, missing, seed) for one in known)
            partial, apart = bool(card.partial), card.unpaired and not card.partial
            refusal = None if partial or apart else card.needs_all
            return cls(labelled, target, not apart, last, partial, True, refusal or _nothing_to_lose(known))
        complete = all(one.card.complete for one in (*known, *([target] if target else [])))
        return cls(known, target, complete or not card.unpaired, last)

    @property
    def indexes(self) -> tuple[DatasetIndex, ...]:
        """All datasets that are trained on."""
        return (*([self.unlabelled] if self.unlabelled else []), *self.labelled)

    @property
    def seen(self) -> tuple[DatasetIndex, ...]:
        """All datasets; their cameras are numbered in this order, so those tested with always come first."""
        return (*([self.evaluated] if self.evaluated else []), *self.indexes)

    @property
    def sensors(self) -> Modality:
        """The sensors that all datasets have."""
        return reduce(and_, (index.sensors for index in self.seen))

    @property
    def facts(self) -> DataFacts:
        """What sizes the parts of a method."""
        identities = sum(index.train.identities for index in self.labelled)
        return DataFacts(identities, sum(index.card.cameras for index in self.seen), self.sensors)

    @property
    def trained_cameras(self) -> NDArray[np.bool_]:
        """(cameras,) whether there are training items of a camera that can be drawn."""
        identity, camera = self.numbered(self.indexes)
        return np.isin(np.arange(self.facts.cameras), camera[identity >= 0])

    @property
    def fingerprint(self) -> str | list[object]:
        """What determines the numbers; for one labelled dataset in pairs its fingerprint alone."""
        prints = [index.train_fingerprint for index in self.labelled]
        if len(prints) == 1 and self.unlabelled is None and (self.paired or self.lost):
            return prints[0]
        target = self.unlabelled.train_fingerprint if self.unlabelled else None
        return [prints, target, "paired" if self.paired else "unpaired"]

    def why_not(self) -> str | None:
        """Say what the datasets lack that the stage needs, in a few words; None when they lack nothing."""
        if self.refusal:
            return self.refusal
        if not self.labelled:
            return "it learns identities from another dataset, and none is given"
        if not self.sensors:
            return "the datasets to train on have no sensor in common"
        for index in self.indexes:
            if self.paired and not self.partial and not self.usable(index).any():
                return f"it trains on items that {self.sensors} saw together, of which {index.card.title} has none"
        return None

    def usable(self, index: DatasetIndex) -> NDArray[np.bool_]:
        """Return (n,) which training items of a dataset can be drawn."""
        seen, wanted = index.train.sensors, self.sensors.value
        whole = self.paired and not self.partial
        usable: NDArray[np.bool_] = (seen & wanted) == wanted if whole else (seen & wanted) != 0
        return usable

    def sampler(self, labels: NDArray[np.int64], indexes: tuple[DatasetIndex, ...], config: RunConfig) -> Sampler:
        """Return what draws batches from the training items of some datasets, by identities (n,); < 0 is left out.

        Raises:
            UsageError: when the items cannot fill a batch.
        """
        size, instances = config.batch.size, config.batch.instances
        if self.paired:
            return IdentityBatches(labels, size, instances, config.seed)
        seen = np.concatenate([index.train.sensors for index in indexes])
        return UnpairedBatches(labels, [(seen & m.value) != 0 for m in self.sensors], size, instances, config.seed)

    def check(self, config: RunConfig) -> None:
        """See that the labelled items can fill a batch.

        Raises:
            UsageError: when they cannot.
        """
        self.sampler(self.numbered(self.labelled)[0], self.labelled, config)

    def numbered(self, indexes: tuple[DatasetIndex, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return identities and cameras of the training items of some datasets, those of each after the others'.

        Returns:
            (n,) identities 0..C-1, in ascending order within a dataset, -1 for items that cannot be drawn; and
            (n,) cameras.
        """
        first = dict(zip(map(id, self.seen), np.cumsum([0, *(i.card.cameras for i in self.seen)]), strict=False))
        identities, cameras, count = [], [], 0
        for index in indexes:
            _, identity = np.unique(index.train.labels.identity, return_inverse=True)
            identities.append(np.where(self.usable(index), identity + count, -1))
            cameras.append(index.train.labels.camera + first[id(index)])
            count += index.train.identities
        return np.concatenate(identities).astype(np.int64), np.concatenate(cameras).astype(np.int64)


def _nothing_to_lose(indexes: tuple[DatasetIndex, ...]) -> str | None:
    """Say that no training item has a sensor that it can lose; None where any has, or there are no datasets."""
    several = any((np.bitwise_count(index.train.sensors & index.sensors.value) > 1).any() for index in indexes)
    return None if several or not indexes else "no training item has two sensors, of which it could lose one"
