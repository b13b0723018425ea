"""The facts of a run, for tests."""

from typing import Any

from mdreid_bench.results.run_facts import RunFacts
from mdreid_bench.results.schema import Record, SharedFields
from tests.results.factory import make_record


def make_facts(record: Record | None = None, **changes: Any) -> RunFacts:
    """Return facts that agree with a record."""
    source = record or make_record()
    shared = SharedFields(**{name: getattr(source, name) for name in SharedFields.model_fields})
    fields: dict[str, Any] = {
        "shared": shared,
        "identities": 5,
        "cameras": 3,
        "sensors": "RNT",
        "training": "t",
        "weights": None,
    }
    fields["config"] = "d" * 64
    return RunFacts(**fields | changes)
