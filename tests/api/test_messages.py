"""Whatever the code can refuse has a sentence in Chinese and in English; what that is, its text tells."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from api.http_errors import SENTENCES
from api.messages import MESSAGES
from api.refusals import REFUSALS
from application.accounts import LoginCode
from infrastructure.tokens import TokenCode

ROOT = Path(__file__).parents[2]
LAYERS = ("domain", "application", "projections", "infrastructure", "api")
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text())
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
CODE = re.compile(r"[A-Z]+(_[A-Z0-9]+)+|INTERNAL|FORBIDDEN|UNAVAILABLE|BEHIND")
RAISING = {"refused", "_refused", "_failed", "_error", "_reason", "Malformed", "sentence", "error_response",
           "NotExported", "Problem"}  # fmt: skip
"""Functions and exceptions that take a code as an argument of theirs."""


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in names:
                    yield f"{file}:{node.lineno}", node


def literals(nodes: list[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def slots(code: str) -> set[str]:
    """What the sentences of a code say of a fault's values."""
    return {name for text in MESSAGES[code] for _, name, _, _ in Formatter().parse(text) if name}


OF_LINES = {"FileRefusal"}
"""What is wrong with a line of the points system's file: told as a code, to programs."""


def test_every_list_of_refusals_is_told() -> None:
    """A refusal without a sentence would be an internal fault on the day that it is raised."""
    lists = {
        node.name: [literals([part.value])[0] for part in node.body if isinstance(part, ast.Assign)]
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Refusal")
    }
    assert lists.keys() > {refusal.__name__ for refusal in REFUSALS}
    told = {name: codes for name, codes in lists.items() if name not in OF_LINES}
    assert {code for codes in told.values() for code in codes} - MESSAGES.keys() == set()
    raised = {
        node.args[0].value.id
        for _, node in calls("Fault")
        if node.args and isinstance(node.args[0], ast.Attribute) and isinstance(node.args[0].value, ast.Name)
    }
    assert {name for name in raised if name[0].isupper()} <= {refusal.__name__ for refusal in REFUSALS}


def raised() -> set[str]:
    """The codes of top-level errors, of HTTP and of WebSockets, as the text of the layers says them."""
    codes = {
        text
        for _, node in calls(*RAISING)
        for text in literals([*node.args, *(keyword.value for keyword in node.keywords)])
        if CODE.fullmatch(text)
    }
    codes |= {
        value.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "code"
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    }
    return codes | {*LoginCode, *TokenCode}


def test_every_code_of_an_error_has_a_sentence() -> None:
    """INT-09: codes of top-level errors, of HTTP and of WebSockets alike."""
    codes = raised()
    assert len(codes) > 30
    assert {code for code in codes if code not in SENTENCES and code.lower() not in MESSAGES} == set()
    assert {*LoginCode, *TokenCode} <= SENTENCES.keys()


@pytest.mark.parametrize("name", ["message", "_refused", "_failed"])
def test_every_sentence_that_is_asked_for_is_there_with_all_that_it_says(name: str) -> None:
    for where, node in calls(name):
        spoken = [
            text for text in literals(node.args) if not CODE.fullmatch(text) and text not in ("zh", "en")
        ]
        for code in spoken[:1]:
            assert code in MESSAGES, where
            given = {keyword.arg for keyword in node.keywords}
            for values in node.args:
                if isinstance(values, ast.Dict):
                    given |= set(literals([key for key in values.keys if key is not None]))
            assert slots(code) <= given, where


def test_every_fault_brings_the_values_that_its_sentence_says() -> None:
    """Where they are written out beside the code; else the sentence could not be made."""
    members = {
        f"{refusal.__name__}.{member.name}": member.value for refusal in REFUSALS for member in refusal
    }
    seen = 0
    for where, node in calls("Fault"):
        code = members.get(ast.unparse(node.args[0])) if node.args else None
        values = node.args[2] if len(node.args) > 2 else None
        if code is None or not (values is None or isinstance(values, ast.Dict)) or node.keywords:
            continue
        given = set(literals([key for key in values.keys if key is not None])) if values else set()
        seen += 1
        assert slots(code) <= given, f"{where}: {code} says {slots(code)}"
    assert seen > 150


@pytest.mark.parametrize("code", sorted(SENTENCES.keys() - {"PERSISTED_QUERY_NOT_FOUND"}))
def test_sentences_of_http_are_chinese_and_english(code: str) -> None:
    chinese, english = SENTENCES[code]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[\u4e00-\u9fff]", english)
