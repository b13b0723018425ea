"""Anything that a user, a file or a folder may hold: a clean result or a clean error."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mdreid_bench.config.resolve import Overrides, resolve
from mdreid_bench.config.schema import RunConfig
from mdreid_bench.config.tree import parse_assignments, read_yaml
from mdreid_bench.data import registry as datasets
from mdreid_bench.data.opening import open_dataset
from mdreid_bench.errors import DataError, MdreidError, UsageError
from mdreid_bench.models import registry
from mdreid_bench.progress import Silent
from mdreid_bench.report.render.latex import render_latex
from mdreid_bench.report.render.markdown import render_markdown
from mdreid_bench.report.run_table import run_tables
from mdreid_bench.report.sections import Section
from mdreid_bench.results.record_file import BadRecordError, decode, encode
from mdreid_bench.results.schema import Record
from mdreid_bench.results.storage.hashes import canonical_hash
from mdreid_bench.results.store import Store
from mdreid_bench.runs.shard import Shard
from protocols import suites
from protocols.names import UnknownNameError
from tests.data.trees import DATASETS, check_dataset, plant
from tests.report.fakes import page_of
from tests.results.factory import make_record
from tests.support import SMALL

FAST = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SLOW = settings(FAST, max_examples=10_000)
DISK = settings(FAST, max_examples=12)

letters = st.sampled_from(["R", "N", "T", "-to-", "mixed", "-", "0.5", "s", "all", " ", "\x1b", "é", "\u0661", "RNT"])
protocol_texts = st.one_of(st.text(max_size=30), st.lists(letters, max_size=6).map("".join))


def outcome(call: Callable[[], Any], *expected: type[Exception]) -> Any:
    """Return what a call returns, or the error of an expected kind."""
    try:
        return call()
    except expected as error:
        return error


def check_protocol(text: str) -> None:
    found = outcome(lambda: suites.resolve([text]), UnknownNameError)
    if isinstance(found, Exception):
        assert repr(text) in str(found)
        return
    assert found
    assert suites.resolve([str(setting) for setting in found]) == found
    for setting in found:
        make_record(protocol=str(setting))  # a name that is safe in files, whatever was typed


@example("R-to-NT")
@example("mixed-1e400")
@example("mixed-nan")
@given(protocol_texts)
@FAST
def test_protocol_strings(text: str) -> None:
    check_protocol(text)


@pytest.mark.slow
@given(protocol_texts)
@SLOW
def test_many_protocol_strings(text: str) -> None:
    check_protocol(text)


KEYS = [
    *RunConfig.model_fields,
    *(
        "size",
        "instances",
        "epochs",
        "warmup",
        "pretrained",
        "name",
        "lr",
        "scale",
        "erase_area",
        "workers",
        "layers",
    ),
]
some_keys = st.sampled_from(KEYS)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([0, 1, 2, 8, 1e-4, "adam", "auto", "null", "1e999", "mdreid-tiny", "~"]),
)
trees = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), st.text(max_size=6)),
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def check_configuration(overrides: Overrides, method: str = "mdreid") -> None:
    chosen, size = registry.card(method), datasets.get("msvr310").card.image_size
    arguments = (method, chosen.options_model, chosen.recipes, "msvr310", size, "tiny", overrides)
    config = outcome(lambda: resolve(*arguments), UsageError, UnknownNameError)
    if isinstance(config, Exception):
        assert str(config)
        return
    assert isinstance(config, RunConfig)
    assert config.image_size[0] > 0
    canonical_hash(config.determining())
    assert RunConfig.model_validate(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json")))) == config


@given(trees)
@example({"options": None})
@FAST
def test_configuration_trees(tree: dict[str, Any]) -> None:
    check_configuration(Overrides(flags=tree))


@pytest.mark.slow
@given(trees, st.sampled_from(["mdreid", "single-classifier", "editor", "random"]))
@SLOW
def test_many_configuration_trees(tree: dict[str, Any], method: str) -> None:
    check_configuration(Overrides(flags=tree), method)


@given(st.one_of(st.text(max_size=60), trees.map(yaml.safe_dump), st.binary(max_size=60)))
@example("{a: &x {b: 1}, c: *x}")
@example("!!python/object/apply:os.system ['true']")
@example("[" * 5_000)
@example("? {a: 1}\n: 2")
@example("2026-99-99")
@FAST
def test_configuration_files(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    tree = outcome(lambda: read_yaml(path), UsageError)
    if isinstance(tree, Exception):
        assert str(path) in str(tree)
        return
    check_configuration(Overrides(flags=tree))


@given(st.one_of(st.text(max_size=30), st.tuples(st.sampled_from(KEYS), leaves).map(lambda p: f"{p[0]}={p[1]}")))
@example("a." * 3_000 + "b=1")
@example("batch.size=" + "[" * 5_000)
@example("batch.size.x=1")
@example("options.=1")
@FAST
def test_assignments(text: str) -> None:
    try:
        parse_assignments([text])
    except UsageError:
        return
    check_configuration(Overrides(assignments=(text,)))


@given(st.text(max_size=12))
@FAST
def test_shards(text: str) -> None:
    try:
        shard = Shard.parse(text)
    except UsageError:
        return
    assert 1 <= shard.number <= shard.count


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = sorted(Record.model_fields)


def check_record(field: str, value: Any) -> None:
    """Change a field of a record, with a digest that fits; if it is believed, it can be stored and shown."""
    content = {key: v for key, v in encode(make_record()).items() if key != "digest"} | {field: value}
    try:
        text = json.dumps(content | {"digest": canonical_hash(content)})
    except ValueError:
        return  # JSON knows no NaN
    record = outcome(lambda: decode(text), BadRecordError)
    if isinstance(record, Exception):
        assert str(record)
        return
    assert decode(json.dumps(encode(record))) == record
    place = Store(Path("results")).folder(record).scope(record.limit).record_path(record.protocol)
    assert place.resolve().is_relative_to(Path("results").resolve())
    for table in run_tables([record]):
        latex = render_latex([Section("other", (table,))])
        shown = [render_markdown(table), *latex.values()]
        assert not [char for text in shown for char in text if not char.isprintable() and char != "\n"]
    data = page_of([record]).partition('id="data">')[2].partition("</script>")[0]
    assert not [text for text in _texts(json.loads(data)) if not text.isprintable()]


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from (key, *_texts(value))
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value)


@given(st.sampled_from(FIELDS), json_values | st.sampled_from(["R-to-N", "x\n", "../x", "\x1b[2J", 1, 0.5, "0" * 64]))
@example("dataset", "msvr310\n")
@example("protocol", "..")
@example("trunk", "\\input{/etc/passwd}")
@example("trunk", "<script>alert(1)</script>")
@example("trunk", "\u202eevil")
@example("options", {"\x1b]0;x\x07": "\x1b[31m"})
@FAST
def test_records(field: str, value: Any) -> None:
    check_record(field, value)


@pytest.mark.slow
@given(st.sampled_from(FIELDS), json_values)
@SLOW
def test_many_records(field: str, value: Any) -> None:
    check_record(field, value)


@given(st.binary(max_size=80) | json_values.map(lambda value: json.dumps(value).encode()))
@FAST
def test_other_content_is_no_record(content: bytes) -> None:
    with pytest.raises(BadRecordError):
        decode(content)


names = st.one_of(
    st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=["Cs"]), min_size=1, max_size=20),
    st.binary(min_size=1, max_size=20).map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_").decode("latin-1")),
    st.binary(min_size=1, max_size=20).map(
        lambda b: os.fsdecode(b.replace(b"/", b"_").replace(b"\0", b"_") + b".jpg")
    ),
    st.sampled_from(["$(reboot).jpg", "\x1b[2J.jpg", "\\input{x}.jpg", "<img src=x>.jpg", "-rf.jpg", "a\nb.jpg"]),
)


@given(dataset=st.sampled_from(DATASETS), name=names, content=st.binary(max_size=50))
@DISK
def test_file_names_on_disk(
    dataset: str, name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A stray file in a folder of images: passed over, or named in one line of printable text."""
    root = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDREID_CACHE", str(root / "cache"))
        folder = plant(root, dataset)
        images = sorted(folder.rglob("*.jpg"))
        path = images[0].with_name(name)
        assume(len(os.fsencode(name)) < 200 and name not in (".", "..") and not path.exists())
        path.write_bytes(content)
        report = check_dataset(dataset, root, Silent())
        assert len(report.paths) in (len(images), len(images) + 1)
        opened = outcome(lambda: open_dataset(dataset, root, Silent()), DataError)
        if isinstance(opened, Exception):
            assert str(opened).isprintable()
            assert len(report.paths) == len(images) + 1


@given(st.lists(st.text(max_size=12), max_size=4))
@example(["--set", "a=\x00"])
@example(["--seed", "9" * 30])
@example(["--limit", "-1"])
@settings(FAST, max_examples=40)
def test_command_lines(words: list[str]) -> None:
    """Any words after ``run`` end with an exit code and no traceback; nothing is read or written."""
    from tests.cli.running import environment, in_process

    assume("--help" not in words)
    arguments = ["run", "--dataset", "no such dataset", *words]
    done = in_process(*arguments, env=environment())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "this should not happen" not in done.stderr


def test_every_expected_error_has_an_exit_code_of_its_own_kind() -> None:
    assert {error.exit_code for error in (MdreidError, UsageError, DataError)} == {1, 2, 3}
    assert set(SMALL) <= set(KEYS)
