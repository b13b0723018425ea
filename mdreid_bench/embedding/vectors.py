"""What a method returns, checked before it is stored or searched."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Method
from protocols.modality import Modality


def checked(
    method: Method,
    vectors: Mapping[Modality, Any],
    subsets: Sequence[Modality],
    names: NDArray[np.str_],
    width: int | None = None,
) -> dict[Modality, NDArray[np.float32]]:
    """Return copies of the embeddings of a batch, (B, E) for each subset, rows in the order of the items.

    Args:
        method: that made them.
        vectors: what it returned for each subset.
        subsets: that were asked for.
        names: of the B items.
        width: E, as it was for the items before; None for the first.

    Raises:
        UsageError: when the method breaks its contract: a subset without vectors, another type or shape than that of
            one vector for every item, vectors of different length.
        DataError: when a vector is not finite.
    """
    result = {}
    for subset in subsets:
        found = vectors.get(subset)
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise _broken(method, subset, _kind(found), "must be a tensor of floating point numbers")
        if found.ndim != 2 or len(found) != len(names):
            shape = tuple(found.shape)
            raise _broken(method, subset, f"the shape {shape}", f"must be one vector for each of {len(names)} items")
        if width is None:
            width = found.shape[1]
        if found.shape[1] != width or not width:
            rule = f"must be as many as for other sensors and items, {width}" if width else "is empty"
            raise _broken(method, subset, f"vectors of {found.shape[1]} numbers", rule)
        matrix = np.array(found.detach().to(torch.float32).cpu().numpy(), order="C")
        broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(broken):
            raise DataError(
                f"The embedding of {names[int(broken[0])]} by {method.card.name} for {subset} is not finite, so "
                "nothing can be compared with it; check the weights, and the precision that they are used in."
            )
        result[subset] = matrix
    return result


def _broken(method: Method, subset: Modality, found: str, rule: str) -> UsageError:
    package = type(method).__module__.partition(".")[0]
    return UsageError(
        f"The method {method.card.name} of the package {package} breaks its contract: for {subset} it returned "
        f"{found}, which {rule}."
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
