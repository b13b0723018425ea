"""A record file that was cut, edited or written by a newer version is never believed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.storage.hashes import canonical_hash
from tests.results.factory import make_record

TEXT = json.dumps(encode(make_record()), indent=2, ensure_ascii=False)


def changed(**fields: Any) -> str:
    """Return the text of a record with changed fields and a digest that matches them."""
    content = {key: value for key, value in encode(make_record()).items() if key != "digest"} | fields
    return json.dumps(content | {"digest": canonical_hash(content)})


def test_round_trip() -> None:
    assert decode(TEXT) == make_record()
    assert decode(TEXT.encode()) == make_record()


def test_spaces_and_the_order_of_fields_do_not_break_the_digest() -> None:
    shuffled = dict(reversed(json.loads(TEXT).items()))
    assert decode(json.dumps(shuffled, separators=(",", ":"))) == make_record()


@settings(max_examples=50)
@given(st.integers(0, len(TEXT) - 1))
def test_every_truncation_is_noticed(length: int) -> None:
    with pytest.raises(BadRecordError, match="not complete JSON"):
        decode(TEXT[:length])


def test_one_changed_figure_is_noticed() -> None:
    content = json.loads(TEXT)
    content["metrics"]["mAP"] = 0.41
    with pytest.raises(BadRecordError, match="changed after it was written"):
        decode(json.dumps(content))


def test_a_removed_digest_is_noticed() -> None:
    content = json.loads(TEXT)
    del content["digest"]
    with pytest.raises(BadRecordError, match="digest"):
        decode(json.dumps(content))


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "{}", '{"schema_version": "1"}'])
def test_other_json_is_no_record(text: str) -> None:
    with pytest.raises(BadRecordError, match="does not hold a record"):
        decode(text)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"", "[" * 100_000, "NaNs"])
def test_other_bytes_are_not_json(text: str | bytes) -> None:
    with pytest.raises(BadRecordError, match="JSON"):
        decode(text)


def test_nan_in_a_file_is_noticed() -> None:
    with pytest.raises(BadRecordError, match="digest"):
        decode(TEXT.replace("61.5", "NaN"))


def test_a_newer_schema_is_named() -> None:
    with pytest.raises(BadRecordError, match="newer schema version 5"):
        decode(changed(schema_version=5, something_new=True))


def test_a_record_of_the_version_before_has_the_defaults_of_what_came_since() -> None:
    content = json.loads(TEXT)
    for name in ("digest", "sources", "source_cameras", "mode"):
        content.pop(name)
    content["schema_version"] = 3
    record = decode(json.dumps(content | {"digest": canonical_hash(content)}))
    assert (record.schema_version, record.sources, record.source_cameras, record.mode) == (3, (), None, None)


def test_an_unknown_older_schema_is_named() -> None:
    with pytest.raises(BadRecordError, match="schema version 0"):
        decode(changed(schema_version=0))


def test_an_intact_file_with_an_impossible_field_is_refused() -> None:
    with pytest.raises(BadRecordError, match="'limit'"):
        decode(changed(limit=-3))


def test_what_is_no_corruption_is_refused() -> None:
    spec = {"name": "fog-3", "side": "both", "sensors": None, "correlated": False, "seed": 0, "repetition": 0}
    assert decode(changed(corruption=spec | {"published": None})).corruption is not None
    for wrong in ({"name": "mist-3"}, {"side": "left"}, {"repetition": -1}, {"sensors": "X"}):
        with pytest.raises(BadRecordError, match="'corruption"):
            decode(changed(corruption=spec | {"published": None} | wrong))
