"""The processes that share a training or an extraction, as ``torchrun`` and ``accelerate launch`` start them."""

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mdreid_bench.errors import MdreidError, UsageError, is_out_of_memory
from mdreid_bench.processes.launch import launched

T = TypeVar("T")
_PATIENCE = timedelta(hours=2)
"""How long processes wait for each other; one of them may be evaluating after an epoch, or writing."""


class PeerFailedError(MdreidError):
    """Another of the processes cannot go on."""


class PeerGoneError(PeerFailedError):
    """Another of the processes has ended, so that nothing more can be done together."""


@contextmanager
def _meeting() -> Iterator[None]:
    """Turn the error of a process that waited for another in vain into a message for the user."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise PeerGoneError(
            "Another of the processes that share the work has ended or cannot be reached; see what it said, and run "
            "the same command again to go on from here."
        ) from error


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that work together; process 0 leads and alone writes results."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> "Ranks":
        """Meet the processes that the environment tells of; without such, this process is alone.

        Raises:
            UsageError: when the environment does not say where to meet, or there are more processes on this machine
                than GPUs.
        """
        rank, size = launched()
        if size == 1:
            return cls()
        if not os.environ.get("MASTER_PORT", "").isdecimal():
            raise UsageError(
                f"The environment speaks of {size} processes and MASTER_ADDR, but MASTER_PORT is not a number; start "
                "them with torchrun, which sets it, or unset MASTER_ADDR to work in one process."
            )
        if device.type == "cuda":
            local = int(os.environ.get("LOCAL_RANK", "0"))
            here = int(os.environ.get("LOCAL_WORLD_SIZE", local + 1))
            devices = torch.cuda.device_count()
            if here > devices:
                raise UsageError(
                    f"{here} processes were started on a machine with {devices} CUDA device{'s' * (devices != 1)}, "
                    f"and no two may share one; start {devices} (torchrun --nproc-per-node {devices}), and other "
                    "runs when these have ended."
                )
            torch.cuda.set_device(local)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
            atexit.register(dist.destroy_process_group)
        return cls(rank, size)

    @property
    def leads(self) -> bool:
        """Whether this process writes results."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """Return the leader's value; the others give any."""
        if self.size == 1:
            return value
        box: list[Any] = [value if self.leads else None]
        with _meeting():
            dist.broadcast_object_list(box)
        received: T = box[0]
        return received

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do the work of a block in every process; when it fails in one, it fails in all.

        Nothing may be exchanged inside the block: who fails there would be missed by the others.

        Raises:
            PeerFailedError: when it failed in another process; with the reason.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            if self.size == 1:
                raise
            failure = error
        if self.size == 1:
            return
        failed = torch.tensor(float(failure is not None), device=_device())
        with _meeting():
            dist.all_reduce(failed)
        if failed > 0:
            self._fail(failure)

    def _fail(self, failure: Exception | None) -> None:
        reasons: list[str | None] = [None] * self.size
        with _meeting():
            dist.all_gather_object(reasons, None if failure is None else str(failure) or type(failure).__name__)
        if failure is not None:
            raise failure
        rank, reason = next((rank, text) for rank, text in enumerate(reasons) if text is not None)
        raise PeerFailedError(f"Process {rank} of {self.size} failed: {reason}")

    def collect(self, value: T) -> list[T]:
        """Return the values of all processes on the leader, nothing on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.leads else None
        with _meeting():
            dist.gather_object(value, values)
        return values or []

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes, in their order; all give equally many.

        The gradient that comes back is that of the sum of the losses of all processes. As they all compute the same
        loss, it is ``size`` times that of one, which ``average_gradients`` divides out.
        """
        if self.size == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows, self)
        return gathered

    def add(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes; the gradient that comes back is the sum of all of theirs."""
        if self.size == 1:
            return values
        total: Tensor = _Sum.apply(values)
        return total

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes.

        ``DistributedDataParallel`` would send gradients while others are still computed. But then a process whose
        backward pass fails leaves the others waiting in theirs until the patience ends, without its reason; here all
        learn of it first. Sent one by one they are on their way at once, and nothing is copied.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.size == 1:
            return
        with _meeting():
            for work in [dist.all_reduce(gradient, async_op=True) for gradient in gradients]:
                work.wait()
        for gradient in gradients:
            gradient /= self.size

    def share_weights(self, method: nn.Module) -> None:
        """Give all processes the leader's parameters and buffers, wherever each process keeps its own."""
        if self.size > 1:
            with _meeting():
                for tensor in method.state_dict().values():
                    sent = tensor.to(_device())
                    dist.broadcast(sent, 0)
                    tensor.copy_(sent)


ALONE = Ranks()
"""A process that works by itself."""


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all processes; the gradient of a process is that of its own rows.

    That of ``torch.distributed.nn.functional.all_gather`` sends gradients on the way back, though all processes have
    computed the same ones; when one of them fails there, the others wait for it until their patience ends.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        own = rows.detach().contiguous()
        as_bytes = own.view(torch.uint8)  # some backends know few types
        parts = [torch.empty_like(as_bytes) for _ in range(ranks.size)]
        with _meeting():
            dist.all_gather(parts, as_bytes)
        return torch.cat([part.view(own.dtype) for part in parts])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ranks: Ranks = ctx.ranks
        return gradients[0].chunk(ranks.size)[ranks.rank] * ranks.size, None


class _Sum(torch.autograd.Function):
    """Adds up over the processes, on the way there and on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _added(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _added(gradients[0])


def _added(values: Tensor) -> Tensor:
    total = values.detach().clone()
    with _meeting():
        dist.all_reduce(total)
    return total


def _device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
