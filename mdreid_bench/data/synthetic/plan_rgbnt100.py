"""The strips of synthetic RGBNT100."""

from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale, marked, spread

_CAMERAS = 8


def plan_rgbnt100(scale: Scale) -> list[PlannedFrame]:
    """Return the tiny set (three cameras per identity, four frames, one of them a query) or the published counts.

    At full scale every track has 25 frames, five of them queries; 347 tracks train and 343 test.
    """
    if scale == "tiny":
        return _split("train", list(range(501, 560, 2)), [3] * 30, 4, 0) + _split(
            "test", list(range(502, 550, 2)), [3] * 24, 4, 1
        )
    train = _split("train", list(range(501, 600, 2)), spread(347, 50), 25, 0)
    return train + _split("test", list(range(502, 601, 2)), spread(343, 50), 25, 5)


def _split(split: str, identities: list[int], cameras: list[int], frames: int, queries: int) -> list[PlannedFrame]:
    """Plan the tracks of one split; ``queries`` strips of a track are copied into the query folder."""
    result = []
    for number, (identity, count) in enumerate(zip(identities, cameras, strict=True)):
        for step in range(count):
            # A stride of 3 visits all eight cameras before it repeats one.
            camera = (number + 3 * step) % _CAMERAS + 1
            for frame, asked in enumerate(marked(frames, queries)):
                name = f"{identity:04d}_c{camera:04d}_{frame:03d}.jpg"
                copy = (f"rgbir/query/{name}",) if asked else ()
                path = f"rgbir/bounding_box_{split}/{name}"
                result.append(PlannedFrame(identity, camera, (identity, camera), 0, (path,), copy))
    return result
