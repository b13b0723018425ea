"""Batches whose items lack sensors: which rows have which, and losses over what is there.

What a method makes of a sensor that an item has lost is said on its card (``partial``).
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from protocols.modality import Modality, subsets

Seen = Mapping[Modality, Tensor]
"""By sensor (B,) bool, which rows of a batch have an image of it; every row has one of some sensor."""
_NAME = "seen."


def with_seen(represented: Mapping[str, Tensor], seen: Seen) -> dict[str, Tensor]:
    """Return what was represented of some rows with what they have, under names of its own."""
    return {**represented, **{_NAME + str(m): rows for m, rows in seen.items()}}


def seen_in(represented: Mapping[str, Tensor], sensors: Modality) -> Seen | None:
    """Return which rows have an image of which sensor, as ``losses`` is told; None where all have all."""
    found = {m: represented.get(_NAME + str(m)) for m in sensors}
    return {m: rows for m, rows in found.items() if rows is not None} or None


def rows_by_subset(seen: Seen) -> Iterator[tuple[Modality, Tensor]]:
    """Yield each subset of the sensors that some rows have, with the numbers of these rows, (b,)."""
    code = torch.stack([rows * m.value for m, rows in seen.items()]).sum(0)
    present = set(code.tolist())
    for subset in subsets(Modality(sum(m.value for m in seen))):
        if subset.value in present:
            yield subset, (code == subset.value).nonzero()[:, 0]


def over_rows(loss: Callable[[Tensor, Tensor], Tensor], features: Tensor, identity: Tensor, rows: Tensor) -> Tensor:
    """Return a loss of the features and identities of some rows alone, a scalar; 0 where there are fewer than two.

    Args:
        loss: of (b, D) features and (b,) identities.
        features: (B, D).
        identity: (B,) labels.
        rows: (B,) bool.
    """
    if int(rows.sum()) < 2:
        return 0 * features.sum()
    return loss(features[rows], identity[rows])


def with_means(vectors: Mapping[Modality, Tensor], seen: Seen) -> dict[Modality, Tensor]:
    """Let the mean of what a row has stand in for what it lacks, (B, D) by sensor."""
    zeros = {m: torch.where(seen[m][:, None], x, 0) for m, x in vectors.items()}
    count = torch.stack([seen[m] for m in vectors]).sum(0)[:, None]
    mean = torch.stack(list(zeros.values())).sum(0) / count
    return {m: torch.where(seen[m][:, None], x, mean) for m, x in vectors.items()}
