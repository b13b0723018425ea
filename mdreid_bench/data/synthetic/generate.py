"""Writes a synthetic dataset in the layout and with the file names of the real one."""

import multiprocessing
import os
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from mdreid_bench.data import registry
from mdreid_bench.data.dataset import Dataset
from mdreid_bench.data.files import image_paths
from mdreid_bench.data.marker import Marker, read_marker, write_marker
from mdreid_bench.data.synthetic.latents import Kind
from mdreid_bench.data.synthetic.plan import PlannedFrame, Scale
from mdreid_bench.data.synthetic.write import write_frames
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.progress import Reporter, Step
from mdreid_bench.results.storage.atomic import make_folder, move_folder
from mdreid_bench.results.storage.lock import locked
from mdreid_bench.results.storage.temporary import clear, temporary_beside
from protocols.names import UnknownNameError

_CHUNK = 32
_WORTH_PROCESSES = 1000
"""Fewer items are drawn in this process: starting others would take as long."""


def generate(
    root: Path,
    dataset: str,
    scale: Scale,
    seed: int,
    reporter: Reporter,
    workers: int | None = None,
    *,
    repair: bool = False,
) -> Path:
    """Write a synthetic dataset below ``root`` and return its folder.

    The files appear all at once, when complete. The same seed gives the same bytes with the same versions of the
    libraries, whatever the number of workers. A folder that already holds this very dataset is left as it is, also
    when another process puts it there meanwhile.

    Args:
        root: data root; created when missing.
        scale: ``tiny``, or ``full`` for the published numbers of images and identities.
        seed: any integer that is not negative.
        workers: processes to draw with; None lets the number of items and processors decide. Scripts that ask for
            more than one need the usual ``if __name__ == "__main__"`` guard.
        repair: draw the dataset again when it has lost files or its marker does not say which it had.

    Raises:
        UnknownNameError: for a dataset or scale that is not known.
        UsageError: when the dataset has no generator, or the folder holds something else or
            has lost files.
        DataError: when files cannot be written.
    """
    known = registry.get(dataset)
    if scale not in ("tiny", "full"):
        raise UnknownNameError("scale", scale, ("tiny", "full"))
    marker = Marker(dataset=dataset, scale=scale, seed=seed)
    title, folder = known.card.title, root / known.card.title
    try:
        if not _holds(known, folder, marker, repair):
            frames = known.plan(scale)
            make_folder(root)
            with locked(root / f".{title}.lock", f"synthetic {title}", reporter):
                if not _holds(known, folder, marker, repair):
                    _make(known, folder, marker, frames, reporter, workers)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"Cannot write synthetic {title} into {root} ({reason}); choose a folder that can be written."
        raise DataError(message) from error
    return folder


def _make(
    known: Dataset,
    folder: Path,
    marker: Marker,
    frames: list[PlannedFrame],
    reporter: Reporter,
    workers: int | None,
) -> None:
    """Write everything beside ``folder``, then move it into place; what killed processes left there is cleared."""
    clear(folder.parent)
    if damaged := folder.exists() and any(folder.iterdir()):
        reporter.message(f"The synthetic {known.card.title} in {folder} has lost files and is drawn again.")
    with temporary_beside(folder, folder=True) as temporary:
        for parent in {Path(path).parent for frame in frames for path in (*frame.paths, *frame.copy)}:
            (temporary / parent).mkdir(parents=True, exist_ok=True)
        for path, text in known.lists(marker.scale).items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_text(text)
        with reporter.track(f"Drawing synthetic {folder.name} ({marker.scale})", len(frames)) as step:
            _write_all(temporary, known.card.kind, marker, frames, workers, step)
        write_marker(temporary, marker.listed(temporary, _files(known, temporary, marker)))
        if damaged:
            shutil.rmtree(folder)
        try:
            move_folder(temporary, folder)
        except OSError:
            if not _holds(known, folder, marker, repair=False):
                raise


def _holds(known: Dataset, folder: Path, marker: Marker, repair: bool) -> bool:
    """Tell whether the folder is exactly what would be generated, or, without ``repair``, may be it.

    Raises:
        UsageError: when it holds something else, or, without ``repair``, has lost files.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return False
    found = read_marker(folder)
    if found is None or not marker.same_making(found):
        raise UsageError(f"{folder} already holds another dataset; choose another folder, or move it away.")
    try:
        damage = found.damage(folder, _files(known, folder, marker))
    except DataError as error:
        damage = str(error)
    if repair:
        return damage is None and found.files is not None
    if damage:
        raise UsageError(f"{folder} is not as it was drawn ({damage}); choose another folder, or move it away.")
    return True


def _files(known: Dataset, folder: Path, marker: Marker) -> list[str]:
    """Return the images that are there, and the lists that should be."""
    return [*image_paths(known, folder), *known.lists(marker.scale)]


def _write_all(
    folder: Path,
    kind: Kind,
    marker: Marker,
    frames: list[PlannedFrame],
    workers: int | None,
    step: Step,
) -> None:
    """Write all frames in chunks, in this process or in several."""
    if workers is None:
        workers = min(16, os.cpu_count() or 1) if len(frames) >= _WORTH_PROCESSES else 1
    chunks = [frames[i : i + _CHUNK] for i in range(0, len(frames), _CHUNK)]
    if workers <= 1:
        for chunk in chunks:
            step(write_frames(folder, kind, marker.dataset, marker.seed, chunk))
        return
    # Fresh processes: forking a program that has started threads is not safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        jobs = [pool.submit(write_frames, folder, kind, marker.dataset, marker.seed, chunk) for chunk in chunks]
        try:
            for job in as_completed(jobs):
                step(job.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """End this process when the one that started it is killed; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
