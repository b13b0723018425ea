"""Reads image files that nobody vouches for: whole or not at all, never larger than expected, and by known rules."""

import hashlib
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mdreid_bench.data.decoding import MEANINGS, BadImageError, Rule, Span, decode
from mdreid_bench.wording import counted

__all__ = ["SUFFIXES", "BadImageError", "InspectedImage", "inspect_image", "load_rgb"]

MAX_BYTES = 256_000_000
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
"""Of files that are taken for images, in small letters; the content says how they are decoded."""


@dataclass(frozen=True)
class InspectedImage:
    """What is known of a readable image.

    Attributes:
        digest: hexadecimal hash of the file.
        width: in pixels, as it is seen.
        height: likewise.
        rules: that it needs to become three channels of 8 bits; see docs/methods/images.md.
        counts: its lowest and highest count; None for colours.
    """

    digest: str
    width: int
    height: int
    rules: tuple[str, ...] = ()
    counts: Span | None = None


def load_rgb(path: Path, counts: Span | None = None, digest: str | None = None) -> Image.Image:
    """Decode an image and convert it to RGB.

    Args:
        path: of the file.
        counts: those that become black and white, where the image holds counts; by default percentiles of its own.
        digest: hash that its content must have, if it was inspected before.

    Raises:
        BadImageError: for a file that is missing, truncated, not an image, too large, of a kind that no rule covers,
            or of other content, and for different counts that would become a single grey.
    """
    content = _content(path)
    if digest not in (None, _digest(content)):
        raise BadImageError("other content")
    return decode(content).rgb(counts)


def inspect_image(path: Path) -> InspectedImage:
    """Decode an image to the end and return its facts.

    Raises:
        BadImageError: as ``load_rgb``.
    """
    content = _content(path)
    picture = decode(content)
    if Rule.DEEP in picture.rules:
        picture.rgb()
    return InspectedImage(_digest(content), *picture.image.size, tuple(map(str, picture.rules)), picture.span)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def rules_of(facts: Iterable[InspectedImage]) -> dict[str, int]:
    """Count the images that need each rule."""
    found = Counter(rule for fact in facts for rule in fact.rules)
    return {str(rule): found[rule] for rule in Rule if rule in found}


def described(rules: Mapping[str, int]) -> list[str]:
    """Say for each rule how many images need it, such as ``"3 images turned as EXIF says"``."""
    return [f"{counted(number, 'image')} {MEANINGS.get(rule, rule)}" for rule, number in rules.items()]


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end, and neither would /dev/zero
            raise BadImageError("not a file")
        if status.st_size > MAX_BYTES:
            raise BadImageError(f"larger than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except FileNotFoundError:
        raise BadImageError("file is missing") from None
    except OSError as error:
        raise BadImageError(f"not readable ({error.strerror or 'I/O error'})") from None
