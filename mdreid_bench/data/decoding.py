"""From the content of an image file to three channels of 8 bits, by the rules of docs/methods/images.md."""

import enum
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
PERCENTILES = 1, 99
"""Of the counts of an image: what becomes black and white where no range is given."""
Span = tuple[float, float]
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_COUNTS = frozenset({"I", "I;16", "I;16B", "I;16L", "F"})
_COLOURS = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
_CONSTANT, _DEEP_LEVELS = 128, 16
_BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT = 258, 262, 274, 339
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow would warn on the terminal of images that are refused here anyway, and of metadata that nobody needs.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImageError(Exception):
    """An image that cannot be used; the text says why in a few words."""


class Rule(enum.StrEnum):
    """What is done to an image beyond decoding it."""

    COUNTS = "counts"
    DEEP = "16-bit-colour"
    TRANSPARENT = "transparency"
    TURNED = "orientation"
    INK = "cmyk"
    FIRST = "first-picture"


MEANINGS: Mapping[str, str] = {
    Rule.COUNTS: "of counts, scaled by image.counts or else from the 1st to the 99th percentile of each image",
    Rule.DEEP: "of 16 bits a colour, of which the upper 8 are used",
    Rule.TRANSPARENT: "with transparent parts, laid over black",
    Rule.TURNED: "turned as EXIF says",
    Rule.INK: "of printing inks (CMYK), converted without a profile",
    Rule.FIRST: "with more pictures in the file, of which the first is used",
}
"""Each rule in words that follow "3 images"."""


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright.

    Attributes:
        image: in the mode of its file, none of it transparent unless ``rules`` says so.
        rules: that it needs to become three channels of 8 bits.
        counts: (H, W) of any number type, instead of colours.
        inverted: whether the lowest count is white.
    """

    image: Image.Image
    rules: tuple[Rule, ...]
    counts: NDArray[Any] | None = None
    inverted: bool = False

    @property
    def span(self) -> Span | None:
        """Its lowest and highest count; None for colours."""
        return None if self.counts is None else (float(self.counts.min()), float(self.counts.max()))

    def rgb(self, span: Span | None = None) -> Image.Image:
        """Return three channels of 8 bits.

        Args:
            span: counts that become black and white; by default percentiles of the image.

        Raises:
            BadImageError: when different counts would become a single grey, or colours of 16 bits nearly so.
        """
        if self.counts is not None:
            return Image.fromarray(_grey(self.counts, span, inverted=self.inverted)).convert("RGB")
        if Rule.TRANSPARENT in self.rules:
            seen = self.image.convert("RGBA")
            result = Image.new("RGB", seen.size)
            result.paste(seen, mask=seen.getchannel("A"))
        else:
            result = self.image.convert("RGB")
        if Rule.DEEP in self.rules:
            _refuse_narrow(result)
        return result


def decode(content: bytes) -> Picture:
    """Decode a file to the end.

    Raises:
        BadImageError: when it is no image, damaged, too large, or of a kind that no rule covers.
    """
    image = _open(content)
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    bits, signs = _numbers(tags.get(_BITS)), _numbers(tags.get(_SAMPLE_FORMAT))
    deep = max(bits, default=content[24] if image.format == "PNG" else 8) > 8
    turn = tags.get(_ORIENTATION)
    several = bool(getattr(image, "is_animated", False))
    if several and image.format != "MPO":
        raise BadImageError("several pictures in one file; store the one that is meant")
    try:
        image.load()
    except Exception as error:  # damaged content makes the decoders raise nearly anything
        raise BadImageError("truncated or damaged image") from error
    left = _orientation(image)  # Pillow turns TIFF images as it loads them
    upright = image.transpose(_TURNS[left]) if left in _TURNS else image
    rules = [Rule.FIRST] if several else []
    rules += [Rule.TURNED] if left in _TURNS or turn in _TURNS else []
    if image.mode in _COUNTS:
        if "transparency" in image.info:
            raise BadImageError("counts with a transparent one among them")
        values = np.asarray(upright)
        unsigned = image.mode == "I" and bits == (32,) and signs in ((), (1,))
        values = values.view(np.uint32) if unsigned else values  # Pillow has no such mode
        if not np.isfinite(values).all():
            raise BadImageError("counts that are not finite")
        return Picture(upright, (*rules, Rule.COUNTS), values, inverted=tags.get(_PHOTOMETRIC) == 0)
    return Picture(upright, (*rules, *_colour_rules(image, deep=deep, signed=2 in signs, content=content)))


def _open(content: bytes) -> Image.Image:
    if not content:
        raise BadImageError("empty file")
    too_large = BadImageError(f"more than {MAX_PIXELS // 1_000_000} million pixels")
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        tiff = content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
        raise BadImageError(
            "a damaged TIFF file, or of a kind that is not known" if tiff else "not an image"
        ) from None
    except Image.DecompressionBombError:
        raise too_large from None
    except Exception as error:  # damaged headers make the decoders raise nearly anything
        raise BadImageError("damaged image") from error
    if image.width * image.height > MAX_PIXELS:
        raise too_large
    return image


def _numbers(tag: Any) -> tuple[int, ...]:
    """Return the value of a tag of a TIFF file, which may be one number or several."""
    values = tag if isinstance(tag, tuple) else () if tag is None else (tag,)
    return tuple(value for value in values if isinstance(value, int))


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF data are often damaged; such ones turn nothing
        return 1


def _colour_rules(image: Image.Image, *, deep: bool, signed: bool, content: bytes) -> list[Rule]:
    """Return what the colours of an image need.

    Raises:
        BadImageError: when no rule covers them.
    """
    if image.mode not in _COLOURS:
        raise BadImageError(f"colours of the kind {image.mode}; store RGB")
    if signed:
        raise BadImageError("signed numbers of 8 bits; store unsigned ones")
    if deep and image.format == "PNG" and content[25] == 4:
        raise BadImageError("counts with transparency; store them in one channel")
    rules = [Rule.DEEP] if deep else []
    rules += [Rule.INK] if image.mode == "CMYK" else []
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        rules.append(Rule.TRANSPARENT)
    return rules


def _grey(counts: NDArray[Any], span: Span | None, *, inverted: bool) -> NDArray[np.uint8]:
    """Scale counts so that ``span`` becomes 0 to 255; those beyond are cut off.

    Without a span, percentiles of the image are taken, or its extremes where these coincide.
    """
    lowest, highest = float(counts.min()), float(counts.max())
    if span is None:
        low, high = map(float, np.percentile(counts, PERCENTILES))
        span = (low, high) if low < high else (lowest, highest)
    if span[0] == span[1]:
        return np.full(counts.shape, _CONSTANT, dtype=np.uint8)
    if becomes_one_grey((lowest, highest), span):
        raise BadImageError(
            f"its counts, {lowest:g} to {highest:g}, become a single grey with image.counts {list(span)}"
        )
    grey = scaled(counts, span)
    return 255 - grey if inverted else grey


def becomes_one_grey(counts: Span, span: Span) -> bool:
    """Tell whether different counts, given by their extremes, become a single grey with a span."""
    low, high = scaled(np.array(counts), span)
    return counts[0] < counts[1] and bool(low == high)


def scaled(counts: NDArray[Any], span: Span) -> NDArray[np.uint8]:
    """Return counts between the ends of a span as greys from 0 to 255."""
    low, high = span
    values = np.clip(counts.astype(np.float64), low, high)
    values -= low
    values *= 255 / (high - low)
    return np.rint(values).astype(np.uint8)


def _refuse_narrow(image: Image.Image) -> None:
    extremes = np.asarray(image).reshape(-1, 3)
    levels = int((extremes.max(axis=0).astype(int) - extremes.min(axis=0)).max()) + 1
    if levels < _DEEP_LEVELS:
        raise BadImageError(f"16 bits a colour that use {levels} of 256 levels; store counts in one channel")
