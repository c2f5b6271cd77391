"""Names with bytes that are no text, control characters and line breaks stay on one harmless line."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from edgegenre_runtime.printable import aligned, n_columns, printable


def test_what_is_escaped_and_what_is_not():
    assert printable(os.fsdecode(b"caf\xe9.wav")) == "caf\\xe9.wav"
    assert printable("a\x1b[2Jb\n\r\tc\x9bd") == "a\\x1b[2Jb\\n\\r\\tc\\x9bd"
    assert printable("left\u202eright\u2028") == "left\\u202eright\\u2028"
    assert printable("Café Москва 東京 🎵 a b.wav") == "Café Москва 東京 🎵 a b.wav"


def test_columns_are_those_of_a_terminal():
    assert [n_columns(text) for text in ("rock", "Café", "Cafe\u0301", "流行", "ﾎﾟﾌﾟ", "")] == [4, 4, 4, 4, 4, 0]
    assert (aligned("流行", 6), aligned("流行", 6, right=True), aligned("pop", 2)) == ("流行  ", "  流行", "pop")


@given(st.binary(max_size=40))
def test_every_file_name_becomes_one_line_of_utf8(name):
    shown = printable(os.fsdecode(name))
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode("utf-8")) == shown
    assert len(shown.splitlines()) <= 1


@given(st.text(st.characters(categories=["Cs"]), max_size=5))
def test_lone_surrogates_that_no_file_system_makes_do_not_raise(text):
    printable(text).encode("utf-8")
