"""Clears away what a killed process left in the folders of a run and what is of no use any more."""

from mdreid_bench.engine.parts import Parts
from mdreid_bench.engine.plan import Run
from mdreid_bench.results.leftovers import clear
from mdreid_bench.results.lock import attempt, in_use


def tidy(run: Run) -> None:
    """Remove temporary files, locks without an owner, and unfinished work that has been finished since.

    What another process uses stays.

    Raises:
        DataError: when a lock cannot be opened.
    """
    folder, scope, training = run.store.folder(run.id), run.scope.path, run.training_folder
    for path in (folder.path, scope, run.embeddings.path, training.path):
        clear(path)
    for lock in scope.glob(".*.lock"):
        in_use(lock)  # whoever finds a lock without an owner removes it
    if training.weights.exists() and any(path.exists() for path in (*training.unfinished, training.lock)):
        with attempt(training.lock) as held:
            if held is not None:
                training.forget_unfinished()
    unfinished = (Parts.folder_of(run.embeddings), run.embedding_lock)
    if run.embeddings.items_file.exists() and any(path.exists() for path in unfinished):
        with attempt(run.embedding_lock) as held:
            if held is not None:
                Parts.remove(run.embeddings)
