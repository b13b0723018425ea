"""Registered classes: found by name, and what is wrong with others is said."""

from importlib.metadata import EntryPoint
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
        registered(monkeypatch, ball=FRACTION, ball_=INTEGER).names()


def test_an_unknown_name_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match=r"toy.*bal.*ball"):
        registered(monkeypatch, ball=FRACTION).get("bal", float)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no.such.module:Thing", "The toy 'ball' cannot be imported"),
        ("fractions:Nothing", "The toy 'ball' cannot be imported"),
        (INTEGER, "does not name a subclass of float"),
        ("math:pi", "does not name a subclass of float"),
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
