"""Getting open_clip's weights from its hub or its cache, without long waits where there is no network."""

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PROBE_SECONDS = 5


def download(tag: Mapping[str, Any]) -> Path:
    """Return the local file of an open_clip tag by its description, downloading it when it is not cached.

    Raises:
        Exception: whatever the download fails with.
    """
    import open_clip

    with quiet_logging(), _offline_when_unreachable():
        return Path(open_clip.download_pretrained(tag))


@contextlib.contextmanager
def quiet_logging() -> Iterator[None]:
    """Silence open_clip's remarks on random weights and failed downloads, which the caller reports itself."""
    previous = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(previous)


@contextlib.contextmanager
def _offline_when_unreachable() -> Iterator[None]:
    """Let the hub's client use its cache alone when the hub does not answer, instead of retrying for a minute."""
    from huggingface_hub import constants

    previous = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = previous or not answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = previous


def answers(url: str) -> bool:
    """Tell whether a server answers soon."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
