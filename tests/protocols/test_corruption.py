"""Which corruption each image draws: by its name alone, and by the rules for correlated sensors."""

import re
from collections import Counter

import pytest

from protocols.corruption import (
    FAMILIES,
    LEVELS,
    OPTICS,
    SCENE,
    TYPES,
    Corruption,
    Distortion,
    family_of,
    named,
    types_of,
)
from protocols.modality import RNT, Modality, N, R, T
from protocols.names import UnknownNameError

ITEMS = [f"{i:04d}" for i in range(600)]


def drawn(corruption: Corruption, sensors: Modality = RNT) -> list[dict[Modality, Distortion]]:
    return [corruption.draw(item, sensors) for item in ITEMS]


def test_the_twenty_types_of_the_published_sets_in_four_families() -> None:
    assert {family: len(types) for family, types in FAMILIES.items()} == {
        "noise": 4, "blur": 5, "weather": 6, "digital": 5,
    }  # fmt: skip
    assert len(set(TYPES)) == 20
    assert all(family_of(f"{kind}-1") == family for family, types in FAMILIES.items() for kind in types)
    assert family_of("random") is None


def test_names_stand_for_types_with_levels() -> None:
    assert named(" FOG-3 ") == ("fog-3",)
    assert named("fog") == ("fog-1", "fog-2", "fog-3", "fog-4", "fog-5")
    assert named("noise-2") == ("gaussian_noise-2", "shot_noise-2", "impulse_noise-2", "speckle_noise-2")
    assert len(named("all")) == 100
    assert named("random") == ("random",)


@pytest.mark.parametrize("text", ["fog-0", "fog-6", "fog-9", "mist-3", "random-3", "fog-3-3", "", "fog_3"])
def test_an_unknown_name_is_told_with_the_valid_ones(text: str) -> None:
    with pytest.raises(UnknownNameError, match="a type with a level from 1 to 5, such as fog-3"):
        named(text)


def test_a_draw_depends_on_seed_repetition_item_and_sensor_and_on_nothing_else() -> None:
    first = drawn(Corruption("random"))
    assert [Corruption("random").draw(item, RNT) for item in reversed(ITEMS)] == first[::-1]
    assert [found[R] for found in first] == [found[R] for found in drawn(Corruption("random", side="query"), R)]
    others = (Corruption("random", seed=1), Corruption("random", repetition=1))
    assert all(sum(a == b for a, b in zip(first, drawn(other), strict=True)) < 5 for other in others)
    assert sum(found[R] == found[N] for found in first) < 20  # 1 of 100 by chance
    seeds = {Corruption("random", repetition=n).pixel_seed(item, s) for n in (0, 1) for item in ITEMS for s in RNT}
    assert len(seeds) == 2 * len(ITEMS) * 3
    assert all(0 <= seed < 1 << 32 for seed in seeds)


def test_types_and_levels_are_drawn_evenly() -> None:
    found = Counter(found[R] for found in drawn(Corruption("random"), R))
    by_type = Counter({kind: sum(n for (k, _), n in found.items() if k == kind) for kind in TYPES})
    by_level = Counter({level: sum(n for (_, one), n in found.items() if one == level) for level in LEVELS})
    assert all(10 <= by_type[kind] <= 55 for kind in TYPES)  # 30 expected; five standard deviations
    assert all(70 <= by_level[level] <= 170 for level in LEVELS)


def test_a_fixed_type_is_that_of_all_corrupted_sensors() -> None:
    assert Corruption("fog-3").draw("x", RNT) == dict.fromkeys((R, N, T), ("fog", 3))
    assert Corruption("fog-3", sensors="R").draw("x", RNT) == {R: ("fog", 3)}
    assert Corruption("fog-3", sensors="R").draw("x", N | T) == {}


def test_infrared_images_are_never_saturated() -> None:
    for corruption in (Corruption("random"), Corruption("random", correlated=True)):
        kinds = {kind for found in drawn(corruption) for sensor, (kind, _) in found.items() if sensor != R}
        assert kinds == set(types_of(N)) == set(types_of(T)) == set(TYPES) - {"saturate"}


RULES = {
    **dict.fromkeys(("fog", "frost", "snow", "rain"), "same"),
    "motion_blur": "same type, at least the level of RGB",
    **dict.fromkeys(("defocus_blur", "glass_blur", "zoom_blur", "gaussian_blur", "spatter"), "same type"),
    **dict.fromkeys((*FAMILIES["noise"], "brightness", "contrast", "saturate"), "own"),
    **dict.fromkeys(("pixelate", "jpeg_compression", "elastic_transform"), "own"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_correlated_sensors_follow_the_first(kind: str) -> None:
    spec = Corruption("random", correlated=True)
    found = [d for i in range(3000) if (d := spec.draw(str(i), RNT))[R][0] == kind]
    others = [(one[R], one[sensor]) for one in found for sensor in (N, T) if sensor in one]
    rule = RULES[kind]
    if rule == "own":
        assert 0.3 < 1 - len(others) / (2 * len(found)) < 0.7  # half stay clean
        assert not {own for _, (own, _) in others} & (SCENE | OPTICS | {"saturate"})
        assert len({own for _, (own, _) in others}) > 5
    else:
        assert len(others) == 2 * len(found)
        assert {own for _, (own, _) in others} == {kind}
        steps = {level - first for (_, first), (_, level) in others}
        assert {"same": steps == {0}, "same type": min(steps) < 0 < max(steps)}.get(
            rule, min(steps) == 0 < max(steps)
        )


def test_without_rgb_the_levels_of_motion_blur_are_free() -> None:
    found = [one for one in drawn(Corruption("random", correlated=True), N | T) if one[N][0] == "motion_blur"]
    assert {"motion_blur"} == {one[T][0] for one in found}
    assert min(one[T][1] - one[N][1] for one in found) < 0


def test_names_of_files_tell_everything_apart() -> None:
    specs = [
        Corruption(name, side, sensors, correlated, seed, repetition)
        for name in ("random", "fog-3", "elastic_transform-5")
        for side in ("both", "query", "gallery")
        for sensors in ("", "R", "NT")
        for correlated in ((False, True) if name == "random" else (False,))
        for seed in (0, 1)
        for repetition in (0, 9)
    ]
    specs.append(Corruption("random", sensors="R", published="SYSU-MM01-C"))
    assert len({spec.cell for spec in specs}) == len(specs)
    assert len({spec.images for spec in specs}) == len(specs[:-1]) // 3
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", text) for s in specs for text in (s.cell, s.images))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "fog"},
        {"name": "mist-1"},
        {"name": "fog-3", "correlated": True},
        {"name": "random", "sensors": "X"},
        {"name": "random", "sensors": "TR"},
    ],
)
def test_what_is_no_single_corruption_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fog|mist|sensors"):
        Corruption(**fields)  # type: ignore[arg-type]
