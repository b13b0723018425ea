"""Training items lose sensors at a rate, never all, in the same way wherever that is drawn."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.items import Items
from mdreid_bench.data.losing import kept_sensors, losing
from protocols.exclusion import Labels
from protocols.modality import RNT, D, Modality, N, R, T

COUNT = 4000
PROGRAM = """
from tests.data.test_losing import items
from mdreid_bench.data.losing import kept_sensors
from protocols.modality import RNT
print(bytes(kept_sensors(items(50), RNT, 0.6, "1|any")).hex())
"""


def items(count: int = COUNT, sensors: int = RNT.value) -> Items:
    numbers = np.arange(count)
    names = np.array([f"{n:05d}" for n in numbers])
    kinds: NDArray[np.uint8] = np.ones(count, dtype=np.uint8)
    return Items(names, Labels(numbers, numbers, numbers), sensors * kinds, kinds)


@pytest.mark.parametrize(("sensors", "rate"), [(RNT, 0.3), (RNT, 0.9), (R | T, 0.5), (RNT | D, 0.6)])
def test_the_rate_is_met_and_no_item_loses_all(sensors: Modality, rate: float) -> None:
    kept = kept_sensors(items(sensors=sensors.value), sensors, rate, "1|any")
    assert kept.all()
    lost = [1 - np.mean((kept & m.value) != 0) for m in sensors]
    assert lost == pytest.approx([rate - rate ** len(sensors) / len(sensors)] * len(sensors), abs=0.03)


def test_a_lower_rate_loses_a_part_of_what_a_higher_one_does() -> None:
    low, high = (kept_sensors(items(), RNT, rate, "1|any") for rate in (0.3, 0.6))
    assert (low & high == high).all()
    assert (low != high).any()
    assert (kept_sensors(items(), RNT, 0.0, "1|any") == RNT.value).all()


def test_an_item_loses_what_it_loses_whatever_others_there_are() -> None:
    everything = items()
    whole = kept_sensors(everything, RNT, 0.6, "1|any")
    rows = np.random.default_rng(0).permutation(COUNT)[:99]
    assert (kept_sensors(everything.take(rows), RNT, 0.6, "1|any") == whole[rows]).all()
    assert (kept_sensors(everything, RNT, 0.6, "2|any") != whole).any()


def test_an_item_keeps_one_of_the_sensors_that_it_had() -> None:
    kept = kept_sensors(items(sensors=(N | T).value), RNT, 0.95, "1|any")
    assert kept.all()
    assert not (kept & R.value).any()
    assert not kept_sensors(items(sensors=0), RNT, 0.95, "1|any").any()


@pytest.mark.slow
def test_another_process_draws_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == bytes(kept_sensors(items(50), RNT, 0.6, "1|any")).hex()


def test_the_dataset_stays_as_it_is_but_for_its_training_items(planted: DatasetIndex) -> None:
    lost = losing(planted, 0.6, 1)
    assert lost is losing(planted, 0.6, 1)
    assert (lost.train.sensors != planted.train.sensors).any()
    assert (lost.train.sensors != losing(planted, 0.6, 2).train.sensors).any()
    assert lost.train.images == planted.train.images  # a strip is cut by the sensors that it holds
    assert replace(lost, train=planted.train).__dict__ == planted.__dict__
