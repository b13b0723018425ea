"""The items of the synthetic copies of WMVeID863 and Market1501-MM, which adaptation goes to and from."""

from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale, spaced, spread


def wmveid863(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set or one with the published counts.

    The queries are the test items whose identity occurs in two views: 192 items of 24 identities at the tiny scale,
    959 of 210 at the full one.
    """
    if scale == "tiny":
        return _wmveid863_split("train", spaced(1, 859, 40), [8] * 30, [8] * 10) + _wmveid863_split(
            "test", spaced(860, 1000, 28), [8] * 24, [6] * 4
        )
    train = _wmveid863_split("train", list(range(1, 604)), spread(2785, 480), spread(697, 123))
    return train + _wmveid863_split("test", list(range(604, 864)), spread(959, 210), spread(267, 50))


def _wmveid863_split(split: str, identities: list[int], several: list[int], single: list[int]) -> list[PlannedFrame]:
    """Plan the identities seen in two views (numbers of items ``several``), then those in one; some are rare."""
    often = (0, 1, 0, 2, 0, 3, 1, 4, 0, 5, 2, 6, 0, 7, 3, 1)
    result = []
    for number, (identity, size) in enumerate(zip(identities, several + single, strict=True)):
        many = number < len(several)
        first = often[number % len(often)]
        for frame in range(size):
            view = (first + 1 + number % 7) % 8 if many and 2 * frame >= size else first
            night = int(number % 3 == 0)
            name = f"v{view}_n{night}_s{number % 100:03d}_{frame:03d}.jpg"
            copy = _wmveid863_paths("query", identity, name) if many and split == "test" else ()
            paths = _wmveid863_paths(split, identity, name)
            result.append(PlannedFrame(identity, view, (identity, view), 0, paths, copy))
    return result


def _wmveid863_paths(folder: str, identity: int, name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{identity:04d}/{sensor}/{name}" for sensor in ("vis", "ni", "th"))


def market1501_mm(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set (two cameras an identity, one query and four gallery items each) or the published counts.

    Some gallery items show persons whom no query asks for, and some are junk: 20 and 12 at the tiny scale, 2,798 and
    3,819 at the full one.
    """
    if scale == "tiny":
        train = _market_tracks("train", list(range(1, 81, 2)), [2] * 40, [4] * 80)
        test = _market_tracks("gallery", list(range(2, 50, 2)), [2] * 24, [5] * 48)
        return train + test + _market_strangers(20, 12)
    train = _market_tracks("train", list(range(1, 1502, 2)), spread(3368, 751), spread(12936, 3368))
    test = _market_tracks("gallery", list(range(2, 1501, 2)), spread(3368, 750), spread(13115 + 3368, 3368))
    return train + test + _market_strangers(2798, 3819)


def _market_tracks(split: str, identities: list[int], cameras: list[int], sizes: list[int]) -> list[PlannedFrame]:
    """Plan every identity in several cameras; the first item of each in the test set is the query."""
    result = []
    left = iter(sizes)
    for number, (identity, count) in enumerate(zip(identities, cameras, strict=True)):
        for step in range(count):
            camera = (number + step * (1 + number % 5 if count == 2 else 1)) % 6 + 1
            for frame in range(next(left)):
                folder = "query" if split != "train" and not frame else split
                name = f"{identity:04d}_c{camera}s{number % 6 + 1}_{frame:06d}_{int(frame > 0):02d}.jpg"
                paths = _market_paths(folder, name)
                result.append(PlannedFrame(identity, camera, (identity, camera), 0, paths))
    return result


def _market_strangers(distractors: int, junk: int) -> list[PlannedFrame]:
    """Plan gallery items of identity 0 and of -1, each of a person of its own."""
    result = []
    for label, first, count in (("0000", 10_000, distractors), ("-1", 20_000, junk)):
        for number in range(count):
            camera = number % 6 + 1
            paths = _market_paths("gallery", f"{label}_c{camera}s1_{number:06d}_00.jpg")
            result.append(PlannedFrame(first + number, camera, (first + number, camera), 0, paths))
    return result


def _market_paths(folder: str, name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{sensor}/{name}" for sensor in ("RGB", "NI", "TI"))
