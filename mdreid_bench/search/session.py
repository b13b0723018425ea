"""The steps behind ``index`` and ``search``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mdreid_bench.data.items import Items
from mdreid_bench.embedding.embed import embed
from mdreid_bench.errors import DataError, UsageError
from mdreid_bench.models.method import Method
from mdreid_bench.models.weights_path import file_digest
from mdreid_bench.processes.device import pick_device
from mdreid_bench.progress import Reporter
from mdreid_bench.report.table import Column, Number, Table
from mdreid_bench.results.calibration import StoredCalibration
from mdreid_bench.results.finding import find_run
from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import CalibrationKind
from mdreid_bench.results.store import RunFolder, Store
from mdreid_bench.search.gallery import read_gallery, seen
from mdreid_bench.search.recall import recall
from mdreid_bench.search.search_index import FLAT, Hit, SearchIndex, check_target
from mdreid_bench.search.vectors import require_faiss
from mdreid_bench.weights import checkpoint
from mdreid_bench.weights.trained_method import load_trained, weights_of
from protocols.modality import Modality

_ASKED = 1000
"""Most items that a new index is asked for, to see what it finds."""
CALIBRATED = "Similarity: standard deviations above the scores of different training identities with these sensors."


@dataclass(frozen=True)
class Found:
    """What a search found, best first.

    ``synthetic`` says that the method was trained on synthetic images, ``calibrated`` that similarities are counted
    in standard deviations above those of different training identities.
    """

    folder: Path
    query: Modality
    items: int
    run: str
    synthetic: bool
    hits: list[Hit]
    calibrated: bool = False


def make_index(
    gallery: Path,
    out: Path,
    results: Path,
    run: str,
    camera: int,
    factory: str,
    device: str,
    reporter: Reporter,
    probes: int | None = None,
    calibration: CalibrationKind | None = None,
) -> SearchIndex:
    """Embed a gallery folder with a trained method and write the index.

    Scores are calibrated where the gallery's items have more and fewer sensors and the run has a calibration, unless
    ``calibration`` says otherwise.

    Raises:
        UnknownNameError: for an unknown run or device.
        UsageError: for a camera that the method does not know, or when FAISS is missing or refuses.
        DataError: when the run or the gallery cannot be used.
    """
    require_faiss()
    check_target(out)
    on = pick_device(device)
    folder = find_run(Store(results), run)
    facts = _facts(folder, camera)
    items = read_gallery(gallery, reporter, facts.modalities)
    method, config = load_trained(folder)
    calibrated = _calibration(folder, method, items, calibration, reporter)
    vectors = embed(method, config, items, camera, on, reporter)
    built = SearchIndex.build(
        vectors,
        items,
        run=folder.path.name,
        weights=_digest(folder, facts),
        factory=factory,
        probes=probes,
        calibration=calibrated,
        reporter=reporter,
    )
    built.write(out)
    if factory != FLAT:
        vectors_index, rows = max(built.parts, key=lambda part: len(part[1]))
        own = vectors[rows]
        asked = np.sort(np.random.default_rng(0).permutation(len(own))[:_ASKED])
        found = recall(vectors_index, factory, own[asked], asked, lambda: [own]).row()
        reporter.message(
            f"{factory} finds {found['recall@10']:.1f} % of the 10 nearest of {len(asked)} of the items themselves "
            f"[{found['recall@10_low']:.1f}, {found['recall@10_high']:.1f}], {found['queries_per_second']:,.0f} "
            f"queries a second; an exact search answers {found['exact_queries_per_second']:,.0f}."
        )
    return built


def find(
    index: Path,
    images: Mapping[Modality, Path],
    top: int,
    results: Path,
    camera: int,
    device: str,
    reporter: Reporter,
) -> Found:
    """Search an index for a query, with its image by sensor, which one camera took, in the results of its run.

    Raises:
        UsageError: when there is no image, or the camera is none that the method knows.
        DataError: when the index, its run or an image cannot be used.
    """
    if not images:
        raise UsageError("A query needs at least one image; give it with --rgb, --nir, --tir or --image.")
    query = seen("query", images)
    on = pick_device(device)
    loaded = SearchIndex.read(index)
    folder = find_run(Store(results), loaded.run)
    facts = _facts(folder, camera)
    unknown = [str(sensor) for sensor in query.sensors if sensor not in facts.modalities]
    if unknown:
        raise UsageError(
            f"The run {folder.path.name} knows the sensors {facts.sensors}; leave out the image of "
            f"{', '.join(unknown)}."
        )
    if _digest(folder, facts) != loaded.weights:
        raise DataError(f"The run {folder.path} was trained again since {index} was made; make the index again.")
    method, config = load_trained(folder)
    vector = embed(method, config, Items.of([query]), camera, on, reporter)[0]
    return Found(
        folder=index,
        query=query.sensors,
        items=len(loaded.names),
        run=folder.path.name,
        synthetic=facts.shared.data_kind == "synthetic",
        hits=loaded.search(vector, top, query.sensors),
        calibrated=loaded.calibration is not None,
    )


def found_table(found: Found) -> Table:
    """Return one row per hit."""
    note = [f"Method: {found.run}{', trained on SYNTHETIC data' if found.synthetic else ''}."]
    note += [CALIBRATED] if found.calibrated else []
    return Table(
        title=f"{len(found.hits)} of {found.items} items in {found.folder}, query with {found.query}",
        columns=(Column("rank", numeric=True), Column("item"), Column("sensors"), Column("similarity", numeric=True)),
        rows=tuple(
            (str(hit.rank), hit.name, str(hit.modalities), Number(hit.score, decimals=4)) for hit in found.hits
        ),
        footnotes=tuple(note),
    )


def found_json(found: Found) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "index": str(found.folder),
        "run": found.run,
        "trained_on_synthetic_data": found.synthetic,
        "calibration": "standardised" if found.calibrated else "none",
        "query": str(found.query),
        "items": found.items,
        "hits": [
            {"rank": hit.rank, "item": hit.name, "sensors": str(hit.modalities), "similarity": hit.score}
            for hit in found.hits
        ],
    }


def _calibration(
    folder: RunFolder, method: Method, items: Items, asked: CalibrationKind | None, reporter: Reporter
) -> StoredCalibration | None:
    """Return what a gallery's scores are calibrated by; None leaves them, which is said where it matters.

    Unasked, those of a gallery whose items have more and fewer sensors (docs/mixed-galleries.md has the figures).
    """
    weights = checkpoint.digest(method.state_dict())
    if asked == "standardised":
        return StoredCalibration.required(folder.calibration, weights)
    if asked == "none" or len({len(Modality(int(sensors))) for sensors in np.unique(items.sensors)}) == 1:
        return None
    found = StoredCalibration.read(folder.calibration)
    if found is not None and found.weights == weights:
        return found
    told = f"{folder.path.name} has no calibration, so items with more sensors score lower than others"
    way_out = "'mdreid-bench run' as before, with --calibration standardised, makes one for the next index"
    reporter.message(f"{told}; {way_out}.")
    return None


def _facts(folder: RunFolder, camera: int) -> RunFacts:
    facts = RunFacts.read(folder.facts)
    if camera >= facts.cameras:
        raise UsageError(
            f"--camera {camera} is unknown to {folder.path.name}, which was trained with {facts.cameras} cameras; "
            f"use 0 to {facts.cameras - 1}."
        )
    return facts


def _digest(folder: RunFolder, facts: RunFacts) -> str | None:
    weights = weights_of(folder, facts)
    return None if weights is None else file_digest(weights)
