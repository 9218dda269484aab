"""Faults in a query, each with the line, the column and a snippet of where it lies."""

from sqlglot import exp

from application.shared.engines import SqlRefusal
from domain.shared.refusal import Fault

FAULTS_MAX = 20
SNIPPET_CHARACTERS_MAX = 40


class SqlFaults:
    """Collects the faults of one text, the first `FAULTS_MAX` of them, each place and reason once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[tuple[SqlRefusal, int, str], Fault] = {}

    def add(self, code: SqlRefusal, at: exp.Expr | int | None = None, *, name: str = "") -> None:
        """`at` is an offset in the text or a node; `name` is what the fault is about."""
        offset = at if isinstance(at, int) else offset_of(at)
        key = (code, offset, name)
        if len(self._found) >= FAULTS_MAX or key in self._found:
            return
        before = self.text[:offset]
        values = {
            "line": str(before.count("\n") + 1),
            "column": str(offset - before.rfind("\n")),
            "snippet": self.text[offset : offset + SNIPPET_CHARACTERS_MAX].partition("\n")[0],
            "reason": code.value,
            "name": name[:SNIPPET_CHARACTERS_MAX],
        }
        self._found[key] = Fault(code, ("sql",), values)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def all(self) -> tuple[Fault, ...]:
        return tuple(self._found.values())


def offset_of(node: exp.Expr | None) -> int:
    """Where the node begins: the first place that the parser noted in it, or else around it."""
    while node is not None:
        starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
        if starts:
            return int(min(starts))
        node = node.parent
    return 0
