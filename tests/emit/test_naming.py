from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcuq.emit.naming import check_id, comment, identifier, identifiers
from mcuq.errors import McuqError

C_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/conv1/Conv_output_0", "conv1_conv_output_0"),
        ("int", "int_"),
        ("2nd", "x2nd"),
        ('*/"\n', "x"),
        ("\u00fcber", "ber"),
        ("", "x"),
        ("a" * 100, "a" * 40),
    ],
)
def test_identifier(name: str, expected: str) -> None:
    assert identifier(name) == expected


@given(st.lists(st.text(max_size=60), max_size=20))
def test_identifiers_are_valid_and_different(names: list[str]) -> None:
    found = identifiers(names)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(set(names))
    assert all(C_NAME.fullmatch(word) for word in found.values())


@given(st.text(max_size=80))
def test_comment_is_one_printable_line_that_ends_no_comment(text: str) -> None:
    shown = f"/* {comment(text)} */"
    assert all(" " <= c <= "~" for c in shown)
    assert shown.index("*/") == len(shown) - 2
    assert "/*" not in shown[2:]
    assert "??" not in shown


@pytest.mark.parametrize("name", ["", "1a", "A", "a-b", "int", "stdint", "mcuq_x", "a" * 32, "a\n"])
def test_bad_prefix_is_refused(name: str) -> None:
    with pytest.raises(McuqError, match="not usable as a prefix"):
        check_id(name)
