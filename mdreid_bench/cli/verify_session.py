"""The steps behind ``verify``: evaluate weights on every protocol that has published figures, and compare."""

import json
from collections.abc import Sequence

from mdreid_bench.cli.console import Console
from mdreid_bench.cli.options import TrainingOptions
from mdreid_bench.cli.verify_command import VerifyOptions
from mdreid_bench.cli.workspace import Workspace
from mdreid_bench.errors import UsageError
from mdreid_bench.models import registry
from mdreid_bench.report.verification import check_table, compare, protocols_in, published
from mdreid_bench.results.published import Figure
from mdreid_bench.runs.plan import Request, plan_cells, plan_runs
from mdreid_bench.weights.given_weights import GivenWeights
from mdreid_bench.weights.weights_file import recognise

SIMILARITY = "similarity"
DEFAULT_SIMILARITY = "released"
"""The released code has no other comparison, so a released checkpoint is verified with it; see docs/fidelity.md."""


def verify_weights(options: VerifyOptions, console: Console) -> int:
    """Evaluate weights, compare them with the published figures and print the table; return the exit code.

    Raises:
        UsageError: when nothing is published for this method, dataset and kind of images, or an option does not go
            with the method.
        DataError: when data or weights cannot be used.
    """
    given = recognise(options.weights)
    wanted = published(options.dataset, given.method)
    if not wanted:
        raise UsageError(
            f"No figures are published for {given.method} on {options.dataset}; there is nothing to verify."
        )
    settings = protocols_in(wanted)
    training = TrainingOptions(
        datasets=[options.dataset],
        data_root=options.data_root,
        allow_incomplete=options.allow_incomplete,
        device=options.device,
        assignments=[*published_under(given), *_similarity(given, options.similarity), *options.assignments],
        results=options.results,
        precision="fp32",
    )
    workspace = Workspace(training, [str(setting) for setting in settings], console, options.weights)
    if workspace.indexes[0].synthetic:
        raise UsageError(
            f"Nothing that is published is for synthetic images; give the folder of the real {options.dataset} with "
            "--data-root."
        )
    request = Request([given.method], workspace.preset, (), training.overrides(), options.weights)
    (run,) = plan_runs(request, workspace.indexes, workspace.store)
    outcomes = workspace.carry_out([(run, plan_cells(run, settings))])
    errors = [outcome.error for outcome in outcomes.all if outcome.error is not None]
    if errors and not outcomes.records:
        raise errors[0]
    checks = compare(wanted, outcomes.records)
    notes = _notes(given, run.config.options.get(SIMILARITY), wanted)
    console.table(check_table(run.title, checks, notes))
    if not all(check.agrees for check in checks):
        console.error("Not all figures agree.")
        return 1
    console.message("All figures agree.")
    return 0


def published_under(given: GivenWeights) -> list[str]:
    """Return the settings that the figures of a released checkpoint were measured under."""
    form = registry.get(given.method).released
    options = form.published_under if form and given.released else {}
    return [f"options.{name}={json.dumps(value)}" for name, value in options.items()]


def _similarity(given: GivenWeights, similarity: str | None) -> list[str]:
    """Return the setting of the similarity, for a method that has the choice."""
    has_choice = SIMILARITY in registry.card(given.method).options_model.model_fields
    if not has_choice and similarity is None:
        return []
    return [f"options.{SIMILARITY}={similarity or DEFAULT_SIMILARITY}"]


def _notes(given: GivenWeights, similarity: str | None, wanted: Sequence[Figure]) -> list[str]:
    notes = [f"Weights: {given.path}, from {given.source}."]
    if similarity is not None:
        notes.append(f"Similarity: {similarity}.")
    sources = dict.fromkeys(figure.source for figure in wanted)
    return [*notes, *(f"Published: {source}." for source in sources)]
