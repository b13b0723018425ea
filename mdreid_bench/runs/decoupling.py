"""Watches how alike the parts of an item are that a method keeps apart: before its training and after it."""

import numpy as np
import torch

from mdreid_bench.embedding.decoupling import mean_similarity
from mdreid_bench.models.method import Method
from mdreid_bench.results.decoupling import PartSimilarities, distance, in_lines
from mdreid_bench.results.run_log import RunLog
from mdreid_bench.runs.run import Run


def watch_start(run: Run, method: Method, device: torch.device, log: RunLog) -> None:
    """Measure a method that is about to be trained, unless its training has begun before; the result lies with it.

    Raises:
        DataError: when the file system refuses.
    """
    place = run.training_folder.decoupling
    found = None if PartSimilarities.read(place) else _measured(run, method, device, log, "before training")
    if found is not None:
        found.model_copy(update={"before": found.after, "after": None}).write(place)


def watch_end(run: Run, method: Method, device: torch.device, log: RunLog) -> None:
    """Measure the method of a run with its weights; the result lies with the run, beside that before its training.

    Raises:
        DataError: when the file system refuses.
    """
    found = _measured(run, method, device, log, "after training" if run.trains else "of the weights")
    if found is not None:
        start = PartSimilarities.read(run.training_folder.decoupling) if run.trains else None
        before = start.before if start is not None and start.names == found.names else None
        found.model_copy(update={"before": before}).write(run.store.folder(run.id).decoupling)


def copy_of_source(run: Run) -> None:
    """Give a run whose embeddings are derived what was measured of the same weights.

    Raises:
        DataError: when the file system refuses.
    """
    found = run.source and PartSimilarities.read(run.store.folder(run.source.id).decoupling)
    if found:
        found.write(run.store.folder(run.id).decoupling)


def _measured(run: Run, method: Method, device: torch.device, log: RunLog, when: str) -> PartSimilarities | None:
    """Measure and log; None for a method without such parts, without items that all sensors saw, or with NaN."""
    wanted = method.decoupling()
    if wanted is None:
        return None
    similarity, items = mean_similarity(method, wanted, run.index, run.facts.modalities, run.config, device)
    if not items or not np.isfinite(similarity).all():
        return None
    found = PartSimilarities(names=wanted.names, ideal=wanted.ideal.tolist(), items=items, after=similarity.tolist())
    far = distance(similarity, wanted.ideal)
    log.note(f"mean cosines of the parts of {items} test items {when}, at a distance of {far:.4f} from the ideal:")
    for line in in_lines(wanted.names, similarity):
        log.note(line)
    return found
