"""Puts the folders of a run in order: what a killed process left, what is of no use any more, what is damaged."""

import shutil

from mdreid_bench.embedding.stored import EmbeddingFolder
from mdreid_bench.errors import DataError
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.storage.lock import attempt, in_use
from mdreid_bench.results.storage.temporary import clear
from mdreid_bench.results.store import RunFolder
from mdreid_bench.runs.outcome import Outcome, settled
from mdreid_bench.runs.plan import Plan, lacks_calibration
from mdreid_bench.runs.run import Run


def tidy(run: Run) -> None:
    """Remove temporary files, locks without an owner, and unfinished work that has been finished since.

    What another process uses stays. A damaged description of a run is written again.

    Raises:
        DataError: when a lock cannot be opened, or the file system refuses.
    """
    folder, scope, training = run.store.folder(run.id), run.scope.path, run.training_folder
    if folder.path.is_dir() and not _is_described(folder):
        from mdreid_bench.runs.facts import describe  # needs torch

        describe(run)
    embeddings = [EmbeddingFolder(path) for path in run.scope.embedding_folders()]
    for path in (folder.path, scope, *(found.path for found in embeddings), training.path):
        clear(path)
    for lock in scope.glob(".*.lock"):
        in_use(lock)  # whoever finds a lock without an owner removes it
    if training.weights.exists() and any(path.exists() for path in (*training.unfinished, training.lock)):
        with attempt(training.lock) as held:
            if held is not None:
                training.forget_unfinished()
    for found in embeddings:
        if found.items_file.exists() and any(path.exists() for path in (found.parts, found.lock)):
            with attempt(found.lock) as held:
                if held is not None:
                    shutil.rmtree(found.parts, ignore_errors=True)


def nothing_new(plan: Plan) -> list[Outcome] | None:
    """Return the outcomes of a plan of which all is stored, with its folders in order; None where there is work.

    There is also where folders cannot be put in order, which is then the failure of their cells.
    """
    if any(cell.state == "new" for _, cells in plan for cell in cells):
        return None
    try:
        if any(lacks_calibration(run, cells) for run, cells in plan):
            return None
        for run, _ in plan:
            tidy(run)
    except DataError:
        return None
    return [outcome for _, cells in plan for outcome in settled(cells)]


def _is_described(folder: RunFolder) -> bool:
    """Tell whether configuration and facts of a run are there and intact, so that its method can be loaded."""
    try:
        read_config(folder.config, RunFacts.read(folder.facts))
    except DataError:
        return False
    return True
