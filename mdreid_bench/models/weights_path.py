"""Files of weights by the names that users and configurations give them; nothing here needs torch."""

import hashlib
from importlib import resources
from pathlib import Path

from mdreid_bench.config.schema import TrunkConfig
from mdreid_bench.errors import DataError
from mdreid_bench.results.storage.files import open_regular


def entry_of(path: Path) -> tuple[Path, str | None]:
    """Split ``FILE#ENTRY``; the # in the name of a file that exists is part of it."""
    file, mark, entry = str(path).rpartition("#")
    return (Path(file), entry) if mark and entry and not path.exists() else (path, None)


def local_weights(config: TrunkConfig) -> Path | None:
    """Return the weights file if ``pretrained`` is a path or weights shipped with the package, else None."""
    tag = config.pretrained
    if tag is None:
        return None
    if entry_of(Path(tag))[0].is_file():
        return Path(tag)
    bundled = resources.files("mdreid_bench.models").joinpath("weights", f"{config.name}-{tag}.safetensors")
    if not bundled.is_file():
        return None
    with resources.as_file(bundled) as path:
        return path


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex, for run keys of given weights; of ``FILE#ENTRY``, that of both.

    Raises:
        DataError: when the file cannot be read.
    """
    path, entry = entry_of(path)
    try:
        with open_regular(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        return found if entry is None else hashlib.sha256(f"{found}#{entry}".encode()).hexdigest()
    except OSError as error:
        raise DataError(f"The weights file {path} cannot be read: {error.strerror}.") from None
