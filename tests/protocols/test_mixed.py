import time

import numpy as np
import pytest

from protocols.mixed import MixedAvailability
from protocols.modality import RNT, subsets
from protocols.names import UnknownNameError

KEYS = [f"0001_s001_v0_{number:05d}" for number in range(20_000)]


@pytest.mark.parametrize(
    ("text", "probability", "seed"),
    [
        ("mixed", 0.5, 0),
        ("Mixed-0.3", 0.3, 0),
        ("mixed-s4", 0.5, 4),
        (" mixed-0.3-s1 ", 0.3, 1),
        ("mixed-1", 1.0, 0),
    ],
)
def test_parse_accepts_every_form(text: str, probability: float, seed: int) -> None:
    assert MixedAvailability.parse(text) == MixedAvailability(probability, seed)


@pytest.mark.parametrize("setting", [MixedAvailability(), MixedAvailability(1e-7, 12), MixedAvailability(1)])
def test_text_round_trips(setting: MixedAvailability) -> None:
    assert MixedAvailability.parse(str(setting)) == setting


def test_text_form() -> None:
    assert str(MixedAvailability()) == "mixed-0.5-s0"
    assert str(MixedAvailability(0.3, 1)) == "mixed-0.3-s1"


@pytest.mark.parametrize("text", ["mixed-", "mixed-0", "mixed-1.5", "mixed-0.5-1", "mixed--0.5", "mix", "mixed-s-1"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"mixed-0\.3-s1"):
        MixedAvailability.parse(text)


@pytest.mark.parametrize(("probability", "seed"), [(0.0, 0), (1.1, 0), (float("nan"), 0), (0.5, -1)])
def test_impossible_values_are_refused(probability: float, seed: int) -> None:
    with pytest.raises(ValueError, match="must"):
        MixedAvailability(probability, seed)


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_subsets_follow_the_conditional_distribution(probability: float) -> None:
    codes = MixedAvailability(probability).subsets("gallery", KEYS)
    assert codes.dtype == np.uint8
    assert codes.min() >= 1
    shares = np.bincount(codes, minlength=8)[1:] / len(KEYS)
    for subset in subsets(RNT):
        exact = probability ** len(subset) * (1 - probability) ** (3 - len(subset)) / (1 - (1 - probability) ** 3)
        # Five standard deviations of a share among 20,000 draws.
        assert abs(shares[subset.value - 1] - exact) < 5 * np.sqrt(exact * (1 - exact) / len(KEYS))


def test_certain_presence_gives_all_sensors() -> None:
    assert set(MixedAvailability(1.0).subsets("query", KEYS[:100]).tolist()) == {7}


def test_an_item_keeps_its_subset_wherever_it_stands() -> None:
    setting = MixedAvailability(seed=3)
    full = dict(zip(KEYS, setting.subsets("gallery", KEYS).tolist(), strict=True))
    shuffled = np.random.default_rng(0).permutation(KEYS)[:500].tolist()
    assert setting.subsets("gallery", shuffled).tolist() == [full[key] for key in shuffled]


def test_seed_side_and_key_each_matter() -> None:
    base = MixedAvailability().subsets("gallery", KEYS[:500])
    assert (MixedAvailability(seed=1).subsets("gallery", KEYS[:500]) != base).any()
    assert (MixedAvailability().subsets("query", KEYS[:500]) != base).any()
    assert len(set(base.tolist())) == 7


def test_draw_is_the_same_on_every_machine() -> None:
    keys = ["a", "b", "c", "d", "ä/é.jpg", ""]
    assert MixedAvailability().subsets("query", keys).tolist() == [1, 2, 2, 7, 1, 6]
    assert MixedAvailability().subsets("query", []).shape == (0,)


def test_ten_thousand_items_are_drawn_quickly() -> None:
    start = time.perf_counter()
    MixedAvailability().subsets("gallery", KEYS[:10_000])
    assert time.perf_counter() - start < 0.5
