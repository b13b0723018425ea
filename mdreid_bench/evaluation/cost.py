"""What one embedding costs: parameters in use and multiply-adds, attention included."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from mdreid_bench.models.method import Method
from protocols.modality import Modality


@dataclass(frozen=True)
class Cost:
    """Cost of one embedding of one item.

    Attributes:
        available: the sensors the item has; only their images enter the trunk.
        parameters: trainable or frozen numbers that take part, position and camera tables whole, counted once
            however often they are used. Training heads do not take part, nor does what only other subsets need.
        multiply_adds: products in convolutions, linear layers and attention, each with its addition; norms,
            activations and additions by themselves are not counted, as is usual.
    """

    available: Modality
    parameters: int
    multiply_adds: int


@torch.no_grad()
def embedding_cost(method: Method, image_size: tuple[int, int], available: Modality) -> Cost:
    """Count ``encode`` and ``embed`` of one item by running them; the method is left in evaluation mode.

    What a method computes once and keeps, such as the tokens of an absent image of each camera, is computed before
    the count and its multiply-adds are not in it. Published figures are often smaller because their counters skip
    attention, embeddings or projections (docs/methods/mdreid.md, "Cost"). The image size is (height, width) in
    pixels, as the method was built for.
    """
    method.eval()
    some = next(chain(method.parameters(), method.buffers()), torch.empty(0))
    images = {m: torch.zeros(1, 3, *image_size, device=some.device) for m in available}
    camera = torch.zeros(1, dtype=torch.int64, device=some.device)
    method.embed(method.encode(images, camera), available)
    flops, used = FlopCounterMode(display=False), _UsedStorage()
    with _elementary_attention(), flops, used:
        method.embed(method.encode(images, camera), available)
    parameters = sum(p.numel() for p in method.parameters() if p.untyped_storage().data_ptr() in used.addresses)
    return Cost(available, parameters, flops.get_total_flops() // 2)


class _UsedStorage(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the memory that any tensor operation reads or writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.addresses: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):
                self.addresses.add(value.untyped_storage().data_ptr())
        return func(*args, **kwargs)


@contextmanager
def _elementary_attention() -> Iterator[None]:
    """Let attention be computed by plain matrix products, which are counted whatever the version of torch."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
