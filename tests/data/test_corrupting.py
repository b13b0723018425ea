"""Corrupted images: every type, the same each time, alike in the channels of sensors that see no colours."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data import loading
from mdreid_bench.data.corrupting import corrupt, corrupted, require_library
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.data.transforms import resize
from mdreid_bench.errors import UsageError
from protocols.corruption import FAMILIES, LEVELS, TYPES, Corruption
from protocols.modality import RNT, N, R, T


def picture(size: tuple[int, int] = (48, 64), grey: bool = False) -> Image.Image:
    """Return smooth colours with a dark figure, (width, height)."""
    width, height = size
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    pixels = np.stack([200 * x + 20, 180 * y + 30, 120 + 80 * np.sin(6 * x)], axis=-1)
    pixels[height // 4 : -height // 4, width // 3 : -width // 3] *= 0.3
    image = Image.fromarray(pixels.astype(np.uint8))
    return image.convert("L").convert("RGB") if grey else image


def same(a: Image.Image, b: Image.Image) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def distance(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).mean())


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_changes_an_image_the_same_way_each_time(kind: str) -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    image = picture(size=(48, 72))
    first, again, other = (corrupt(image, kind, 3, seed) for seed in (7, 7, 8))
    assert first.size == image.size
    assert first.mode == "RGB"
    assert same(first, again)
    assert distance(first, image) > 1
    drawn = {*FAMILIES["noise"], "glass_blur", "motion_blur", "snow", "frost", "fog", "rain", "spatter"}
    assert same(first, other) == (kind not in drawn | {"elastic_transform"})
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index]


@pytest.mark.parametrize(
    "kind", ["gaussian_noise", "impulse_noise", "gaussian_blur", "rain", "contrast", "defocus_blur"]
)
def test_higher_levels_change_more(kind: str) -> None:
    image = picture(size=(64, 128))
    found = [distance(corrupt(image, kind, level, 5), image) for level in LEVELS]
    assert found == sorted(found)
    assert found[0] < found[-1]


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "saturate"])
def test_what_sees_no_colours_stays_grey(kind: str) -> None:
    for level in (1, 5):
        pixels = np.asarray(corrupt(picture(grey=True), kind, level, 3, colour=False)).astype(int)
        assert np.abs(pixels - pixels[..., :1]).max() <= (2 if kind == "jpeg_compression" else 0)


def test_noise_of_false_colours_is_equal_in_the_channels() -> None:
    image = picture()
    change = np.asarray(corrupt(image, "gaussian_noise", 1, 3, colour=False)).astype(int) - np.asarray(image)
    inside = (np.asarray(image) > 70).all(axis=-1) & (np.asarray(image) < 185).all(axis=-1)  # nothing is cut off
    assert (change[inside] == change[inside][:, :1]).all()
    assert change[inside].std() > 10


def test_gaussian_noise_has_the_published_strength() -> None:
    grey = Image.new("RGB", (200, 200), (128, 128, 128))
    for level, scale in zip(LEVELS[:3], (0.08, 0.12, 0.18), strict=True):
        assert np.asarray(corrupt(grey, "gaussian_noise", level, 1)).std() / 255 == pytest.approx(scale, rel=0.02)


def test_rain_darkens_by_its_level_and_draws_drops() -> None:
    plain = Image.new("RGB", (100, 100), (100, 100, 100))
    for level in LEVELS:
        pixels = np.asarray(corrupt(plain, "rain", level, 2))
        dry = 100 - round(255 * (0.05 + 0.05 * level))
        assert pixels.min() in (max(dry, 0), max(dry - 1, 0))
        assert pixels.max() > pixels.min() + 5


@pytest.mark.parametrize("size", [(3, 5), (20, 90), (32, 40)])
def test_small_images_are_enlarged_to_what_the_library_takes(size: tuple[int, int]) -> None:
    for kind in ("rain", "pixelate", "frost"):
        assert min(corrupt(picture(size), kind, 5, 1).size) >= 32


def test_the_images_of_an_item_are_corrupted_as_it_draws() -> None:
    spec, images = Corruption("random", repetition=2), {R: picture(), N: picture(grey=True), T: picture(grey=True)}
    found, draws = corrupted(images, spec, "0007"), spec.draw("0007", RNT)
    for sensor, (kind, level) in draws.items():
        seed = spec.pixel_seed("0007", sensor)
        assert same(found[sensor], corrupt(images[sensor], kind, level, seed, colour=sensor == R))
    assert corrupted(images, replace(spec, sensors="R"), "0007")[N] is images[N]


def test_images_are_corrupted_as_decoded_before_they_are_resized(planted: DatasetIndex, config: RunConfig) -> None:
    spec = Corruption("contrast-3", sensors="NT")
    images, clean = loading.TestImages(planted, config, corruption=spec), loading.TestImages(planted, config)
    decoded = planted.read(planted.test.images[5])
    expected = resize(corrupt(decoded[N], "contrast", 3, 0, colour=False), config.image_size, training=False)
    assert np.array_equal(images[5].pixels[N], expected)
    assert not np.array_equal(images[5].pixels[N], clean[5].pixels[N])
    assert np.array_equal(images[5].pixels[R], clean[5].pixels[R])


def test_training_images_are_never_corrupted(planted: DatasetIndex, config: RunConfig) -> None:
    assert loading.ItemReader(planted, planted.train, config, training=True).corruption is None


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(UsageError, match=r"pip install 'mdreid-bench\[corruption\]'"):
        require_library()
