"""What a method may look at before an epoch of its training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.modality import Modality


@dataclass(frozen=True)
class TrainingSet:
    """n training items, as a method may look at them before an epoch.

    Attributes:
        names: (n,) unique names.
        sensors: (n,) uint8, the value of the ``Modality`` that saw each.
        camera: (n,) indices of cameras.
        identity: (n,) labels in 0..C-1; None where they are unknown to the method.
        embed: from subsets of the sensors to one float32 matrix (n, E) for each, as of test items; rows of items
            that lack a sensor of a subset are NaN.
    """

    names: NDArray[np.str_]
    sensors: NDArray[np.uint8]
    camera: NDArray[np.int64]
    identity: NDArray[np.int64] | None
    embed: Callable[[Sequence[Modality]], Mapping[Modality, NDArray[np.float32]]]


@dataclass(frozen=True)
class EpochAhead:
    """What a method may know before an epoch.

    Attributes:
        epoch: that is about to begin, counted from 1.
        seed: for random draws; another one for every epoch.
        labelled: the items that the labelled batches are drawn from.
        unlabelled: those that the batches of a method that adapts are drawn from, else None.
        tell: says something of the epoch to the user, in its log entry as well.
        done: steps that were taken in the epochs before.
        steps: of the whole training.
    """

    epoch: int
    seed: int
    labelled: TrainingSet
    unlabelled: TrainingSet | None
    tell: Callable[[str], None]
    done: int = 0
    steps: int = 1
