"""Which items a setting asks with and for."""

import numpy as np
import pytest

from protocols.mixed import MixedAvailability
from protocols.modality import RNT, N, R, T
from protocols.protocol import Protocol
from protocols.trial import Trial, trial_of

NAMES = np.array(["a", "b", "c", "d"])
ROWS = np.arange(4)


def test_every_item_with_all_sensors_takes_part() -> None:
    available = np.full(4, RNT.value, dtype=np.uint8)
    trial = trial_of(Protocol(R, N | T), NAMES, available, ROWS[:1], ROWS[1:], RNT)
    assert trial.query.tolist() == [0]
    assert trial.gallery.tolist() == [1, 2, 3]
    assert trial.query_sensors.tolist() == [R.value]
    assert trial.gallery_sensors.tolist() == [(N | T).value] * 3


def test_an_item_is_asked_for_only_under_sensors_that_it_has() -> None:
    available = np.array([R.value, T.value, (R | T).value, N.value], dtype=np.uint8)
    trial = trial_of(Protocol(R, T), NAMES, available, ROWS, ROWS, RNT)
    assert trial.query.tolist() == [0, 2]
    assert trial.gallery.tolist() == [1, 2]


def test_a_mixed_setting_draws_each_side_for_itself() -> None:
    available = np.full(4, (R | T).value, dtype=np.uint8)
    setting = MixedAvailability(0.5, seed=3)
    trial = trial_of(setting, NAMES, available, ROWS, ROWS, R | T)
    assert trial.query_sensors.tolist() == setting.subsets("query", NAMES.tolist(), R | T).tolist()
    assert trial.gallery_sensors.tolist() == setting.subsets("gallery", NAMES.tolist(), R | T).tolist()
    assert set(trial.query_sensors.tolist()) <= {R.value, T.value, (R | T).value}


def test_sides_without_a_sensor_for_each_row_are_refused() -> None:
    codes = np.ones(2, dtype=np.uint8)
    with pytest.raises(ValueError, match="each row"):
        Trial(ROWS[:2], ROWS[:3], codes, codes)
