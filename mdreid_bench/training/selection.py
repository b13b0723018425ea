"""Which epoch of a training is kept: the last one, or the one that does best on the test data."""

from abc import ABC, abstractmethod

import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.errors import DataError
from mdreid_bench.models.method import Method
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint
from protocols.evaluation import NoValidQueryError, evaluate
from protocols.modality import ALL_MODALITIES
from protocols.ranking import NonFiniteScoreError, rank_embeddings


class Selection(ABC):
    """Told of every epoch; says at the end whose weights are kept."""

    @abstractmethod
    def begin(self, done: int) -> None:
        """Get ready after ``done`` epochs of an earlier process, 0 for a training from the start."""

    @abstractmethod
    def after(self, method: Method, epoch: int) -> dict[str, float]:
        """Look at the weights after an epoch and return what the log should say of them."""

    @abstractmethod
    def finish(self, method: Method, last: int) -> int:
        """Put the weights that are kept into ``method`` and return their epoch."""


class LastEpoch(Selection):
    """Keeps the last epoch and looks at nothing."""

    def begin(self, done: int) -> None:
        """Do nothing."""

    def after(self, method: Method, epoch: int) -> dict[str, float]:
        """Return nothing to be logged."""
        return {}

    def finish(self, method: Method, last: int) -> int:
        """Return the last epoch."""
        return last


class BestTest(Selection):
    """Keeps the epoch with the best mAP of RNT-to-RNT on the test data, the later one of equals.

    This is how the released code bases choose the checkpoint that they report (docs/methods/training.md, "Precision,
    seeds and the reported epoch"). It makes the figure an optimistic one, so every record of such a run says so.

    Args:
        index: its test data are looked at after every epoch.
        config: of the run.
        folder: where the best weights so far are kept.
        device: to compute on.
    """

    def __init__(self, index: DatasetIndex, config: RunConfig, folder: TrainingFolder, device: torch.device) -> None:
        self.index, self.config, self.folder, self.device = index, config, folder, device
        self.best = -1.0

    def begin(self, done: int) -> None:
        """Take up the best epoch of an earlier process."""
        if not done:
            self.folder.best.unlink(missing_ok=True)
        elif self.folder.best.exists():
            _, facts = checkpoint.read(self.folder.best, checkpoint.DEPTH)
            self.best = float(facts["test_mAP"])

    def after(self, method: Method, epoch: int) -> dict[str, float]:
        """Evaluate, keep the weights if none were better, and return ``test_mAP``.

        Raises:
            DataError: when the embeddings are not finite, or no query has a valid positive.
        """
        reached = self.mean_average_precision(method)
        if reached >= self.best:
            self.best = reached
            checkpoint.save_weights(self.folder.best, method, {"epoch": epoch, "test_mAP": reached})
        return {"test_mAP": reached}

    def finish(self, method: Method, last: int) -> int:
        """Load the best weights; their file stays until the caller has stored them."""
        checkpoint.load_weights(self.folder.best, method)
        _, facts = checkpoint.read(self.folder.best, checkpoint.DEPTH)
        return int(facts["epoch"])

    def mean_average_precision(self, method: Method) -> float:
        """Return mAP of RNT-to-RNT on the test data, as a fraction."""
        items = self.index.test
        (matrix,) = embedded(method, self.index, self.config, self.device, (ALL_MODALITIES,)).values()
        try:
            ranking = rank_embeddings(
                matrix[items.query],
                matrix[items.gallery],
                items.labels.take(items.query),
                items.labels.take(items.gallery),
                self.index.card.exclusion,
            )
            return evaluate(ranking).summary().mAP
        except (NonFiniteScoreError, NoValidQueryError) as error:
            raise DataError(
                f"{self.config.dataset} cannot choose the epoch of {self.config.method}: {error}"
            ) from None


def selection_for(config: RunConfig, index: DatasetIndex, folder: TrainingFolder, device: torch.device) -> Selection:
    """Return the selection that a configuration asks for."""
    return BestTest(index, config, folder, device) if config.selection == "best-test" else LastEpoch()
