"""Equal content hashes alike, other content does not."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdreid_bench.results.storage.hashes import canonical_hash, canonical_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


def test_text_and_hash_are_those_computed_by_hand() -> None:
    text = '{"a":[1,0.1,null,true],"b":"\\u00e9"}'
    assert canonical_json({"b": "é", "a": (1, 0.1, None, True)}) == text
    assert canonical_hash({"b": "é", "a": (1, 0.1, None, True)}) == hashlib.sha256(text.encode()).hexdigest()


def test_order_of_keys_sequence_type_and_zero_sign_do_not_matter() -> None:
    assert canonical_hash({"x": 1, "y": [2, -0.0]}) == canonical_hash({"y": (2, 0.0), "x": 1})


def test_numpy_floats_hash_like_python_floats() -> None:
    assert canonical_hash([np.float64(0.1)]) == canonical_hash([0.1])


@pytest.mark.parametrize(
    "pair", [(1, "1"), (None, "null"), ([1, 2], [2, 1]), ({"a": 1}, {"a": 1.5}), (0.1, 0.1 + 1e-17 * 2)]
)
def test_different_content_hashes_differently(pair: tuple[object, object]) -> None:
    first, second = pair
    assert (canonical_hash(first) == canonical_hash(second)) == (first == second)


@pytest.mark.parametrize("bad", [{1: "x"}, {"a": {2, 3}}, [object()], b"bytes"])
def test_values_outside_json_are_refused(bad: object) -> None:
    with pytest.raises(TypeError, match="canonical form"):
        canonical_hash(bad)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="canonical form"):
        canonical_hash({"a": [bad]})


@settings(max_examples=25)
@given(st.dictionaries(st.text(), TREES, max_size=5))
def test_insertion_order_never_matters(tree: dict[str, object]) -> None:
    assert canonical_hash(tree) == canonical_hash(dict(reversed(tree.items())))
