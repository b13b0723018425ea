"""What a method returns, checked before it is stored or searched, and what it must not depend on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Images, Method
from protocols.modality import Modality, subsets

_ALIKE = 1e-4
"""Largest difference between equal vectors, relative to their largest number; other batches add in other orders."""
_CPU = torch.device("cpu")


def checked(
    method: type[Method],
    vectors: Mapping[Modality, Any],
    subsets: Sequence[Modality],
    names: NDArray[np.str_],
    width: int | None = None,
) -> dict[Modality, NDArray[np.float32]]:
    """Return copies of what a method returned for a batch, (B, E) for each subset, rows in the order of the B names.

    Vectors have ``width`` elements, as those of the items before; None for the first.

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


def check_contract(
    method: Method,
    sensors: Modality,
    size: tuple[int, int],
    *,
    batch_dependent: bool = False,
    device: torch.device = _CPU,
) -> None:
    """Embed two items of noise in several ways, to see that a vector depends on what it may depend on alone.

    Args:
        method: on the device; stays as it is.
        size: (height, width) of the images.
        batch_dependent: whether the method has declared that vectors depend on the other items of a batch.
        device: where the noise goes.

    Raises:
        UsageError: when an embedding depends on the other items of a batch, or on sensors that are not asked for.
    """
    generator, every = torch.Generator().manual_seed(0), subsets(sensors)
    pair, other = ({m: torch.randn(n, 3, *size, generator=generator).to(device) for m in sensors} for n in (2, 1))
    first, training = {m: x[:1] for m, x in pair.items()}, method.training

    def embedded(images: Images, among: tuple[Modality, ...]) -> dict[Modality, NDArray[np.float32]]:
        names = np.array(["noise"] * len(next(iter(images.values()))))
        vectors = method.embed_all(images, torch.zeros(len(names), dtype=torch.int64, device=device), among)
        return checked(type(method), vectors, among, names)

    def compare(images: Images, among: tuple[Modality, ...], found: str, rule: str) -> None:
        for subset, vectors in embedded(images, among).items() if among else ():
            if np.abs(vectors[0] - alone[subset][0]).max() > _ALIKE * np.abs(alone[subset]).max():
                raise _broken(type(method), subset, f"another vector {found}", rule)

    method.eval()
    try:
        alone = embedded(first, every)
        compare(pair, () if batch_dependent else every, "beside another item", "must depend on its own item alone")
        for absent in sensors:
            rest, rule = tuple(s for s in every if absent not in s), "must depend on the sensors asked for alone"
            compare(first | {absent: other[absent]}, rest, f"with another image of {absent}", rule)
            compare({m: x for m, x in first.items() if m != absent}, rest, f"without an image of {absent}", rule)
    finally:
        method.train(training)


def package_of(method: type[Method]) -> str:
    """Return the package that a method comes from."""
    return method.__module__.partition(".")[0]


def _broken(method: type[Method], subset: Modality, found: str, rule: str) -> UsageError:
    return UsageError(
        f"The method {method.card.name} of the package {package_of(method)} breaks its contract: for {subset} it "
        f"returned {found}, which {rule}."
    )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
