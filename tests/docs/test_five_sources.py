"""The table of the five sources names tests that there are, and none of ours replaces what it tests."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "five-sources.md"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows() -> list[str]:
    return [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| (?!what such code offers)", line)]


def functions_of(path: Path) -> set[str]:
    """Those that pytest collects."""
    return {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test():
    """In its last column."""
    assert len(rows()) >= 75
    assert [row for row in rows() if not NAMED.search(row.rstrip("| ").rpartition("|")[2])] == []


def test_every_test_that_is_named_is_there():
    """A test that is renamed would leave a promise without a proof."""
    named = [pair for row in rows() for pair in NAMED.findall(row)]
    missing = [f"{path}::{name}" for path, name in named if name not in functions_of(TESTS / path)]
    assert missing == []


def test_no_test_uses_mocks():
    """What is tested is what runs: no test imports a library of mocks."""
    wrong = {"mock", "unittest.mock", "pytest_mock", "mocker", "responses", "moto", "fakeredis"}
    found = {
        f"{path.relative_to(TESTS)}: {name}"
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in _imported(node)
        if name in wrong
    }
    assert found == set()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [node.arg] if isinstance(node, ast.arg) else []
