"""Where trained weights lie: apart from the runs, because runs that differ in evaluation alone share them.

::

    results/trained/<dataset>-<method>-s<seed>-<first 10 digits of the training key>/
        weights.safetensors   the last epoch, once training is complete
        state.safetensors     the last complete epoch, while it is not
        log.jsonl             one line per epoch
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
        """Weights of the last epoch; the file's presence says that training is complete."""
        return self.path / "weights.safetensors"

    @property
    def state(self) -> Path:
        """Weights, optimiser and epoch number of the last complete epoch of an unfinished training."""
        return self.path / "state.safetensors"

    @property
    def log(self) -> Path:
        """One JSON line per epoch: losses by name, learning rates, seconds."""
        return self.path / "log.jsonl"
