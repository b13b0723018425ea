"""Losses and gradients that are not finite: found before they reach the weights, named, and then fatal or skipped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from mdreid_bench.errors import MdreidError
from mdreid_bench.results.storage.atomic import write_json
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.wording import listed

OnNan = Literal["stop", "skip"]
"""What to do with a batch whose loss or gradient is not finite."""

_SHOWN = 6


@dataclass(frozen=True)
class Place:
    """One step of a training: epoch and step, counted from 1, and the names of the items of its batch."""

    epoch: int
    step: int
    images: tuple[str, ...]


@dataclass(frozen=True)
class Trouble(Place):
    """A loss or a gradient that is not finite; ``losses`` are the values of all terms, as text.

    No ``terms`` are named when none is to blame alone.
    """

    where: Literal["loss", "gradient"]
    terms: tuple[str, ...]
    losses: Mapping[str, str]

    @classmethod
    def at(
        cls, place: Place, where: Literal["loss", "gradient"], terms: tuple[str, ...], losses: Mapping[str, float]
    ) -> "Trouble":
        """Describe what went wrong at a step."""
        return cls(**vars(place), where=where, terms=terms, losses={name: str(v) for name, v in losses.items()})

    def sentence(self, run: str) -> str:
        """Say what happened in a run, without a full stop."""
        if self.where == "loss":
            others = f" (so did {', '.join(self.terms[1:])})" if self.terms[1:] else ""
            what = f"The loss {self.terms[0]!r} became {self.losses[self.terms[0]]}"
        else:
            of = f" of the loss {' and '.join(map(repr, self.terms))}" if self.terms else ""
            what, others = f"The gradient{of} became infinite or NaN", ""
        shown = listed(self.images, _SHOWN)
        place = f"at epoch {self.epoch}, step {self.step} of {run}{others}"
        return f"{what} {place}, with the images {shown}"


def broken_terms(losses: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names of the loss terms that are not finite."""
    return tuple(name for name, value in losses.items() if not math.isfinite(value))


def is_finite_gradient(parameters: Sequence[nn.Parameter]) -> bool:
    """Tell whether the gradients of all parameters are finite; those without a gradient do not matter."""
    norms = [torch.linalg.vector_norm(p.grad) for p in parameters if p.grad is not None]
    return not norms or bool(torch.isfinite(torch.stack(norms)).all())


def blamed(terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> tuple[str, ...]:
    """Return the freshly computed, scalar loss terms that give a gradient that is not finite, each by itself."""
    found = []
    for name, term in terms.items():
        if not term.requires_grad:
            continue
        gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        if not all(bool(torch.isfinite(g).all()) for g in gradients if g is not None):
            found.append(name)
    return tuple(found)


class Guard:
    """Decides what becomes of a training in trouble; details are written to its folder before it stops."""

    def __init__(self, mode: OnNan, folder: TrainingFolder, what: str, *, writes: bool = True) -> None:
        self.mode, self.folder, self.what, self.writes = mode, folder, what, writes
        self.skipped: list[Trouble] = []
        self._buffers: list[tuple[Tensor, Tensor]] = []

    def remember(self, method: nn.Module) -> None:
        """Keep running statistics as they are before a step, when the step may have to be undone."""
        if self.mode == "skip":
            self._buffers = [(buffer, buffer.clone()) for buffer in method.buffers()]

    def meet(self, trouble: Trouble, last_good: int) -> None:
        """Count the batch as skipped and undo what it did, or stop; the weights are as before the step.

        The last complete epoch is named in the error; 0 for none.

        Raises:
            MdreidError: when a batch must not be skipped.
        """
        if self.mode == "stop":
            raise self._stop(trouble, last_good, "skip such batches with --on-nan skip")
        for buffer, before in self._buffers:
            buffer.copy_(before)
        self.skipped.append(trouble)

    def close_epoch(self, steps: int, last_good: int) -> list[Trouble]:
        """Return the batches skipped in an epoch and forget them.

        Raises:
            MdreidError: when every batch of the epoch was skipped: training would go on without learning anything.
        """
        skipped, self.skipped = self.skipped, []
        if skipped and not steps:
            raise self._stop(skipped[0], last_good, "use another recipe: all batches of the epoch were skipped")
        return skipped

    def _stop(self, trouble: Trouble, last_good: int, advice: str) -> MdreidError:
        details = self.folder.trouble
        if self.writes:
            write_json(details, {"run": self.what, **asdict(trouble)})
        kept = f"epoch {last_good} is kept in {self.folder.state}" if last_good else "no epoch was complete yet"
        return MdreidError(
            f"{trouble.sentence(self.what)}; try a lower optimizer.lr or {advice}; {kept}, and all names are in "
            f"{details}."
        )
