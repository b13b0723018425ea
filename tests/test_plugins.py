"""Registered classes: found by name, and what is wrong with others is said."""

from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import mdreid_bench.plugins
from mdreid_bench.errors import UsageError, expected
from mdreid_bench.plugins import Plugins
from protocols.names import UnknownNameError

FRACTION, INTEGER = "fractions:Fraction", "builtins:int"


def registered(monkeypatch: pytest.MonkeyPatch, **values: str) -> Plugins:
    entries = [EntryPoint(name.rstrip("_"), value, "toys") for name, value in values.items()]
    monkeypatch.setattr(mdreid_bench.plugins, "entry_points", lambda group: entries if group == "toys" else [])
    return Plugins("toys", "toy")


def test_classes_by_sorted_name(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = registered(monkeypatch, wheel="builtins:float", ball="numpy:float64")
    assert plugins.names() == ("ball", "wheel")
    assert plugins.get("wheel", float) is float


def test_the_same_class_may_be_registered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registered(monkeypatch, ball="builtins:float", ball_="builtins:float").names() == ("ball",)


def test_two_classes_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"Two toys are registered as 'ball': {FRACTION} and {INTEGER}"):
        registered(monkeypatch, ball=FRACTION, ball_=INTEGER).load("ball")


def test_an_unknown_name_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"toy.*bal.*ball"):
        registered(monkeypatch, ball=FRACTION).get("bal", float)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no.such.module:Thing", "The toy 'ball' cannot be imported"),
        ("fractions:Nothing", "The toy 'ball' cannot be imported"),
        ("tests.broken:Thing", "The toy 'ball' cannot be imported: division by zero"),
        (INTEGER, "The toy 'ball' is no subclass of float; correct its entry point"),
        ("math:pi", "is no subclass of float"),
    ],
)
def test_a_class_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registered(monkeypatch, ball=value).get("ball", float)


NET = """
def build(config):
    return config["heads"]
"""


@pytest.mark.parametrize("package", ["strange", "mdreid_bench"])
def test_an_error_out_of_a_plug_in_names_it_and_what_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    entries = [EntryPoint("net", f"{package}.net:Net", "mdreid_bench.methods")]
    monkeypatch.setattr(
        mdreid_bench.plugins, "entry_points", lambda group: entries if group == "mdreid_bench.methods" else []
    )
    module: dict[str, Any] = {"__name__": f"{package}.net"}
    exec(NET, module)
    with pytest.raises(KeyError) as caught:
        module["build"]({})
    shown = expected(caught.value)
    if package == "strange":
        said = (
            "The method net of the package strange breaks its contract: build (strange.net, line 3) raised KeyError"
        )
        assert (shown.exit_code, str(shown).startswith(said)) == (2, True)
        assert "should not happen" not in str(shown)
    else:
        assert "this should not happen" in str(shown)


def test_all_that_can_be_used_without_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = registered(
        monkeypatch, ball=FRACTION, car="tests.broken:Thing", doll=INTEGER, doll_=FRACTION, egg=INTEGER
    )
    told: list[str] = []
    found = plugins.usable(lambda name: plugins.get(name, Fraction), told.append)
    assert found == {"ball": Fraction}
    assert [line.endswith("; it is left out.") for line in told] == [True] * 3
    assert [name in line for name, line in zip(("car", "doll", "egg"), told, strict=True)] == [True] * 3
    with pytest.raises(UsageError, match="'car' cannot be imported"):
        plugins.usable(plugins.load, None)


def test_a_plug_in_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "toybox-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: toybox\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[toys]\nball = tests.broken:Thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="The toy 'ball' of the package toybox cannot be imported"):
        Plugins("toys", "toy").load("ball")
