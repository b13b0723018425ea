"""Training items that have lost sensors, as in a collection whose sensors failed now and then."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from protocols.mixed import hashed
from protocols.modality import Modality


@lru_cache(maxsize=64)
def losing(index: DatasetIndex, rate: float, seed: int) -> DatasetIndex:
    """Return a dataset whose training items have lost each sensor at a rate; see :func:`kept_sensors`.

    Their files stay named, since one file may hold several sensors; what was lost is told by ``train.sensors``.
    """
    kept = kept_sensors(index.train, index.sensors, rate, f"{seed}|{index.card.name}")
    return replace(index, train=replace(index.train, sensors=kept))


def kept_sensors(items: Items, sensors: Modality, rate: float, draw: str) -> NDArray[np.uint8]:
    """Return (n,) the sensors that items keep when each is lost at a rate; of an item that would lose all, one stays.

    A sensor is lost where a number in [0, 1), hashed from the draw, the name of the item and the sensor, lies below
    the rate; the one that stays has the largest number. So nothing depends on order, process or method, and what is
    lost at a lower rate is lost at a higher one too. Of m sensors, rate - rate^m / m are lost in the mean.

    Args:
        items: those that lose sensors.
        sensors: of the dataset.
        rate: in [0, 1).
        draw: what tells this draw from others.
    """
    columns = [hashed(f"{draw}|{sensor}|", items.names.tolist()) for sensor in sensors]
    bits = np.array([sensor.value for sensor in sensors], dtype=np.uint8)
    seen = (items.sensors[:, None] & bits) != 0
    numbers = np.where(seen, np.stack(columns, axis=1), -1.0)
    keep = numbers >= rate
    last = np.arange(len(bits)) == numbers.argmax(1)[:, None]
    keep = np.where(keep.any(1, keepdims=True), keep, last) & seen
    kept: NDArray[np.uint8] = (keep * bits).sum(1).astype(np.uint8)
    return kept
