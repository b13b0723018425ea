"""File names alone: grammars, labels, published counts, faults."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.data import registry
from mdreid_bench.data.card import SplitCounts
from mdreid_bench.data.datasets.msvr310 import MSVR310
from mdreid_bench.data.items import Item, Role
from tests.data.trees import DATASETS, faults, names, small_plan


def part(items: Sequence[Item], role: Role) -> list[Item]:
    return [item for item in items if role in item.roles]


def identities(items: Sequence[Item]) -> Counter[int]:
    return Counter(item.identity for item in items)


@pytest.mark.parametrize("dataset", DATASETS)
def test_full_scale_has_exactly_the_published_counts(dataset: str) -> None:
    known = registry.get(dataset)
    scan = known.scan(names(known.plan("full")))
    train, query, gallery = (part(scan.items, role) for role in (Role.TRAIN, Role.QUERY, Role.GALLERY))
    counted = SplitCounts(
        len(train), len(identities(train)), len(query), len(identities(query)), len(gallery), len(identities(gallery))
    )
    assert faults(scan) == ()
    assert counted == known.card.counts
    assert not set(identities(train)) & set(identities(gallery))
    assert set(identities(query)) <= set(identities(gallery))
    assert {item.camera for item in scan.items} <= set(range(known.card.cameras))


def test_published_numbers() -> None:
    counts = {name: card.counts for name, card in registry.cards().items()}
    assert counts["rgbnt201"] == SplitCounts(3951, 171, 836, 30, 836, 30)
    assert counts["rgbnt100"] == SplitCounts(8675, 50, 1715, 50, 8575, 50)
    assert counts["msvr310"] == SplitCounts(1032, 155, 591, 52, 1055, 155)
    assert counts["wmveid863"] == SplitCounts(3482, 603, 959, 210, 1226, 260)
    assert counts["market1501-mm"] == SplitCounts(12936, 751, 3368, 750, 15913, 751)
    assert counts["rgbnt201-141-60"] == SplitCounts(None, 141, None, 60, None, 60)


def test_full_rgbnt201_has_the_published_cameras() -> None:
    scan = registry.get("rgbnt201").scan(names(registry.get("rgbnt201").plan("full")))
    train, test = part(scan.items, Role.TRAIN), part(scan.items, Role.GALLERY)
    assert Counter(t.camera for t in train) == {0: 2592, 1: 1142, 2: 88, 3: 129}
    assert Counter(t.camera for t in test) == {0: 365, 1: 471}
    assert Counter(t.scene for t in train) == {0: 2768, 1: 1183}
    sizes = identities(train).values()
    assert 8 <= min(sizes) <= max(sizes) <= 35
    cameras = Counter(identity for identity, _ in {(t.identity, t.camera) for t in train})
    assert Counter(cameras.values()) == {1: 120, 2: 51}
    assert all({t.camera for t in test if t.identity == i} == {0, 1} for i in identities(test))


def test_full_rgbnt100_has_the_published_tracks() -> None:
    scan = registry.get("rgbnt100").scan(names(registry.get("rgbnt100").plan("full")))
    for role, tracks, parity, first in ((Role.TRAIN, 347, 1, 501), (Role.GALLERY, 343, 0, 502)):
        found = part(scan.items, role)
        per_track = Counter((t.identity, t.camera) for t in found)
        assert len(per_track) == tracks
        assert set(per_track.values()) == {25}
        assert sorted(identities(found)) == list(range(first, first + 99, 2))
        assert {i % 2 for i in identities(found)} == {parity}
        assert (
            2 <= min(Counter(i for i, _ in per_track).values()) <= max(Counter(i for i, _ in per_track).values()) <= 8
        )


@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_msvr310_queries_are_the_identities_seen_in_several_scenes(scale: str) -> None:
    scan = registry.get("msvr310").scan(names(MSVR310().plan("full" if scale == "full" else "tiny")))
    gallery, query = part(scan.items, Role.GALLERY), part(scan.items, Role.QUERY)
    scenes = Counter(identity for identity, _ in {(t.identity, t.scene) for t in gallery})
    several = {identity for identity, count in scenes.items() if count > 1}
    assert {t.name for t in query} == {t.name for t in gallery if t.identity in several}
    assert {t.camera for t in gallery} == set(range(8))
    assert {t.scene for t in gallery} <= set(range(31))
    if scale == "full":
        train = {(t.identity, t.scene) for t in part(scan.items, Role.TRAIN)}
        assert sum(count > 1 for count in Counter(i for i, _ in train).values()) == 60


@pytest.mark.parametrize(
    ("dataset", "paths", "labels"),
    [
        ("rgbnt201", [f"train_171/{s}/000028_cam1_0_02.jpg" for s in ("RGB", "NI", "TI")], (28, 0, 0)),
        ("rgbnt201", [f"test/{s}/000258_cam2_1_00.jpg" for s in ("RGB", "NI", "TI")], (258, 1, 1)),
        ("rgbnt100", ["rgbir/bounding_box_train/0561_c0001_006.jpg"] * 3, (561, 0, 0)),
        ("rgbnt100", ["rgbir/bounding_box_test/0502_c0008_000.jpg"] * 3, (502, 7, 0)),
        ("msvr310", [f"query3/0019/{s}/0019_s012_v0_000.jpg" for s in ("vis", "ni", "th")], (19, 0, 12)),
        ("msvr310", [f"bounding_box_test/0002/{s}/0002_s002_v7_000.jpg" for s in ("vis", "ni", "th")], (2, 7, 2)),
        ("market1501-mm", [f"train/{s}/0002_c1s1_000451_03.jpg" for s in ("RGB", "NI", "TI")], (2, 0, 1)),
        ("market1501-mm", [f"gallery/{s}/0000_c6s3_000451_03.jpg" for s in ("RGB", "NI", "TI")], (0, 5, 3)),
        ("wmveid863", [f"query/0019/{s}/v7_n1_s012_0003.jpg" for s in ("vis", "ni", "th")], (19, 7, 1)),
    ],
)
def test_labels_come_from_the_name(dataset: str, paths: list[str], labels: tuple[int, int, int]) -> None:
    (item,) = registry.get(dataset).scan(dict.fromkeys(paths)).items
    assert (item.identity, item.camera, item.scene) == labels
    assert list(item.images.values()) == paths
    assert (
        item.name == paths[0].split("/", 1)[1].replace("vis/", "")
        if dataset == "wmveid863"
        else paths[0].rsplit("/", 1)[1]
    )


@pytest.mark.parametrize(
    ("dataset", "path", "what"),
    [
        ("rgbnt201", "test/RGB/28_cam1_0_02.jpg", "outside the form"),
        ("rgbnt201", "test/RGB/000028_cam5_0_02.jpg", "outside the form"),
        ("rgbnt201", "test/RGB/000028_cam1_0_02.jpg.png", "outside the form"),
        ("rgbnt201", "test/VIS/000028_cam1_0_02.jpg", "outside the form"),
        ("rgbnt201", "test/RGB/٠٠٠٠٢٨_cam1_0_02.jpg", "outside the form"),
        ("rgbnt201", "test/RGB/000028_cam1_0_02.jpg\n", "outside the form"),
        ("rgbnt100", "rgbir/query/0601_c0001_000.jpg", "identity outside 1-600"),
        ("rgbnt100", "rgbir/query/0000_c0001_000.jpg", "identity outside 1-600"),
        ("rgbnt100", "rgbir/query/0502_c0009_000.jpg", "camera outside 1-8"),
        ("rgbnt100", "rgbir/query/-1_c0001_000.jpg", "outside the form"),
        ("msvr310", "query3/0019/vis/0020_s012_v0_000.jpg", "folder of another identity"),
        ("msvr310", "query3/0019/vis/0019_s012_v8_000.jpg", "outside the form"),
        ("msvr310", "query3/0019/0019_s012_v0_000.jpg", "outside the form"),
        ("market1501-mm", "train/RGB/0002_c7s1_000451_03.jpg", "outside the form"),
        ("market1501-mm", "train/RGB/-2_c1s1_000451_03.jpg", "outside the form"),
        ("wmveid863", "train/0001/vis/v8_n0_s001_000.jpg", "outside the form"),
        ("wmveid863", "train/0001/vis/v0_s001_000.jpg", "outside the form"),
        ("wmveid863", "train/0001/vis/v0_n0_000.jpg", "outside the form"),
    ],
)
def test_wrong_names_are_faults(dataset: str, path: str, what: str) -> None:
    scan = registry.get(dataset).scan([path])
    assert scan.items == ()
    assert [fault.path for fault in faults(scan)] == [path]
    assert what in faults(scan)[0].what


@pytest.mark.parametrize("dataset", ["msvr310", "rgbnt201"])
def test_every_missing_sensor_is_a_fault_of_its_own(dataset: str) -> None:
    paths = names(small_plan(dataset))
    gone = {paths[0], paths[1], paths[5]}
    scan = registry.get(dataset).scan(set(paths) - gone)
    assert {fault.path for fault in faults(scan)} == gone
    assert {fault.what for fault in faults(scan)} == {"file is missing"}
    assert len(scan.items) - len(scan.missing) == len(paths) // 3 - 2


@pytest.mark.parametrize("dataset", DATASETS)
def test_order_of_the_names_does_not_matter(dataset: str) -> None:
    paths = names(small_plan(dataset))
    shuffled = random.Random(0).sample(paths, len(paths))
    assert registry.get(dataset).scan(shuffled) == registry.get(dataset).scan(paths)


@given(st.sampled_from(DATASETS), st.text(max_size=40), st.integers(0, 10**6), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_any_text_is_an_item_or_a_fault(dataset: str, text: str, at: int, cut: int) -> None:
    path = names(small_plan(dataset))[0]
    at %= len(path)
    damaged = path[:at] + text + path[at + cut :]
    scan = registry.get(dataset).scan([damaged])
    assert len(scan.items) == 1 or damaged in {fault.path for fault in faults(scan)} or len(faults(scan)) == 2
