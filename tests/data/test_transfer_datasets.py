"""WMVeID863, Market1501-MM and the other division of RGBNT201: pairs by place, junk, lists of identities."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from mdreid_bench.data import registry
from mdreid_bench.data.check_rules import Kind
from mdreid_bench.data.datasets.rgbnt201_141_60 import LIST
from mdreid_bench.data.items import Role
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Silent
from protocols.modality import RNT, N, R, T
from tests.data.trees import check_dataset, faults, paint, plant
from tests.support import mostly_slow

SENSORS = {"vis": R, "ni": N, "th": T}


def _listings(**names: tuple[str, ...]) -> list[str]:
    return [f"train/0007/{sensor}/{name}.jpg" for sensor, found in names.items() for name in found]


@pytest.mark.parametrize("name", mostly_slow(("market1501-mm", "wmveid863"), ("wmveid863",)))
def test_the_whole_synthetic_plan_has_cameras_that_are_trained(name: str) -> None:
    known = registry.get(name)
    for scale in ("tiny", "full"):
        scan = known.scan([p for f in known.plan(scale) for p in (*f.paths, *f.copy)])
        by_role = {role: {i.camera for i in scan.items if role in i.roles} for role in Role}
        assert by_role[Role.TRAIN] == by_role[Role.GALLERY] == set(range(known.card.cameras))


def test_junk_is_left_out_and_strangers_stay() -> None:
    known = registry.get("market1501-mm")
    paths = [path for frame in known.plan("tiny") for path in frame.paths]
    junk = {path for path in paths if "/-1_" in path}
    scan = known.scan(paths)
    gallery = [item for item in scan.items if Role.GALLERY in item.roles]
    assert len(junk) == 3 * 12
    assert not junk & {path for item in scan.items for path in item.images.values()}
    assert Counter(item.identity == 0 for item in gallery) == {False: 24 * 2 * 4, True: 20}
    assert faults(scan) == ()


def test_images_that_share_no_name_are_paired_by_their_places_in_sorted_listings() -> None:
    known = registry.get("wmveid863")
    visible = ("v0_n0_s001_000", "v0_n0_s001_010", "v3_n0_s001_002")
    heat = ("v0_n0_t001_5", "v0_n0_t001_7", "v3_n0_t001_1")
    scan = known.scan(_listings(vis=visible, ni=visible, th=heat)[::-1])
    assert faults(scan) == ()
    assert [item.name for item in scan.items] == [f"0007/{name}.jpg" for name in visible]
    assert [item.camera for item in scan.items] == [0, 0, 3]
    for item, own in zip(scan.items, heat, strict=True):
        assert item.images == {
            m: f"train/0007/{s}/{own if s == 'th' else item.name[5:-4]}.jpg" for s, m in SENSORS.items()
        }


def test_what_cannot_be_paired_is_a_fault() -> None:
    known = registry.get("wmveid863")
    visible = ("v0_n0_s001_000", "v0_n0_s001_010")
    (short,) = faults(known.scan(_listings(vis=visible, ni=visible, th=("v0_n0_t001_5",))))
    assert (short.path, short.what) == ("train/0007/th", "1 image to go with 2 in vis, and no name in common")
    (turned,) = faults(known.scan(_listings(vis=visible, ni=visible, th=("v0_n0_t001_5", "v1_n0_t001_7"))))
    assert turned.path == "train/0007/th/v1_n0_t001_7.jpg"
    assert "another view" in turned.what
    (lost,) = faults(known.scan(_listings(vis=visible, ni=visible, th=visible[:1])))
    assert (lost.path, lost.what) == ("train/0007/th/v0_n0_s001_010.jpg", "file is missing")


def test_queries_are_copies_of_gallery_items_and_the_folder_may_have_its_other_name(tmp_path: Path) -> None:
    folder = plant(tmp_path, "wmveid863")
    shutil.move(folder, tmp_path / "WMVEID863")
    index = open_dataset("wmveid863", tmp_path, Silent())
    assert index.root == tmp_path / "WMVEID863"
    assert index.test.query.tolist() == index.test.gallery.tolist() == list(range(len(index.test)))
    assert len(set(index.test.names)) == len(index.test) == 16


def test_paired_by_place_the_images_are_those_of_the_listing(tmp_path: Path) -> None:
    folder = plant(tmp_path, "wmveid863")
    before = open_dataset("wmveid863", tmp_path, Silent())
    for path in sorted(folder.rglob("th/*.jpg")):
        path.rename(path.with_name(path.name.replace("_s", "_t")))
    index = open_dataset("wmveid863", tmp_path, Silent())
    assert index.test.names.tolist() == before.test.names.tolist()
    assert index.test_fingerprint == before.test_fingerprint
    read = index.read(index.test.images[0])
    assert list(read) == list(RNT)


def test_the_other_division_of_rgbnt201_follows_its_list(tmp_path: Path) -> None:
    folder = plant(tmp_path, "rgbnt201")
    with pytest.raises(DataError, match=r"train_141\.txt cannot be read \(No such file.*put the 141 identities"):
        open_dataset("rgbnt201-141-60", tmp_path, Silent())
    (folder / LIST).write_text("0, x1")
    with pytest.raises(DataError, match="is no list of numbers; put the 141 identities"):
        open_dataset("rgbnt201-141-60", tmp_path, Silent())
    # All but one identity of the training folder, which were of the validation set once, are tested with.
    (folder / LIST).write_text("000000\n")
    for camera in (1, 2):
        for sensor in ("RGB", "NI", "TI"):
            paint(folder / f"train_171/{sensor}/000001_cam{camera}_0_50.jpg", (12, 8), f"{sensor} {camera}")
    usual, other = (open_dataset(name, tmp_path, Silent()) for name in ("rgbnt201", "rgbnt201-141-60"))
    assert (usual.train.identities, usual.test.identities) == (4, 2)
    assert (other.train.identities, other.test.identities) == (1, 5)
    assert set(other.test.labels.identity.tolist()) >= {1, 258}
    assert other.test.query.tolist() == list(range(len(other.test)))
    assert (usual.card.title, other.card.title) == ("RGBNT201", "RGBNT201-141-60")
    counts = [f.what for f in check_dataset("rgbnt201-141-60", tmp_path, Silent()).findings if f.kind is Kind.COUNT]
    assert sorted(counts) == ["1 identities instead of 141", "5 identities instead of 60"]
