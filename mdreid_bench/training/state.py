"""What a training keeps between epochs, so that one that was interrupted ends with the same bytes."""

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from mdreid_bench.models.method import Method
from mdreid_bench.processes.ranks import Ranks
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint

_GUESSED, _BUFFER = "guessed", "buffer."


class TrainingState:
    """Weights, optimiser, loss scale, log, and what the method found out for the epoch that comes next.

    Of the processes that train, the leader alone reads and writes.

    Attributes:
        log: an entry for each complete epoch.
        prepared: number of the epoch that the method has got ready for, 0 for none.
        guessed: (n,) the identities that it guessed for that epoch, if it did.
        said: what it had to say of that epoch.
    """

    def __init__(
        self,
        method: Method,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        folder: TrainingFolder,
        ranks: Ranks,
    ) -> None:
        self.method, self.optimizer, self.scaler = method, optimizer, scaler
        self.folder, self.ranks = folder, ranks
        self.log: list[dict[str, Any]] = []
        self.prepared = 0
        self.guessed: NDArray[np.int64] | None = None
        self.said: list[str] = []

    def save(self, epoch: int) -> None:
        """Write the state after an epoch, which may already be ready for the next one."""
        facts = {"epoch": epoch, "prepared": self.prepared, "said": self.said, "log": self.log}
        facts["scaler"] = self.scaler.state_dict()
        more = {_BUFFER + name: value for name, value in _passing_buffers(self.method).items()}
        if self.guessed is not None:
            more[_GUESSED] = torch.from_numpy(self.guessed)
        checkpoint.save_state(self.folder.state, self.method, self.optimizer, facts, more)
        self._write_log()

    def resume(self) -> int:
        """Restore what an earlier process has left and return the number of complete epochs."""
        clear(self.folder.path)
        if not self.folder.state.exists():
            return 0
        facts, more = checkpoint.load_state(self.folder.state, self.method, self.optimizer)
        if facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])
        self.log, self.prepared, self.said = facts["log"], int(facts["prepared"]), facts.get("said", [])
        self.guessed = more.pop(_GUESSED).numpy() if _GUESSED in more else None
        _set_buffers(self.method, {name.removeprefix(_BUFFER): value for name, value in more.items()})
        self._write_log()
        return int(facts["epoch"])

    def share(self, done: int) -> int:
        """Give all processes what the leader has resumed, and return the number of its complete epochs."""
        ranks, method = self.ranks, self.method
        done = ranks.agree(done)
        ranks.share_weights(method)
        if done and ranks.size > 1:
            optimizer, scaler = ranks.agree((self.optimizer.state_dict(), self.scaler.state_dict()))
            self.optimizer.load_state_dict(optimizer)
            if scaler:
                self.scaler.load_state_dict(scaler)
        self.share_preparation()
        return done

    def share_preparation(self) -> None:
        """Give all processes what the leader's method found out for an epoch, but for its weights."""
        if self.ranks.size > 1:
            own = {name: value.cpu() for name, value in _passing_buffers(self.method).items()}
            self.prepared, self.guessed, buffers = self.ranks.agree((self.prepared, self.guessed, own))
            _set_buffers(self.method, buffers)

    def _write_log(self) -> None:
        write_text(self.folder.log, "".join(json.dumps(entry) + "\n" for entry in self.log))


def _passing_buffers(method: Method) -> dict[str, Tensor]:
    """Return the buffers that are no part of the weights."""
    kept = method.state_dict().keys()
    return {name: value for name, value in method.named_buffers() if name not in kept}


def _set_buffers(method: Method, buffers: dict[str, Tensor]) -> None:
    device = next((parameter.device for parameter in method.parameters()), None)
    for name, value in buffers.items():
        parent, _, leaf = name.rpartition(".")
        method.get_submodule(parent).register_buffer(leaf, value.to(device), persistent=False)
