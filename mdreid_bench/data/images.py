"""Reads image files that nobody vouches for: whole or not at all, and never larger than expected."""

import hashlib
import io
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
MAX_BYTES = 256_000_000
_FORMATS = ("JPEG", "PNG", "BMP")
# Pillow would warn on the terminal of images that are refused here anyway.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class BadImageError(Exception):
    """An image that cannot be used; the text says why in a few words."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of a readable image: hexadecimal hash of the file, width and height in pixels."""

    digest: str
    width: int
    height: int


def load_rgb(path: Path, digest: str | None = None) -> Image.Image:
    """Decode an image and convert it to RGB.

    Args:
        path: of the file.
        digest: hash that its content must have, if it was inspected before.

    Raises:
        BadImageError: for a file that is missing, truncated, not an image, too large, or of other content.
    """
    content = _content(path)
    if digest not in (None, _digest(content)):
        raise BadImageError("other content")
    return _decode(content).convert("RGB")


def inspect_image(path: Path) -> ImageFacts:
    """Decode an image to the end and return its facts.

    Raises:
        BadImageError: as ``load_rgb``.
    """
    content = _content(path)
    width, height = _decode(content).size
    return ImageFacts(_digest(content), width, height)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


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


def _decode(content: bytes) -> Image.Image:
    if not content:
        raise BadImageError("empty file")
    too_large = BadImageError(f"more than {MAX_PIXELS // 1_000_000} million pixels")
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError:
        raise BadImageError("not an image") from None
    except Image.DecompressionBombError:
        raise too_large from None
    except Exception as error:  # damaged headers make the decoders raise nearly anything
        raise BadImageError("damaged image") from error
    if image.width * image.height > MAX_PIXELS:
        raise too_large
    try:
        image.load()
    except Exception as error:  # as above, for damaged content
        raise BadImageError("truncated or damaged image") from error
    return image
