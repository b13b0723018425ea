"""Measures how scores of training items of different identities are distributed, by the sensors of both sides."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.embedding.extract import embedded
from mdreid_bench.models.card import Vectors
from mdreid_bench.models.method import Method
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.runs.run import Run
from protocols.arrays import Counts
from protocols.calibration import Calibration, Compared
from protocols.exclusion import Labels
from protocols.mixed import MixedAvailability
from protocols.modality import Modality, subsets

SAMPLE = 1000
"""Most training items that are embedded: 1,000 make half a million pairs."""
_SEED = 0


def calibrate(run: Run, method: Method, device: torch.device, log: RunLog) -> None:
    """Embed training items of a run, at most ``SAMPLE`` drawn with a seed, and store how they score; no test item.

    They are those that the weights were trained on; of a method that was not trained here, the training items of the
    dataset.

    Raises:
        UsageError: when the method does not compare items of different subsets in one gallery.
        DataError: when images have become unreadable, or the file system refuses.
    """
    stored = run.embeddings.read_items()
    section = run.config.evaluation.model_copy(update={"precision": stored.precision})
    config = run.config.model_copy(update={"evaluation": section})
    vectors, identity = _embedded(run, method, config, device, log)
    found = Calibration.estimate(vectors, identity, _comparison(run))
    place = run.store.folder(run.id).calibration
    StoredCalibration.of(found, stored.weights, len(identity)).write(place)
    log.note(f"calibration of {run.name}: {len(found.pairs)} pairs of subsets, from {len(identity)} training items")


def _embedded(
    run: Run, method: Method, config: RunConfig, device: torch.device, log: RunLog
) -> tuple[dict[Modality, Vectors], Counts]:
    """Return the embeddings of the drawn training items by subset, and their identities."""
    stage, wanted = run.stage, subsets(run.facts.modalities)
    indexes = stage.labelled or (run.index,)
    identity, camera = stage.numbered(indexes)
    drawn = np.random.default_rng(_SEED).permutation(np.flatnonzero(identity >= 0))[:SAMPLE]
    drawn.sort()
    parts, first = [], 0
    for index in indexes:
        own = drawn[(drawn >= first) & (drawn < first + len(index.train))]
        if len(own):
            items = index.train.take(own - first)
            labels = Labels(items.labels.identity, camera[own], items.labels.scene)
            numbered = replace(items, labels=labels)
            parts.append(embedded(method, index, config, device, wanted, items=numbered, reporter=log))
        first += len(index.train)
    return {subset: np.concatenate([part[subset] for part in parts]) for subset in wanted}, identity[drawn]


def _comparison(run: Run) -> Compared | None:
    """Return how items of different subsets are compared that lie in one gallery."""
    comparison = run.card.comparison(run.config.options, run.facts.modalities)
    return None if comparison is None else partial(comparison, MixedAvailability())
