"""Where trained weights lie: apart from the runs, because runs that differ in evaluation alone share them.

::

    results/trained/<dataset>-<method>-s<seed>-<first 10 digits of the training key>/
        weights.safetensors   the epoch that is kept, once training is complete
        state.safetensors     the last complete epoch, while it is not
        best.safetensors      the best epoch so far, while it is not, with --select best-test
        log.jsonl             one line per epoch
        trouble.json          the batch at which training stopped because a loss or gradient was not finite
        .lock                 who trains, while somebody does
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingFolder:
    """The folder of one training.

    Attributes:
        path: the folder, which need not exist yet.
    """

    path: Path

    @property
    def weights(self) -> Path:
        """Weights of the epoch that is kept; the file's presence says that training is complete."""
        return self.path / "weights.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the best epoch on the test data so far, where the epoch is chosen that way."""
        return self.path / "best.safetensors"

    @property
    def state(self) -> Path:
        """Weights, optimiser and epoch number of the last complete epoch of an unfinished training."""
        return self.path / "state.safetensors"

    @property
    def log(self) -> Path:
        """One JSON line per epoch: losses by name, learning rates, seconds."""
        return self.path / "log.jsonl"

    @property
    def trouble(self) -> Path:
        """The batch with a loss or gradient that was not finite, if training stopped at one."""
        return self.path / "trouble.json"

    @property
    def lock(self) -> Path:
        """Lock of the process that trains."""
        return self.path / ".lock"

    @property
    def unfinished(self) -> tuple[Path, ...]:
        """The files that are of use only while the training is not complete."""
        return self.state, self.best, self.trouble

    def forget_unfinished(self) -> None:
        """Remove what is of no use any more once the weights are stored."""
        for path in self.unfinished:
            path.unlink(missing_ok=True)
