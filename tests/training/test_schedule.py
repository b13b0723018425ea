"""Learning rates against values of the released code (docs/methods/training.md, "Learning-rate schedule")."""

import pytest

from mdreid_bench.config.schema import ScheduleConfig
from mdreid_bench.training.optimiser import learning_rate, noise

PAPER = ScheduleConfig()
BASE, TRUNK = 3.5e-4, 5e-6


def test_noise_values() -> None:
    expected = [-0.648, 0.059, 0.031, -0.132, 0.576, 0.519, 0.058, 0.462, 0.311, -0.146, -0.174, -0.480]
    assert [round(noise(t, PAPER), 3) for t in range(1, 13)] == expected


@pytest.mark.parametrize(
    ("epoch", "head", "trunk"),
    [
        (1, 2.34e-5, 1.13e-5),
        (5, 3.03e-4, 3.15e-5),
        (10, 2.71e-4, 3.9e-6),
        (20, 2.88e-4, 4.3e-6),
        (40, 2.39e-5, 5.6e-7),
        (50, 3.5e-7, 3.5e-7),
    ],
)
def test_rates_of_mdreid_on_rgbnt201(epoch: int, head: float, trunk: float) -> None:
    assert learning_rate(BASE, BASE, epoch, PAPER) == pytest.approx(head, rel=0.02)
    assert learning_rate(TRUNK, BASE, epoch, PAPER) == pytest.approx(trunk, rel=0.02)


def test_without_noise_by_hand() -> None:
    config = ScheduleConfig(epochs=4, warmup=2, warmup_factor=0.1, floor_factor=0.0, noise=0.0)
    rates = [learning_rate(1.0, 1.0, t, config) for t in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.55, 0.5, 0.5 * (1 - 2**-0.5), 0.0])


def test_milestones_after_the_warm_up_by_hand() -> None:
    config = ScheduleConfig(epochs=9, warmup=2, warmup_factor=0, noise=0.0, milestones=(4, 7))
    rates = [learning_rate(2.0, 2.0, t, config) for t in range(1, 10)]
    assert rates == pytest.approx([1, 2, 2, 0.2, 0.2, 0.2, 0.02, 0.02, 0.02])
