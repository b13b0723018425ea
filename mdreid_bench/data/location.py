"""Decides where the images come from, and says so."""

import os
from dataclasses import dataclass
from pathlib import Path

from mdreid_bench.data import registry
from mdreid_bench.data.files import cache_dir, dataset_folder
from mdreid_bench.data.marker import GENERATOR_VERSION, read_marker
from mdreid_bench.data.synthetic.generate import generate
from mdreid_bench.errors import DataError
from mdreid_bench.progress import Reporter

VARIABLE = "MDREID_DATA"
SYNTHETIC_SEED = 0
"""Seed of the embedded data."""


@dataclass(frozen=True)
class DataLocation:
    """Where a dataset is.

    Attributes:
        root: the data root, for ``open_dataset``.
        synthetic: True when the images are generated.
        reason: one plain sentence on why this root was taken.
    """

    root: Path
    synthetic: bool
    reason: str


def given_root(option: Path | None) -> Path | None:
    """Return the data root that the user gave: the option, else ``MDREID_DATA``, else None."""
    variable = os.environ.get(VARIABLE)
    return option or (Path(os.path.expanduser(variable)) if variable else None)


def resolve_data_root(option: Path | None, dataset: str, reporter: Reporter) -> DataLocation:
    """Return the data root for a dataset: the option, else ``MDREID_DATA``, else generated data in the user's cache.

    Args:
        option: the value of ``--data-root``, if given.
        dataset: a registered name.
        reporter: shows the progress of generating.

    Raises:
        UnknownNameError: when no dataset has this name.
        DataError: when the root has no such dataset, or when there is no root and no generator for the dataset.
    """
    known = registry.get(dataset)
    title, root = known.card.title, given_root(option)
    if root is not None:
        source = "--data-root" if option is not None else VARIABLE
        synthetic = read_marker(dataset_folder(known, root)) is not None
        kind = "synthetic images" if synthetic else "images"
        return DataLocation(root, synthetic, f"{title}: {kind} from {root}, given by {source}.")
    root = cache_dir() / "synthetic" / f"v{GENERATOR_VERSION}-tiny-{SYNTHETIC_SEED}"
    try:
        generate(root, dataset, "tiny", SYNTHETIC_SEED, reporter, repair=True)
    except DataError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise DataError(f"{str(error).rstrip('.')}, by setting MDREID_CACHE, or pass --data-root.") from error
    reason = f"{title}: synthetic images from {root}, because neither --data-root nor {VARIABLE} is given."
    return DataLocation(root, True, reason)
