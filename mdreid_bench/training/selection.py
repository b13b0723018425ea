"""Which epoch of a training is kept: the last one, or the one that does best on the test data."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.index import DatasetIndex
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.errors import DataError
from mdreid_bench.models.method import Method
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint
from protocols.evaluation import NoValidQueryError, evaluate
from protocols.modality import Modality
from protocols.ranking import NonFiniteScoreError, rank_embeddings
from protocols.suites import resolve
from protocols.trial import Trial


class Selection:
    """Told of every epoch, says at the end whose weights are kept: the last one's, without looking at anything."""

    def begin(self, done: int) -> None:
        """Get ready after ``done`` epochs of an earlier process, 0 for a training from the start."""

    def after(self, method: Method, epoch: int) -> dict[str, float]:
        """Look at the weights after an epoch and return what the log should say of them."""
        return {}

    def finish(self, method: Method, last: int) -> int:
        """Put the weights that are kept into ``method`` and return their epoch."""
        return last


class BestTest(Selection):
    """Keeps the epoch with the best mAP of the default protocol on the test data, the later one of equals.

    This is how the released code bases choose the checkpoint that they report (docs/methods/training.md, "Precision,
    seeds and the reported epoch"). It makes the figure an optimistic one, so every record of such a run says so.
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
        """Return mAP of the dataset's default protocol on the test data, as a fraction; the mean over its trials."""
        card, items = self.index.card, self.index.test
        setting = resolve(card.default_protocols, card.sensors)[0]
        trials = datasets.get(card.name).trials(items, setting)
        codes = np.unique(np.concatenate([codes for t in trials for codes in (t.query_sensors, t.gallery_sensors)]))
        subsets = tuple(Modality(int(code)) for code in codes)
        matrices = embedded(method, self.index, self.config, self.device, subsets)
        try:
            return float(np.mean([self._trial(trial, matrices) for trial in trials]))
        except (NonFiniteScoreError, NoValidQueryError) as error:
            raise DataError(
                f"{self.config.dataset} cannot choose the epoch of {self.config.method}: {error}"
            ) from None

    def _trial(self, trial: Trial, matrices: Mapping[Modality, NDArray[np.float32]]) -> float:
        labels = self.index.test.labels
        query, gallery = (
            np.stack([matrices[Modality(int(code))][row] for row, code in zip(rows, sensors, strict=True)])
            for rows, sensors in ((trial.query, trial.query_sensors), (trial.gallery, trial.gallery_sensors))
        )
        rule = self.index.card.exclusion
        ranking = rank_embeddings(query, gallery, labels.take(trial.query), labels.take(trial.gallery), rule)
        return evaluate(ranking).summary().mAP
