"""The command that makes a record again."""

import shlex
from collections.abc import Sequence

from mdreid_bench.data.check_rules import Kind
from mdreid_bench.report.origin import USUAL_PRECISION, reranking_numbers
from mdreid_bench.report.variants import flat
from mdreid_bench.results.schema import Record

_PRECISION = "evaluation.precision"


def run_command(record: Record, weights: str = "") -> str:
    """Return the command without protocol, seed and split, which records that are averaged do not share.

    ``weights`` is the file of given weights, where nothing was trained.
    """
    settings = flat(record.config_overrides)
    words = ["mdreid-bench", "run", "--dataset", record.dataset, "--method", record.method, "--preset", record.preset]
    words += _each("--source", record.sources)
    words += ["--weights", weights] if weights else []
    words += ["--limit", str(record.limit)] if record.limit is not None else []
    words += ["--allow-incomplete"] if record.data_findings.get(Kind.MISSING) else []
    if record.precision != USUAL_PRECISION and _PRECISION not in settings:
        words += ["--precision", record.precision]
    return shlex.join([*words, *_each("--set", [f"{key}={value}" for key, value in settings.items()])])


def form_arguments(record: Record) -> str:
    """Return what the command needs besides, where results are measured in another form than usual; else nothing."""
    words = []
    if record.average_precision != "standard":
        words += ["--average-precision", record.average_precision]
    if record.calibration != "none":
        words += ["--calibration", record.calibration]
    if record.rerank:
        words += ["--rerank", ",".join(reranking_numbers(record.rerank))]
    if record.corruption is not None and record.corruption.published:
        words += ["--corrupt", record.corruption.published]
    elif record.corruption is not None:
        spec = record.corruption.spec
        words += ["--corrupt", spec.name, "--corrupt-side", spec.side]
        words += ["--corrupt-sensors", spec.sensors] if spec.sensors else []
        words += ["--corrupt-draw", "correlated"] if spec.correlated else []
        words += ["--corrupt-repetitions", str(spec.repetition + 1)] if spec.repetition else []
    if record.corruption is not None and record.corruption.seed:
        words += ["--corrupt-seed", str(record.corruption.seed)]
    return shlex.join(words)


def _each(flag: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]
