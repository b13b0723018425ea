"""What is stored with a run: its configuration, and :class:`mdreid_bench.results.run_facts.RunFacts`."""

from collections import Counter
from collections.abc import Iterable, Mapping

import yaml

from mdreid_bench.config.schema import UntrainedCameras
from mdreid_bench.data.transfer import SHARED, Contents, shared_images
from mdreid_bench.models.weights_path import file_digest
from mdreid_bench.results.run_facts import GivenWeights, RunFacts
from mdreid_bench.results.schema import SharedFields
from mdreid_bench.results.storage.atomic import write_text
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.runs.run import Run
from mdreid_bench.weights import weights_file
from mdreid_bench.weights.weights_file import recognise
from mdreid_bench.weights.weights_header import Selection


def describe(run: Run) -> RunFacts:
    """Store the configuration and the facts of a run beside its evaluations.

    Raises:
        DataError: when weights that the user gave cannot be read, or the file system refuses.
    """
    folder, facts = run.store.folder(run.id), _facts_of(run)
    write_text(folder.config, yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False))
    facts.write(folder.facts)
    return facts


def trained_with(run: Run) -> int | None:
    """Return the number of threads that the weights of a run were trained with; None where nobody tells."""
    weights = run.weights or (run.training_folder.weights if run.card.trains else None)
    told = weights_file.own_facts(weights) if weights else None
    return told.threads if told else None


def _facts_of(run: Run) -> RunFacts:
    config, trains, datasets = run.config, run.card.trains, (run.index, *run.sources)
    given = run.weights.absolute() if run.weights else None
    return RunFacts(
        shared=SharedFields(
            **dict(run.id),
            data_kind="synthetic" if any(index.synthetic for index in datasets) else "real",
            train_fingerprint=_trained_on(run) if trains else None,
            method_version=run.card.version,
            selection=_selection(run),
            trunk=run.trunk_label,
            trunk_digest=run.trunk_digest,
            config_key=run.config_key,
            options=config.options,
            config_overrides=run.overrides,
            feature_batch=run.feature_batch,
            image_rules=_summed(index.image_rules for index in datasets),
            data_findings=_summed(index.findings for index in datasets) | _shared(run),
            source_cameras=_source_cameras(run),
            missing=recognise(run.weights).missing if run.weights else config.data.missing,
        ),
        identities=run.facts.identities,
        cameras=run.facts.cameras,
        sensors=str(run.facts.modalities),
        training=run.training_folder.path.name if trains and not given else None,
        weights=GivenWeights(path=str(given), digest=file_digest(given)) if given else None,
        config=canonical_hash(config.determining()),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for found in counts:
        total.update(found)
    return dict(total)


def _shared(run: Run) -> dict[str, int]:
    """Return how many images of the dataset are in its sources too, if any are."""
    own, sources = Contents.of(run.index), map(Contents.of, run.sources)
    found = [shared.images for source in sources if (shared := shared_images(own, source))]
    return {SHARED: sum(found)} if found else {}


def _source_cameras(run: Run) -> UntrainedCameras | None:
    if run.weights:
        return recognise(run.weights).source_cameras
    return run.config.source_cameras if run.sources else None


def _trained_on(run: Run) -> str:
    """Return the fingerprint of the training items; of those of several datasets, a hash of all that is drawn."""
    found = run.stage.fingerprint
    return found if isinstance(found, str) else canonical_hash(found)


def _selection(run: Run) -> Selection:
    """Return how the evaluated epoch was chosen, by this suite or by whoever made the weights."""
    if run.weights:
        return recognise(run.weights).selection
    return run.config.selection if run.card.trains else "none"
