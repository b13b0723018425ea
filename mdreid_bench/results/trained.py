"""Where trained weights lie: apart from the runs, because runs that differ in evaluation alone share them.

::

    results/trained/<dataset>-<method>-s<seed>-<first 10 digits of the training key>/
        weights.safetensors   the epoch that is kept, once training is complete
        state.safetensors     the last complete epoch, while it is not
        best.safetensors      the best epoch so far, while it is not, with --select best-test
        log.jsonl             one line per epoch: losses by name, learning rates, seconds
        history.jsonl         one line per step, for whoever watches (mdreid_bench/results/history.py)
        tensorboard/          the same as events of TensorBoard, with --tensorboard
        decoupling.json       how alike the parts of an item were before the first epoch
        trouble.json          the batch at which training stopped because a loss or gradient was not finite
        .lock                 who trains, while somebody does
"""

from pathlib import Path


class TrainingFolder:
    """The folder of one training, which need not exist yet, and the paths of its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / "weights.safetensors"
        self.state = path / "state.safetensors"
        self.best = path / "best.safetensors"
        self.log = path / "log.jsonl"
        self.history = path / "history.jsonl"
        self.events = path / "tensorboard"
        self.decoupling = path / "decoupling.json"
        self.trouble = path / "trouble.json"
        self.lock = path / ".lock"
        self.unfinished = self.state, self.best, self.trouble

    def forget_unfinished(self) -> None:
        """Remove what is of use only while the training is not complete."""
        for path in self.unfinished:
            path.unlink(missing_ok=True)
