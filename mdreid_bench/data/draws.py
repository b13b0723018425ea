"""Galleries that are drawn at random from the items of each identity and camera, always in the same way."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdreid_bench.data.items import Item, Items
from mdreid_bench.errors import DataError
from protocols.arrays import Counts

TRIALS = 10
SHOTS = 10
"""Items of each identity and camera in a multi-shot gallery."""


def released_draw(items: Items, rows: Counts, trial: int, shots: int) -> Counts:
    """Return the rows that the released code of AGW draws: from each identity and camera in order, ascending.

    The generator is seeded with the number of the trial; each group of files, sorted by name, gives one
    ``random.choice``. For several shots the released code has none, and its successors draw with a generator that
    nobody seeds; here each group then gives one ``random.sample``.

    Source: Ye et al., Deep learning for person re-identification: a survey and outlook, TPAMI 2022, released code.
    """
    generator = random.Random(trial)
    chosen: list[int] = []
    for _, group in _groups(items, rows):
        chosen += [generator.choice(group)] if shots == 1 else generator.sample(group, min(shots, len(group)))
    return np.array(sorted(chosen), dtype=np.int64)


def listed_draw(items: Items, rows: Counts, trial: int, shots: int) -> Counts:
    """Return the rows whose scene says that a file of permutations draws them; see :func:`marked`."""
    place = trial if shots == 1 else TRIALS + trial
    return rows[(items.labels.scene[rows] >> place & 1).astype(np.bool_)]


def _groups(items: Items, rows: Counts) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Yield the rows of each identity and camera, both ascending, sorted by name."""
    label = items.labels

    def key(row: int) -> tuple[int, int]:
        return int(label.identity[row]), int(label.camera[row])

    ordered = sorted(rows.tolist(), key=lambda row: (*key(row), str(items.names[row])))
    yield from ((found, list(group)) for found, group in groupby(ordered, key))


def marked(
    items: Iterable[Item], permutations: Mapping[tuple[int, int], NDArray[np.int64]], file: Path
) -> dict[str, int]:
    """Return a number for each item by name: bit t where trial t draws it alone, bit 10 + t where it draws ten.

    Args:
        items: of which some are drawn in every trial.
        permutations: by identity and camera, (10 or more, n): in row t the items 1 to n of both, sorted by name, in
            random order; single-shot trials take the first of them, multi-shot ones the first ten.
        file: that holds them, for messages.

    Raises:
        DataError: when a permutation of some items is missing or of another shape.
    """
    result: dict[str, int] = {}
    ordered = sorted(items, key=lambda item: (item.identity, item.camera, item.name))
    for (identity, camera), group in groupby(ordered, lambda item: (item.identity, item.camera)):
        names = [item.name for item in group]
        table = permutations.get((identity, camera), np.zeros((0, 0), dtype=np.int64))
        if table.shape[1:] != (len(names),) or len(table) < TRIALS or (np.sort(table) != _counted(names)).any():
            shape = " x ".join(map(str, table.shape))
            raise DataError(
                f"{file} must hold {TRIALS} permutations of the {len(names)} images of person {identity} in camera "
                f"{camera + 1}, not a table of {shape}; take the file that was published with these images."
            )
        for trial, row in enumerate(table[:TRIALS]):
            for place, number in enumerate(row[:SHOTS].tolist()):
                bits = (1 << TRIALS + trial) | (place == 0) << trial
                result[names[number - 1]] = result.get(names[number - 1], 0) | bits
    return result


def _counted(names: Sequence[str]) -> NDArray[np.int64]:
    return np.arange(1, len(names) + 1)


def read_permutations(file: Path) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Read ``rand_perm_cam``, cells of cells of tables, from a MATLAB file: camera, identity, trial x image.

    Raises:
        DataError: when the file cannot be read or holds something else.
    """
    from scipy.io import loadmat  # slow to import

    try:
        cameras: Sequence[NDArray[np.object_]] = loadmat(file)["rand_perm_cam"].ravel()
        tables = {
            (identity, camera): np.asarray(table).astype(np.int64, casting="unsafe")
            for camera, persons in enumerate(cameras)
            for identity, table in enumerate(persons.ravel(), start=1)
            if np.size(table)
        }
    except Exception as error:  # whatever a damaged file makes scipy do
        why = str(error) or type(error).__name__
        raise DataError(
            f"{file} holds no cells rand_perm_cam of tables ({why}); restore it or move it away."
        ) from None
    return tables
