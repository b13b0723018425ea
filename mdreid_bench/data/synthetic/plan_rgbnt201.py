"""The triplets of synthetic RGBNT201."""

from collections import Counter

from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale, marked, spaced, spread

Visit = tuple[int, int, int]
"""(identity, camera 1-4, number of triplets)."""


def plan_rgbnt201(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set or one with the published counts."""
    if scale == "tiny":
        pairs = [(a, b) for a in range(1, 5) for b in range(a + 1, 5)]
        train = [(i, camera, 4) for i in range(40) for camera in pairs[i % len(pairs)]]
        test = [(258 + i, camera, 5) for i in range(24) for camera in (1, 2)]
        return _frames("train_171", train, 0.3) + _frames("test", test, 0.3)
    return _frames("train_171", _full_train(), 1183 / 3951) + _frames("test", _full_test(), 0.3)


def _full_train() -> list[Visit]:
    """Plan 171 identities, 51 of them in two cameras, as published: 8 to 35 triplets each.

    Cameras 1 to 4 take 2,592, 1,142, 88 and 129 triplets.
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


def _full_test() -> list[Visit]:
    """Plan 30 identities, each in cameras 1 and 2, which take 365 and 471 triplets."""
    sizes = zip(spaced(258, 299, 30), spread(365, 30), spread(471, 30), strict=True)
    return [visit for identity, one, two in sizes for visit in ((identity, 1, one), (identity, 2, two))]


def _frames(split: str, visits: list[Visit], share: float) -> list[PlannedFrame]:
    """Name the triplets; the third field of the name is 1 for the given share of them, which are lit differently."""
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
