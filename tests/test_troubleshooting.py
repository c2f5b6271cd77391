"""docs/troubleshooting.md answers every message, and names no message that is gone."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("edgegenre", "export/edgegenre_export", "runtime/edgegenre_runtime", "benchmarks/edgegenre_bench")


def text_of(node):
    """The text of a string, with ``…`` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return ""


def trees(package):
    return [ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / package).rglob("*.py"))]


def messages(package):
    """Texts that end a program or become an event: of errors raised, events and warnings."""
    for tree in trees(package):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if re.fullmatch(r"(Usage|Spec|Audio|Microphone|Data|Checkpoint|Bundle|Export|Gate|Output)Error", name):
                arguments = node.args[:1]
            elif name == "Event":
                arguments = node.args[1:2]
            else:
                continue
            for argument in arguments:
                text = text_of(argument)
                if len(re.findall(r"[a-z]{2,}", text.replace("…", " "))) > 1:  # else another message is passed on
                    yield text


def rows():
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    for line in page.splitlines():
        if line.startswith("| `"):
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0].replace("`|`", ""))


def is_answered(message, row):
    pieces = [re.escape(piece.strip()) for piece in row.split("…") if piece.strip()]
    return re.search(".*".join(pieces), message) is not None


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_is_answered(package):
    answers = list(rows())
    open_ones = [message for message in messages(package) if not any(is_answered(message, row) for row in answers)]
    assert open_ones == []


def test_no_answer_is_to_a_message_that_is_gone():
    texts = [text_of(node) for package in PACKAGES for tree in trees(package) for node in ast.walk(tree)]
    texts = [text for text in texts if text]
    gone = [row for row in rows() if not any(is_answered(text, row) for text in texts)]
    assert gone == []
