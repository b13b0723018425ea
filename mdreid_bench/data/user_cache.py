"""Where things that can be made again are kept between runs."""

import os
from pathlib import Path

import platformdirs

VARIABLE = "MDREID_CACHE"


def cache_dir() -> Path:
    """Return the cache folder: the environment variable ``MDREID_CACHE``, else the user's cache; it may not exist."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("mdreid-bench"))
