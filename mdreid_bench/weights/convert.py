"""From a released checkpoint to a weights file of this suite, which describes itself."""

from pathlib import Path

from mdreid_bench.errors import UsageError
from mdreid_bench.models.weights_path import file_digest
from mdreid_bench.progress import Reporter, Silent
from mdreid_bench.weights import checkpoint, weights_file
from mdreid_bench.weights.load_method import load_method
from mdreid_bench.weights.weights_header import WeightsHeader

SUFFIX = ".safetensors"


def convert(
    source: Path,
    target: Path,
    dataset: str | None = None,
    image_size: tuple[int, int] | None = None,
    reporter: Reporter | None = None,
) -> WeightsHeader:
    """Write a released checkpoint as a weights file of this suite and return the description in it.

    Args:
        source: released checkpoint.
        target: new file, ``.safetensors``.
        dataset: that it was trained on, where the file leaves the shape of images open.
        image_size: (height, width) in pixels, instead.
        reporter: shows the progress.

    Raises:
        UnknownNameError: for an unknown dataset.
        UsageError: when the source is no released checkpoint or leaves the shape of images open, or for a target that
            exists or has another suffix.
        DataError: when the source cannot be used or the target not written.
    """
    if target.suffix != SUFFIX:
        raise UsageError(f"The converted file must be called something{SUFFIX}, not {target.name}.")
    if target.exists():
        raise UsageError(f"{target} exists already; choose another name.")
    with (reporter or Silent()).track(f"converting {source.name}", 3) as step:
        given = weights_file.recognise(source)
        if not given.released:
            raise UsageError(f"{source} is a weights file of this suite already.")
        step(note="read")
        method = load_method(source, dataset=dataset, image_size=image_size)
        assert method.config is not None
        step(note="built")
        digest = file_digest(source)
        facts = WeightsHeader.of(
            method,
            method.config,
            given.data,
            selection=given.selection,
            dataset=dataset,
            synthetic=None,
            source=f"{given.source}, SHA-256 {digest}",
        )
        checkpoint.save_weights(target, method, facts.header())
        step(note="written")
    return facts
