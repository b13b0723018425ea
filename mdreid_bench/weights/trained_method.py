"""A trained method back from the folder of its run; the dataset is not needed."""

from pathlib import Path

import torch

from mdreid_bench.config.schema import RunConfig
from mdreid_bench.errors import DataError
from mdreid_bench.models import registry
from mdreid_bench.models.method import DataFacts, Method
from mdreid_bench.models.weights_path import file_digest
from mdreid_bench.results.run_facts import RunFacts, read_config
from mdreid_bench.results.store import RunFolder
from mdreid_bench.results.trained import TrainingFolder
from mdreid_bench.weights import checkpoint, weights_file


def load_trained(folder: RunFolder) -> tuple[Method, RunConfig]:
    """Build the method of a run with its weights, on the CPU, in evaluation mode.

    Raises:
        UnknownNameError: when the method is no longer registered.
        DataError: when files of the run are missing or damaged, its weights have changed or do not fit, or the code
            of the method has another version by now.
    """
    facts = RunFacts.read(folder.facts)
    config = read_config(folder.config, facts)
    method_class = registry.get(config.method)
    trained_with = facts.shared.method_version
    if method_class.card.version != trained_with:
        raise DataError(
            f"The run {folder.path} was made with version {trained_with} of {config.method}, of which version "
            f"{method_class.card.version} is installed; run it again."
        )
    weights = weights_of(folder, facts)
    # The trained weights replace all of the trunk, so its pretrained ones need not be had.
    trunk = config.trunk if weights is None else config.trunk.model_copy(update={"pretrained": None})
    data = DataFacts(facts.identities, facts.cameras, facts.modalities)
    if facts.weights is not None and weights is not None:
        data = weights_file.recognise(weights).data
    elif weights is not None:
        weights_file.check_sizes(weights, data, trunk)
    torch.manual_seed(config.seed)
    method = method_class.build(config.model_copy(update={"trunk": trunk}), data)
    if weights is not None:
        weights_file.load(weights, method, config)
    return method.eval(), config


def weights_of(folder: RunFolder, facts: RunFacts) -> Path | None:
    """Return the file of a run's weights, None for a method that does not train.

    Raises:
        DataError: when the file is gone or that of another training, or weights that the user gave have changed.
    """
    if facts.weights is not None:
        path = Path(facts.weights.path)
        if file_digest(path) != facts.weights.digest:
            raise DataError(f"The weights {path} have changed since {folder.path} was evaluated; run it again.")
        return path
    if facts.training is None:
        return None
    results = folder.path.parent.parent
    weights = TrainingFolder(results / "trained" / facts.training).weights
    if not weights.is_file():
        raise DataError(f"The trained weights {weights} are gone; put them back, or run again to train anew.")
    checkpoint.check_own(weights)
    return weights
