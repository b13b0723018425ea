"""The triplets of synthetic MSVR310."""

from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale, spaced, spread

_VIEWS = 8


def plan_msvr310(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set or one with the published counts.

    The queries are the test triplets whose identity occurs in more than one scene: 192 triplets of 24 identities at
    the tiny scale, 591 of 52 at the full one.
    """
    if scale == "tiny":
        labels = spaced(1, 331, 70)
        return _split("train", labels[:40], [8] * 30, [8] * 10) + _split("test", labels[40:], [8] * 24, [8] * 6)
    labels = spaced(1, 331, 310)
    train = _split("train", labels[0::2], spread(600, 60), spread(432, 95))
    return train + _split("test", labels[1::2], spread(591, 52), spread(464, 103))


def _split(split: str, identities: list[int], several: list[int], single: list[int]) -> list[PlannedFrame]:
    """Plan the identities seen in two or three scenes (numbers of triplets ``several``), then those in one scene."""
    result = []
    for number, (identity, size) in enumerate(zip(identities, several + single, strict=True)):
        many = number < len(several)
        scenes = _scenes(number, 2 + number % 2 if many else 1)
        for frame in range(size):
            scene = scenes[frame * len(scenes) // size]
            # A stride of 3 visits all eight views before it repeats one.
            view = (number + 3 * frame) % _VIEWS
            name = f"{identity:04d}_s{scene:03d}_v{view}_{frame:03d}.jpg"
            copy = _paths("query3", identity, name) if many and split == "test" else ()
            paths = _paths(f"bounding_box_{split}", identity, name)
            result.append(PlannedFrame(identity, view, (scene,), scene, paths, copy))
    return result


def _paths(folder: str, identity: int, name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{identity:04d}/{sensor}/{name}" for sensor in ("vis", "ni", "th"))


def _scenes(number: int, count: int) -> list[int]:
    """Return different scenes out of 0-30; every third identity starts in scene 0, as if it were the common one."""
    scenes = [1 + (7 * number + 10 * step) % 30 for step in range(count)]
    return [0 if number % 3 == 0 else scenes[0], *scenes[1:]]
