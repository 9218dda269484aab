"""docs/requirements.md: which test proves which requirement, read off the tests' own docstrings.

`python -m tests.requirements_page` writes it.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "requirements.md"
ROW = re.compile(r"\b([A-Z]{2,4})-(\d\d)(?:\s*(?:…|\.\.\.?|–)\s*(\d\d))?")


def cited(docstring: str) -> list[str]:
    """The rows that a docstring names; ES-01…04 are four."""
    rows = []
    for area, first, last in ROW.findall(docstring):
        rows += [f"{area}-{number:02}" for number in range(int(first), int(last or first) + 1)]
    return rows


def page() -> str:
    proofs: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for row in cited(ast.get_docstring(node) or ""):
                    proofs[row].add(f"`{path.relative_to(ROOT)}` {node.name[5:].replace('_', ' ')}")
    lines = [
        "# Requirements and their tests",
        "",
        "Generated from the tests' docstrings by `python -m tests.requirements_page`. A row that is not",
        "here is not built yet.",
        "",
        "| row | proved by |",
        "|---|---|",
        *(f"| {row} | {'<br>'.join(sorted(proofs[row]))} |" for row in sorted(proofs)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
