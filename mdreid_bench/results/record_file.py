"""Records as JSON files that show when they were cut short, edited, or written by a newer version."""

import json
from typing import Any

from pydantic import ValidationError

from mdreid_bench.results.schema import OLDEST_VERSION, SCHEMA_VERSION, Record
from mdreid_bench.results.storage.hashes import canonical_hash


class BadRecordError(ValueError):
    """A record file that must not be believed; the message completes the sentence "the file ..."."""


def encode(record: Record) -> dict[str, Any]:
    """Return the JSON tree of a record with the digest of its content."""
    content = record.model_dump(mode="json")
    return content | {"digest": canonical_hash(content)}


def decode(text: str | bytes) -> Record:
    """Read the text of a record file.

    Raises:
        BadRecordError: when it is not JSON, has a newer or a much older schema version, does not match its own
            digest, or has missing, unknown or impossible fields.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRecordError("is not complete JSON") from None
    if not isinstance(content, dict):
        raise BadRecordError("does not hold a record")
    _check_version(content.get("schema_version"))
    digest = content.pop("digest", None)
    try:
        intact = digest == canonical_hash(content)
    except ValueError:
        intact = False
    if not intact:
        raise BadRecordError("was changed after it was written: its digest does not match")
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadRecordError(f"has a wrong field {field!r}: {first['msg']}") from None


def _check_version(version: object) -> None:
    if not isinstance(version, int):
        raise BadRecordError("does not hold a record")
    if version > SCHEMA_VERSION:
        raise BadRecordError(f"has the newer schema version {version}, which needs a newer mdreid-bench")
    if version < OLDEST_VERSION:
        raise BadRecordError(
            f"has schema version {version} of an earlier mdreid-bench, which did not bind it to its files"
        )
