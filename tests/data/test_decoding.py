"""Images beyond three channels of 8 bits: each kind by its rule, or refused by name."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from mdreid_bench.data.decoding import BadImageError, Rule, Span, decode, scaled
from mdreid_bench.data.images import described, inspect_image, load_rgb, rules_of

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
KELVIN = RNG.integers(7000, 9000, (12, 20)).astype(np.uint16)


def encoded(image: Image.Image | NDArray[Any], form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def tags(**values: tuple[int, int]) -> TiffImagePlugin.ImageFileDirectory_v2:
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in values.values():
        found[number] = value
    return found


def pixels(content: bytes, span: Span | None = None) -> NDArray[np.uint8]:
    return np.asarray(decode(content).rgb(span))


def pillows(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(values, (1, 99))
    grey = np.rint((np.clip(values.astype(float), low, high) - low) * (255 / (high - low))).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_8_bits_stay_as_pillow_decodes_them(form: str, mode: str) -> None:
    content = encoded(Image.fromarray(BYTES).convert(mode), form)
    picture = decode(content)
    assert picture.rules == ()
    assert np.array_equal(np.asarray(picture.rgb()), pillows(content))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_tiff_and_webp_are_images_too(form: str, options: dict[str, Any]) -> None:
    content = encoded(BYTES, form, **options)
    assert decode(content).rules == ()
    assert np.array_equal(pixels(content), pillows(content))
    if options.get("compression") != "jpeg":
        assert np.array_equal(pixels(content), BYTES)


COUNTS: dict[str, bytes] = {
    "16-bit PNG": encoded(KELVIN, "PNG"),
    "16-bit TIFF": encoded(KELVIN, "TIFF"),
    "16-bit TIFF, deflated": encoded(KELVIN, "TIFF", compression="tiff_adobe_deflate"),
    "big-endian TIFF": encoded(Image.frombytes("I;16B", (20, 12), KELVIN.astype(">u2").tobytes()), "TIFF"),
    "32-bit TIFF": encoded(KELVIN.astype(np.int32), "TIFF"),
    "float TIFF": encoded(KELVIN.astype(np.float32), "TIFF"),
    "degrees": encoded((KELVIN.astype(np.float32) - 7990) / 100, "TIFF"),
    "negative": encoded(KELVIN.astype(np.int32) - 8000, "TIFF"),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_counts_keep_their_contrast(kind: str) -> None:
    picture = decode(COUNTS[kind])
    assert picture.rules == (Rule.COUNTS,)
    assert np.abs(pixels(COUNTS[kind]).astype(int) - stretched(KELVIN)).max() <= 1
    low, high = picture.span or (0.0, 0.0)
    assert high - low == pytest.approx((int(KELVIN.max()) - int(KELVIN.min())) / (100 if kind == "degrees" else 1))


def test_counts_of_a_given_range_keep_their_meaning() -> None:
    content = encoded(np.array([[6000, 7000, 8000, 9000, 9999]], dtype=np.uint16), "PNG")
    assert pixels(content, (7000, 9000))[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("span", [(0.0, 255.0), (20_000.0, 30_000.0), (0.0, 1e9)])
def test_different_counts_never_become_one_grey(span: Span) -> None:
    with pytest.raises(BadImageError, match=r"its counts, 70\d\d to \d+, become a single grey with image.counts"):
        pixels(COUNTS["16-bit PNG"], span)


@pytest.mark.parametrize("seed", range(20))
def test_counts_of_any_distribution_vary_as_long_as_they_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.full((16, 16), rng.integers(0, 65536), dtype=np.uint16)
    few = rng.integers(1, 256)
    values.flat[rng.permutation(256)[:few]] = rng.integers(0, 65536, few)
    if values.min() == values.max():
        values[0, 0] ^= 1
    found = pixels(encoded(values, "PNG"))
    assert found.min() < found.max()


def test_counts_that_are_all_the_same_are_grey() -> None:
    same = encoded(np.full((4, 4), 65535, dtype=np.uint16), "PNG")
    assert np.unique(pixels(same)).tolist() == [128]
    assert np.unique(pixels(same, (0, 65535))).tolist() == [255]


def test_extreme_counts_are_scaled_without_overflow() -> None:
    values = np.array([[-3e38, 0, 3e38]], dtype=np.float32)
    assert scaled(values, (float(values[0, 0]), float(values[0, 2]))).tolist() == [[0, 128, 255]]
    tiny = np.array([[0, 1e-45]], dtype=np.float32)
    assert scaled(tiny, (0.0, float(tiny[0, 1]))).tolist() == [[0, 255]]


def test_unsigned_counts_of_32_bits_do_not_turn_negative() -> None:
    values = np.array([[0, 1 << 30, 1 << 31, (1 << 32) - 1]], dtype=np.uint32)
    signed, unsigned = (b"\x53\x01\x03\0\1\0\0\0" + bytes([kind]) for kind in (2, 1))
    content = encoded(values.view(np.int32), "TIFF").replace(signed, unsigned)
    assert decode(content).span == (0, (1 << 32) - 1)
    assert pixels(content, (0, 2**32 - 1))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_counts_whose_lowest_is_white_are_turned_over() -> None:
    content = encoded(KELVIN, "TIFF", tiffinfo=tags(photometric=(262, 0)))
    assert np.array_equal(pixels(content), 255 - stretched(KELVIN))


def _see_through(alpha: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.dstack([BYTES, alpha]))


def test_transparent_parts_are_laid_over_black() -> None:
    alpha = np.zeros((12, 20), dtype=np.uint8)
    alpha[:, 10:] = 255
    seen = np.where(alpha[:, :, None] > 0, BYTES, 0)
    for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        content = encoded(_see_through(alpha), form, **options)
        assert decode(content).rules == (Rule.TRANSPARENT,)
        assert np.array_equal(pixels(content), seen)
    half = encoded(Image.fromarray(np.full((2, 2, 2), 128, dtype=np.uint8), "LA"), "PNG")
    assert np.unique(pixels(half)).tolist() == [64]


def test_a_channel_of_transparency_without_any_changes_nothing() -> None:
    content = encoded(_see_through(np.full((12, 20), 255, dtype=np.uint8)), "PNG")
    assert decode(content).rules == ()
    assert np.array_equal(pixels(content), BYTES)


@pytest.mark.parametrize("transparent", [1, bytes([255, 0])])
def test_palettes_are_looked_up_with_their_transparency(transparent: int | bytes) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert pixels(encoded(image, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert pixels(encoded(image, "PNG", transparency=transparent)).tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_a_transparent_colour_is_laid_over_black() -> None:
    for image, key in ((Image.new("RGB", (2, 1), (9, 8, 7)), (9, 8, 7)), (Image.new("L", (2, 1), 9), 9)):
        image.putpixel((1, 0), 200 if key == 9 else (200, 200, 200))
        content = encoded(image, "PNG", transparency=key)
        assert decode(content).rules == (Rule.TRANSPARENT,)
        assert pixels(content)[0].tolist() == [[0, 0, 0], [200, 200, 200]]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("number", range(1, 9))
def test_images_are_turned_as_they_are_seen(form: str, number: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = number
    plain, turned = (encoded(BYTES, form, **extra) for extra in ({}, {"exif": exif}))
    stored = pixels(plain)
    transposed = stored if number < 5 else stored.transpose(1, 0, 2)
    upright = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}[number]
    expected = transposed[:: upright[0], :: upright[1]]
    assert np.array_equal(pixels(turned), expected)
    path = tmp_path / "image"
    path.write_bytes(turned)
    facts = inspect_image(path)
    assert (facts.width, facts.height) == load_rgb(path).size == expected.shape[1::-1]
    assert facts.rules == (() if number == 1 else ("orientation",))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_exif_that_cannot_be_read_turns_nothing(exif: bytes) -> None:
    content = encoded(BYTES, "JPEG", exif=exif)
    assert np.array_equal(pixels(content), pillows(content))


def _deep_png(values: NDArray[np.uint16]) -> bytes:
    """Write what Pillow does not: a PNG of 16 bits a colour."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bits_a_colour_lose_the_lower_ones() -> None:
    deep = BYTES.astype(np.uint16) * 256 + 77
    assert decode(_deep_png(deep)).rules == (Rule.DEEP,)
    assert np.array_equal(pixels(_deep_png(deep)), BYTES)


REFUSED: dict[str, tuple[bytes, str]] = {
    "counts as colours": (_deep_png(np.repeat(KELVIN[:, :, None] // 2, 3, axis=2)), "use 5 of 256 levels"),
    "counts and transparency": (_deep_png(np.dstack([KELVIN, KELVIN])), "counts with transparency"),
    "a transparent count": (encoded(KELVIN, "PNG", transparency=7000), "a transparent one among them"),
    "not a number": (encoded(np.array([[1, np.nan]], dtype=np.float32), "TIFF"), "not finite"),
    "infinite": (encoded(np.array([[1, np.inf]], dtype=np.float32), "TIFF"), "not finite"),
    "LAB": (encoded(Image.fromarray(BYTES, "LAB"), "TIFF"), "colours of the kind LAB"),
    "pages": (encoded(BYTES, "TIFF", save_all=True, append_images=[Image.fromarray(BYTES)]), "several pictures"),
    "moving PNG": (encoded(BYTES, "PNG", save_all=True, append_images=[Image.fromarray(255 - BYTES)]), "several"),
    "moving WebP": (encoded(BYTES, "WEBP", save_all=True, append_images=[Image.fromarray(255 - BYTES)]), "several"),
    "signed bytes": (encoded(BYTES[:, :, 0], "TIFF", tiffinfo=tags(kind=(339, 2))), "signed numbers of 8 bits"),
    "unknown TIFF": (encoded(KELVIN, "TIFF", tiffinfo=tags(kind=(339, 4))), "TIFF file, or of a kind"),
    "GIF": (encoded(BYTES, "GIF"), "not an image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_rule_covers_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    content, words = REFUSED[kind]
    path = tmp_path / "image.png"
    path.write_bytes(content)
    for read in (inspect_image, load_rgb):
        with pytest.raises(BadImageError, match=words):
            read(path)


OTHERS: dict[str, tuple[Callable[[], bytes], tuple[Rule, ...]]] = {
    "inks": (lambda: encoded(Image.fromarray(BYTES).convert("CMYK"), "JPEG"), (Rule.INK,)),
    "inks (TIFF)": (lambda: encoded(Image.fromarray(BYTES).convert("CMYK"), "TIFF"), (Rule.INK,)),
    "YCbCr": (lambda: encoded(Image.fromarray(BYTES).convert("YCbCr"), "TIFF"), ()),
    "several in a JPEG": (
        lambda: encoded(BYTES, "MPO", save_all=True, append_images=[Image.fromarray(255 - BYTES)]),
        (Rule.FIRST,),
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_converted_as_pillow_does_it(kind: str) -> None:
    make, rules = OTHERS[kind]
    content = make()
    assert decode(content).rules == rules
    assert np.array_equal(pixels(content), pillows(content))


def test_rules_are_counted_and_described(tmp_path: Path) -> None:
    for name, content in (("a", COUNTS["16-bit PNG"]), ("b", COUNTS["float TIFF"]), ("c", encoded(BYTES, "PNG"))):
        (tmp_path / name).write_bytes(content)
    rules = rules_of(inspect_image(tmp_path / name) for name in "abc")
    assert rules == {"counts": 2}
    assert described(rules) == [
        "2 images of counts, scaled by image.counts or else from the 1st to the 99th percentile of each image"
    ]
