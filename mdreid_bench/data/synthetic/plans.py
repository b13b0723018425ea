"""The items of the synthetic datasets of this package: what each consists of, before any image is drawn."""

import random
from collections import Counter

from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale, marked, spaced, spread
from protocols.modality import Modality

Visit = tuple[int, int, int]
"""(identity, camera 1-4, number of items)."""
_MANY, _FEW = 96, 24
"""Identities of the tiny sets that train and that are asked for; see docs/methods/datasets.md, "Synthetic copies"."""


def rgbnt201(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set or one with the published counts."""
    if scale == "tiny":
        pairs = [(a, b) for a in range(1, 5) for b in range(a + 1, 5)]
        train = [(i, camera, 2) for i in range(_MANY) for camera in pairs[i % len(pairs)]]
        test = [(258 + i, camera, 5) for i in range(_FEW) for camera in (1, 2)]
        return _rgbnt201_frames("train_171", train, 0.3) + _rgbnt201_frames("test", test, 0.3)
    full = _rgbnt201_frames("train_171", _rgbnt201_full_train(), 1183 / 3951)
    return full + _rgbnt201_frames("test", _rgbnt201_full_test(), 0.3)


def _rgbnt201_full_train() -> list[Visit]:
    """Plan 171 identities, 51 of them in two cameras, as published: 8 to 35 items each.

    Cameras 1 to 4 take 2,592, 1,142, 88 and 129 items.
    """
    seconds = [2] * 40 + [3] * 5 + [4] * 6
    singles = {1: spread(1980, 87), 2: spread(662, 30), 3: [28], 4: [29, 28]}
    visits: list[tuple[tuple[int, int], ...]] = [((1, 12), (second, 12)) for second in seconds]
    visits += [((camera, size),) for camera, sizes in singles.items() for size in sizes]
    return [
        (identity, camera, size)
        for identity, places in zip(spaced(0, 257, len(visits)), visits, strict=True)
        for camera, size in places
    ]


def _rgbnt201_full_test() -> list[Visit]:
    """Plan 30 identities, each in cameras 1 and 2, which take 365 and 471 items."""
    sizes = zip(spaced(258, 299, 30), spread(365, 30), spread(471, 30), strict=True)
    return [visit for identity, one, two in sizes for visit in ((identity, 1, one), (identity, 2, two))]


def _rgbnt201_frames(split: str, visits: list[Visit], share: float) -> list[PlannedFrame]:
    """Name the items; the third field of the name is 1 for the given share of them, which are lit differently."""
    total = sum(size for _, _, size in visits)
    fields = iter(marked(total, round(share * total)))
    taken: Counter[tuple[int, int, int]] = Counter()
    result = []
    for identity, camera, size in visits:
        for _ in range(size):
            field = int(next(fields))
            name = f"{identity:06d}_cam{camera}_{field}_{taken[identity, camera, field]:02d}.jpg"
            taken[identity, camera, field] += 1
            paths = tuple(f"{split}/{sensor}/{name}" for sensor in ("RGB", "NI", "TI"))
            result.append(PlannedFrame(identity, camera, (identity, camera, field), 0, paths))
    return result


def rgbnt100(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set (four cameras per identity in training, three in the test) or the published counts.

    At full scale every track has 25 frames, five of them queries; 347 tracks train and 343 test.
    """
    if scale == "tiny":
        train = _rgbnt100_split("train", list(range(601 - 2 * _MANY, 600, 2)), [4] * _MANY, 1, 0)
        return train + _rgbnt100_split("test", list(range(502, 502 + 2 * _FEW, 2)), [3] * _FEW, 4, 1)
    train = _rgbnt100_split("train", list(range(501, 600, 2)), spread(347, 50), 25, 0)
    return train + _rgbnt100_split("test", list(range(502, 601, 2)), spread(343, 50), 25, 5)


def _rgbnt100_split(
    split: str, identities: list[int], cameras: list[int], frames: int, queries: int
) -> list[PlannedFrame]:
    """Plan the tracks of one split; ``queries`` strips of a track are copied into the query folder."""
    result = []
    for number, (identity, count) in enumerate(zip(identities, cameras, strict=True)):
        for step in range(count):
            # A stride of 3 visits all eight cameras before it repeats one.
            camera = (number + 3 * step) % 8 + 1
            for frame, asked in enumerate(marked(frames, queries)):
                name = f"{identity:04d}_c{camera:04d}_{frame:03d}.jpg"
                copy = (f"rgbir/query/{name}",) if asked else ()
                path = f"rgbir/bounding_box_{split}/{name}"
                result.append(PlannedFrame(identity, camera, (identity, camera), 0, (path,), copy))
    return result


def msvr310(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set or one with the published counts.

    The queries are the test items whose identity occurs in more than one scene: 192 items of 24 identities at
    the tiny scale, 591 of 52 at the full one.
    """
    if scale == "tiny":
        labels = spaced(1, 331, _MANY + _FEW + 6)
        train = _msvr310_split("train", labels[:_MANY], [4] * _MANY, [])
        return train + _msvr310_split("test", labels[_MANY:], [8] * _FEW, [8] * 6)
    labels = spaced(1, 331, 310)
    train = _msvr310_split("train", labels[0::2], spread(600, 60), spread(432, 95))
    return train + _msvr310_split("test", labels[1::2], spread(591, 52), spread(464, 103))


def _msvr310_split(split: str, identities: list[int], several: list[int], single: list[int]) -> list[PlannedFrame]:
    """Plan the identities seen in two or three scenes (numbers of items ``several``), then those in one scene."""
    result = []
    for number, (identity, size) in enumerate(zip(identities, several + single, strict=True)):
        many = number < len(several)
        scenes = _msvr310_scenes(number, 2 + number % 2 if many else 1)
        for frame in range(size):
            scene = scenes[frame * len(scenes) // size]
            # A stride of 3 visits all eight views before it repeats one.
            view = (number + 3 * frame) % 8
            name = f"{identity:04d}_s{scene:03d}_v{view}_{frame:03d}.jpg"
            copy = _msvr310_paths("query3", identity, name) if many and split == "test" else ()
            paths = _msvr310_paths(f"bounding_box_{split}", identity, name)
            result.append(PlannedFrame(identity, view, (scene,), scene, paths, copy))
    return result


def _msvr310_paths(folder: str, identity: int, name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{identity:04d}/{sensor}/{name}" for sensor in ("vis", "ni", "th"))


def _msvr310_scenes(number: int, count: int) -> list[int]:
    """Return different scenes out of 0-30; every third identity starts in scene 0, as if it were the common one."""
    scenes = [1 + (7 * number + 10 * step) % 30 for step in range(count)]
    return [0 if number % 3 == 0 else scenes[0], *scenes[1:]]


def regdb(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set, 64 persons with five images of each sensor, or the published 412 with ten."""
    persons, images = _regdb_size(scale)
    return [
        PlannedFrame(person, camera, (person,), 0, (path,), sensors=sensor)
        for person in range(1, persons + 1)
        for camera, (folder, sensor) in enumerate((("Visible", Modality.R), ("Thermal", Modality.T)))
        for path in _regdb_paths(folder, person, images)
    ]


def regdb_lists(scale: Scale) -> dict[str, str]:
    """Return the forty lists of the ten splits; each trains on another half of the persons."""
    persons, images = _regdb_size(scale)
    result = {}
    for split in range(1, 11):
        order = random.Random(split).sample(range(1, persons + 1), persons)
        for use, chosen in (("train", order[::2]), ("test", order[1::2])):
            for folder in ("Visible", "Thermal"):
                lines = [
                    f"{path} {label}\n"
                    for label, person in enumerate(sorted(chosen))
                    for path in _regdb_paths(folder, person, images)
                ]
                result[f"idx/{use}_{folder.lower()}_{split}.txt"] = "".join(lines)
    return result


def sysu_mm01(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set, of 40 and 24 persons, or one with the published counts of every camera."""
    return [
        PlannedFrame(
            person, camera, (person, camera), 0, (path,), sensors=Modality.N if camera in (3, 6) else Modality.R
        )
        for part in _sysu_visits(scale)
        for person, camera, size in part
        for path in (f"cam{camera}/{person:04d}/{frame:04d}.jpg" for frame in range(1, size + 1))
    ]


def sysu_mm01_lists(scale: Scale) -> dict[str, str]:
    """Return the three lists of persons: a quarter of those that are trained on are in the list for validation."""
    train, test = (sorted({person for person, _, _ in part}) for part in _sysu_visits(scale))
    border = 3 * len(train) // 4 if scale == "tiny" else 296
    parts = {"train": train[:border], "val": train[border:], "test": test}
    return {f"exp/{name}_id.txt": ",".join(map(str, persons)) + "\n" for name, persons in parts.items()}


def _sysu_visits(scale: Scale) -> tuple[list[Visit], list[Visit]]:
    """Return what the cameras see of the persons for training and testing, cameras 1-3 indoors of some persons alone.

    At the full scale, 1,595 of the 3,803 infrared test images show persons whom cameras 1 and 2 do not see.
    """
    if scale == "tiny":
        seen = {1: 30, 2: 30, 3: 38, 4: 40, 5: 40, 6: 40}
        train = [(person, camera, 2) for camera, count in seen.items() for person in range(1, count + 1)]
        seen = {1: 14, 2: 14, 3: 23, 4: 24, 5: 24, 6: 24}
        return train, [(40 + person, camera, 3) for camera, count in seen.items() for person in range(1, count + 1)]
    visible, infrared = iter(spread(22258, 1250)), iter(spread(11909, 625))
    train = [
        (person, camera, next(infrared if camera in (3, 6) else visible))
        for person in range(1, 396)
        for camera in range(1 if person <= 230 else 4, 7)
    ]
    sizes = {
        1: spread(1374, 56),
        2: spread(1565, 56),
        3: spread(1088, 56) + spread(795, 37),
        4: [0, 0, *spread(1918, 94)],
        5: [0, *spread(1918, 95)],
        6: spread(1120, 56) + spread(800, 40),
    }
    test = [(396 + n, camera, size) for camera, found in sizes.items() for n, size in enumerate(found) if size]
    return train, test


def llcm(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set, of 36 and 24 persons, or one with the published counts; camera 3 is visible alone."""
    result = []
    for use, sensor, person, camera, size in _llcm_visits(scale):
        letters = str(sensor).translate({ord("R"): "vis", ord("N"): "nir"})
        folder = f"test_{letters}/cam{camera}/{person:04d}" if use == "test" else f"{letters}/{person:04d}"
        for frame in range(size):
            path = f"{folder}/{person:04d}_c{camera:02d}_s{person:06d}_f{frame:04d}_{letters}.jpg"
            result.append(PlannedFrame(person, camera, (person, camera), 0, (path,), sensors=sensor))
    return result


def llcm_lists(scale: Scale) -> dict[str, str]:
    """Return the lists of training images, with labels from 0, and that of the persons to test with."""
    paths = [frame.paths[0] for frame in llcm(scale)]
    persons = sorted({path.split("/")[1] for path in paths if not path.startswith("test_")})
    lists = {
        f"idx/train_{letters}.txt": "".join(
            f"{path} {persons.index(path.split('/')[1])}\n" for path in paths if path.startswith(f"{letters}/")
        )
        for letters in ("vis", "nir")
    }
    tested = sorted({int(path.split("/")[2]) for path in paths if path.startswith("test_")})
    return lists | {"idx/test_id.txt": ",".join(map(str, tested)) + "\n"}


def _llcm_visits(scale: Scale) -> list[tuple[str, Modality, int, int, int]]:
    """Return use, sensor, person, camera and number of images: three cameras a person, four of the visible ones."""
    persons, images = {"train": 36, "test": 24}, {"train": (288, 216), "test": (192, 144)}
    if scale == "full":
        persons, images = {"train": 713, "test": 351}, {"train": (16946, 13975), "test": (8680, 7166)}
    result = []
    for use, count in persons.items():
        for sensor, cameras, total in ((Modality.R, 4, images[use][0]), (Modality.N, 3, images[use][1])):
            sizes = iter(spread(total, count * cameras))
            for number in range(count):
                for step in range(cameras):
                    camera = ((1, 2, 4, 5, 6, 7, 8, 9)[(number + 3 * step) % 8]) if step < 3 else 3
                    person = number + 1 + (persons["train"] if use == "test" else 0)
                    result.append((use, sensor, person, camera, next(sizes)))
    return result


def _regdb_size(scale: Scale) -> tuple[int, int]:
    """Return the number of persons, and of images by each sensor."""
    return (64, 5) if scale == "tiny" else (412, 10)


def _regdb_paths(folder: str, person: int, images: int) -> list[str]:
    looks = f"{('male', 'female')[person % 2]}_{('back', 'front')[person // 2 % 2]}_{folder[0].lower()}"
    return [f"{folder}/{person}/{looks}_{images * person + frame:05d}_{person}.bmp" for frame in range(images)]
