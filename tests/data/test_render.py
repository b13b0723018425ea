"""What the three sensors share and what they do not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mdreid_bench.data.synthetic.draw import draw_camera, draw_identity, draw_scene, stream
from mdreid_bench.data.synthetic.latents import CLIPPED_TO, IMAGE_SIZE, PATTERNED, IdentityLatent, Kind, Part
from mdreid_bench.data.synthetic.materials import CONTRAST
from mdreid_bench.data.synthetic.raster import part_map
from mdreid_bench.data.synthetic.render import render
from protocols.modality import RNT, Modality

KINDS: tuple[Kind, ...] = ("person", "vehicle")
LUMINANCE = np.array((0.299, 0.587, 0.114))


def identity(kind: Kind, number: int = 0) -> IdentityLatent:
    return draw_identity(kind, stream("test", 0, "identity", number))


def shot(subject: IdentityLatent, night: bool = False, camera: int = 0) -> dict[Modality, NDArray[np.uint8]]:
    kind = subject.kind
    seen_by = draw_camera(kind, stream("test", 0, "camera", camera))
    scene = replace(draw_scene(kind, stream("test", 0, "scene"), night=night), flare=None)
    return render(subject, seen_by, scene, stream("test", 0, "frame"))


def edges(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Strength of the grey-level gradient, averaged over 4x4 pixels."""
    grey = image @ LUMINANCE
    strength = np.abs(np.diff(grey, axis=0)[:, :-1]) + np.abs(np.diff(grey, axis=1)[:-1])
    height, width = (side // 4 for side in strength.shape)
    cells: NDArray[np.float64] = strength[: height * 4, : width * 4].reshape(height, 4, width, 4).mean((1, 3))
    return cells


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [None, (64, 32), (30, 50)])
def test_images_have_the_size_asked_for(kind: Kind, size: tuple[int, int] | None) -> None:
    rng = stream("test", 0)
    images = render(identity(kind), draw_camera(kind, rng), draw_scene(kind, rng), rng, size)
    assert list(images) == list(RNT)
    for image in images.values():
        assert image.shape == (*(size or IMAGE_SIZE[kind]), 3)
        assert image.dtype == np.uint8
    for modality in (Modality.N, Modality.T):
        assert np.ptp(images[modality], axis=2).max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_same_arguments_same_pixels(kind: Kind) -> None:
    first, second = shot(identity(kind)), shot(identity(kind))
    assert all(np.array_equal(first[m], second[m]) for m in RNT)
    other = shot(identity(kind, 1))
    assert not any(np.array_equal(first[m], other[m]) for m in RNT)


@pytest.mark.parametrize("kind", KINDS)
def test_sensors_share_the_geometry(kind: Kind) -> None:
    """Edges of one triplet coincide across sensors more than with those of other identities."""
    maps = [{m: edges(image) for m, image in shot(identity(kind, i)).items()} for i in range(12)]

    def alike(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    for a, b in ((Modality.R, Modality.N), (Modality.R, Modality.T), (Modality.N, Modality.T)):
        own = [alike(one[a], one[b]) for one in maps]
        foreign = [max(alike(maps[i][a], maps[j][b]) for j in range(12) if j != i) for i in range(12)]
        assert sum(o > f for o, f in zip(own, foreign, strict=True)) >= 10, (a, b, own, foreign)


@pytest.mark.parametrize("kind", KINDS)
def test_thermal_image_does_not_depend_on_colour(kind: Kind) -> None:
    subject = identity(kind)
    repainted = subject.materials.copy()
    repainted[:, :4] = 1 - repainted[:, :4]
    before, after = shot(subject), shot(replace(subject, materials=repainted))
    assert np.array_equal(before[Modality.T], after[Modality.T])
    assert not np.array_equal(before[Modality.R], after[Modality.R])
    assert not np.array_equal(before[Modality.N], after[Modality.N])


@pytest.mark.parametrize("kind", KINDS)
def test_night_darkens_rgb_alone(kind: Kind) -> None:
    day, night = shot(identity(kind)), shot(identity(kind), night=True)
    assert night[Modality.R].mean() < 0.6 * day[Modality.R].mean()
    for modality in (Modality.N, Modality.T):
        assert night[modality].mean() > 0.7 * day[modality].mean()


def test_headlights_brighten_rgb_alone() -> None:
    scenes = (draw_scene("vehicle", stream("test", 0, i), night=True) for i in range(20))
    lit = next(scene for scene in scenes if scene.flare is not None)
    subject, camera = identity("vehicle"), draw_camera("vehicle", stream("test", 0, "camera"))
    glare = render(subject, camera, lit, stream("test", 0, "frame"))
    plain = render(subject, camera, replace(lit, flare=None), stream("test", 0, "frame"))
    assert glare[Modality.R].mean() > plain[Modality.R].mean() + 5
    assert np.array_equal(glare[Modality.N], plain[Modality.N])
    assert np.array_equal(glare[Modality.T], plain[Modality.T])


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_are_visible_in_every_sensor_and_colours_are_shared(kind: Kind) -> None:
    subjects = [identity(kind, i) for i in range(60)]
    for subject in subjects:
        for pattern, base in PATTERNED[kind].items():
            difference = np.abs(subject.materials[base] - subject.materials[pattern])
            assert (difference[3:] >= CONTRAST - 1e-6).all()
            luminance = (subject.materials[base, :3] - subject.materials[pattern, :3]) @ LUMINANCE
            assert abs(luminance) >= CONTRAST - 1e-3
    main = Part.TORSO if kind == "person" else Part.BODY
    colours = np.array([subject.materials[main, :3] for subject in subjects])
    gaps = np.abs(colours[:, None] - colours[None]).max(-1) + np.eye(60)
    assert (gaps.min(1) < 0.1).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_identities_differ_by_many_pixels(kind: Kind) -> None:
    """At 128 pixels, the part maps of two identities differ over a fifth of what either covers."""
    camera = draw_camera(kind, stream("test", 0, "camera", 3))
    size = (128, 64) if kind == "person" else (64, 128)
    maps = [part_map(identity(kind, i), camera, stream("test", 0, "frame"), *size) for i in range(12)]
    for i, first in enumerate(maps):
        assert 0.2 < (first > 0).mean() < 0.8
        for second in maps[:i]:
            assert (first != second).sum() > 0.2 * ((first > 0) | (second > 0)).sum()


def seen_from(subject: IdentityLatent, azimuth: float) -> NDArray[np.uint8]:
    """The part map of a frame without turn, swing and shift, from a camera that looks straight at the object."""
    plain = {"squeeze": 1.0, "scale": 1.0, "shear": 0.0, "shift": (0.0, 0.0), "occluder": None}
    camera = replace(draw_camera(subject.kind, stream("test", 0)), azimuth=azimuth, **plain)  # type: ignore[arg-type]

    class Still(np.random.Generator):
        def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
            return np.full(size or (), (low + high) / 2) if size else (low + high) / 2

    return part_map(subject, camera, Still(np.random.PCG64(0)), *IMAGE_SIZE[subject.kind])


def test_a_vehicle_is_mirrored_from_the_other_side_and_shows_the_end_that_a_camera_stands_near() -> None:
    for subject in (identity("vehicle", i) for i in range(8)):
        right, left = seen_from(subject, 0.25), seen_from(subject, 0.75)
        assert (right != left[:, ::-1]).mean() < 0.02
        assert (right != left).mean() > 0.02
        ends = {azimuth: (seen_from(subject, azimuth) == Part.END).any(axis=0) for azimuth in (0.05, 0.25, 0.45)}
        flank = np.isin(right, (Part.BODY, Part.BODY_PATTERN, Part.CABIN, Part.WINDOW))
        assert ends[0.25].sum() <= 6 < min(ends[0.05].sum(), ends[0.45].sum())
        middle = np.flatnonzero(flank.any(axis=0)).mean()
        assert np.flatnonzero(ends[0.05]).mean() > middle > np.flatnonzero(ends[0.45]).mean()


def test_a_person_is_narrower_from_the_side_and_shows_hair_for_a_face_and_a_whole_backpack_from_behind() -> None:
    subjects = [identity("person", i) for i in range(20)]
    for subject in subjects:
        bare = replace(subject, shapes=tuple(shape for shape in subject.shapes if shape.apart == (0.0, 0.0)))
        torso = [np.isin(seen_from(bare, a), (Part.TORSO, Part.TORSO_PATTERN)).any(axis=0).sum() for a in (0.0, 0.25)]
        assert torso[1] < 0.75 * torso[0]
        front, back = seen_from(subject, 0.0), seen_from(subject, 0.5)
        head = slice(0, front.shape[0] // 6)
        assert (back[head] == Part.HAIR).sum() > (front[head] == Part.HAIR).sum()
        assert (back[head] == Part.SKIN).sum() < (front[head] == Part.SKIN).sum()
    packed = [s for s in subjects if any(shape.apart == (0.0, -0.1) for shape in s.shapes)]
    assert packed
    for subject in packed:
        bag = [np.isin(seen_from(subject, a), (Part.BAG, Part.BAG_PATTERN)).sum() for a in (0.0, 0.5)]
        assert bag[1] > 1.5 * bag[0]


def test_few_cameras_of_a_dataset_stand_around_the_object() -> None:
    for kind in KINDS:
        turns = np.array([draw_camera(kind, stream("test", 0, n), n).azimuth for n in range(4)])
        gaps = np.abs(turns[:, None] - turns[None])
        assert (np.minimum(gaps, 1 - gaps) + np.eye(4) > 0.13).all()


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_cover_part_of_their_surface(kind: Kind) -> None:
    camera = replace(draw_camera(kind, stream("test", 0, "camera")), occluder=None)
    counts = np.zeros(len(Part), dtype=int)
    for i in range(20):
        labels = part_map(identity(kind, i), camera, stream("test", 0, "frame"), *IMAGE_SIZE[kind])
        counts += np.bincount(labels.ravel(), minlength=len(Part))
    pattern = Part.TORSO_PATTERN if kind == "person" else Part.BODY_PATTERN
    assert 0.25 < counts[pattern] / (counts[pattern] + counts[CLIPPED_TO[pattern]]) < 0.75


def test_streams_are_told_apart_by_every_argument() -> None:
    keys: list[tuple[str, int, tuple[str | int, ...]]] = [
        ("a", 0, ()),
        ("b", 0, ()),
        ("a", 1, ()),
        ("a", 0, ("x",)),
        ("a", 0, ("x", 1)),
        ("a", 0, ("x", "1")),
        ("a", 0, ("x1",)),
        ("a", 0, (1, "x")),
        ("a", 0, (0,)),
        ("a", 0, ("", "")),
    ]
    first = {int(stream(name, seed, *words).integers(2**63)) for name, seed, words in keys}
    assert len(first) == len(keys)
    assert stream("a", 0, "x").integers(2**63) == stream("a", 0, "x").integers(2**63)
