"""Faults for the planner's source, and a way to import it with one of them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import api.planner

PACKAGES = ("api.planner", "tests.api.planner")


@dataclass(frozen=True)
class Mutant:
    """`old`, which stands once in the module, becomes `new`."""

    module: str
    old: str
    new: str

    @property
    def name(self) -> str:
        return f"api.planner.{self.module}"

    def source(self, path: str) -> str:
        text = Path(path).read_text()
        assert text.count(self.old) == 1, f"{self.old!r} stands {text.count(self.old)} times in {self.module}"
        return text.replace(self.old, self.new)


@contextmanager
def imported_with(mutant: Mutant) -> Iterator[None]:
    """Within the block the planner, and what these tests build on it, are imported anew with the fault."""
    before = {name: module for name, module in sys.modules.items() if name.startswith(PACKAGES)}
    planner, finder = api.planner, _Finder(mutant)
    try:
        for name in before:
            del sys.modules[name]
        sys.meta_path.insert(0, finder)
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(PACKAGES)]:
            del sys.modules[name]
        sys.modules.update(before)
        api.planner = planner


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.name:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        assert found is not None
        assert found.origin is not None
        loader = _Loader(found.origin, self._mutant.source(found.origin))
        return spec_from_file_location(fullname, found.origin, loader=loader)


class _Loader(SourceLoader):
    """Keeps no bytecode, for it does not tell when the source was changed."""

    def __init__(self, path: str, source: str) -> None:
        self._path, self._source = path, source

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002
        return self._path

    def get_data(self, path: str | bytes) -> bytes:  # noqa: ARG002
        return self._source.encode()


MUTANTS = {
    # --- who sees what
    "row scope dropped": Mutant(
        "plans", "{alias}.{view.scope} = any({self._slot(lambda r: r.viewers(view.units))})", "true"
    ),
    "rows without a unit hidden": Mutant(
        "plans", " if view.scope_nullable else scope", " if False else scope"
    ),
    "masks without a reason": Mutant("masks", "if self.asked in permissions", "if True"),
    "masked columns shown": Mutant("plans", "if not permitted(declared, self.permissions):", "if False:"),
    "masked columns compared": Mutant(
        "pages", "if not permitted(field, request.viewer.permissions):", "if False:"
    ),
    "a plan of other permissions": Mutant("reads", "viewer.permissions & self._asked_for, ", ""),
    "a plan of other conditions": Mutant("reads", "self._asked_for, chosen)", "self._asked_for)"),
    "a plan of other arguments": Mutant(
        "pages",
        "if all(_is_literal(argument.value) for argument in details.node.arguments or ()):",
        "if True:",
    ),
    "an object is literal": Mutant(
        "pages", "all(_is_literal(member.value) for member in value.fields)", "True"
    ),
    "include is no condition": Mutant("reads", 'in ("skip", "include")', 'in ("skip",)'),
    "skip is no condition": Mutant("reads", 'in ("skip", "include")', 'in ("include",)'),
    "the same user for all": Mutant("requests", 'self.bind(value, "text")', """self.bind("rao", "text")"""),
    "units of nobody": Mutant("requests", "self.bind(text_array(value)", "self.bind(text_array(frozenset())"),
    "another choice of rows": Mutant(
        "pages", "choice.conditions[given[to_camel_case(name)]]", "[*choice.conditions.values()][0]"
    ),
    # --- objects
    "fields under their names": Mutant(
        "plans",
        "members[key] = self.member(type_, details, source)",
        "members[details[0].node.name.value] = self.member(type_, details, source)",
    ),
    "walked fields under their names": Mutant("views", "source[info.path.key]", "source[info.field_name]"),
    "a type's name for another": Mutant("plans", "return json_text(parent.name)", 'return json_text("Node")'),
    "enums by their values": Mutant("values", "to_json(upper({}))::text", "to_json(lower({}))::text"),
    "enums walked by their names": Mutant("values", "bound, _JSON_TEXT)", "bound)"),
    "instants to the millisecond": Mutant("values", "SS.US", "SS.MS"),
    "minor digits of the yen": Mutant("sources", "ISK JPY KMF", "ISK KMF"),
    "elements out of order": Mutant("plans", "{alias}.ordinality)", "{alias}.ordinality desc)"),
    # --- relations
    "relation to any row": Mutant(
        "plans",
        "= {source.column(read.key, 'uuid' if read.key == 'id' else 'text')}",
        "= {alias}.{read.by}",
    ),
    "array relation the other way": Mutant("plans", "@> array[", "<@ array["),
    "the kind of an id forgotten": Mutant("plans", "found[view.kind] = (", 'found["work_order"] = ('),
    "an id of any type": Mutant(
        "plans", """rows.get(identity(r)[0], ["'null'"])""", "next(iter(rows.values()))"
    ),
    "ids of one type": Mutant("plans", "& rows.keys())", "& rows.keys())[:1]"),
    "ids out of order": Mutant("plans", "{alias}.place)", "{alias}.place desc)"),
    # --- the past
    "the past includes its end": Mutant(
        "instants", "(epoch_to, position_to) > {{then}}", "(epoch_to, position_to) >= {{then}}"
    ),
    "the past excludes its beginning": Mutant(
        "instants", "(epoch_from, position_from) <= {{then}}", "(epoch_from, position_from) < {{then}}"
    ),
    "a list of the past as it is now": Mutant(
        "plans", "self._instant = past(graphql_field, nodes[0], view_of(row), self.timeline)", "pass"
    ),
    "an object of the past as it is now": Mutant(
        "plans", "self._instant = past(graphql_field, nodes[0], view, self.timeline)", "pass"
    ),
    "the past of the root before": Mutant("plans", "self._instant = before", "pass"),
    "a version that is to come": Mutant(
        "instants", "{2} <= (select max(version)", "0 <= (select max(version)"
    ),
    "before a time": Mutant("instants", "recorded_at <= {1}", "recorded_at < {1}"),
    "the first of a time": Mutant(
        "instants",
        "order by recorded_at desc, epoch desc, position desc",
        "order by recorded_at desc, epoch, position",
    ),
    "what was recorded later": Mutant("instants", "({1}) <= {{then}}", "({1}) >= {{then}}"),
    # --- pages
    "the row that tells of more is not read": Mutant("plans", "{' + 1' if one_more else ''}", ""),
    "the row that tells of more is shown": Mutant("plans", """"#" <= {size})'""", """"#" <= {size} + 1)'"""),
    "the page's number for the total": Mutant(
        "plans", "(select count(*) from {compiled.within})", "count(*)"
    ),
    "cursor inclusive": Mutant("pages", ") {signs[0]} (", ") {signs[0]}= ("),
    "cursor inclusive in two ways": Mutant(
        "pages", "({key.column} {sign} {value} or", "({key.column} {sign}= {value} or"
    ),
    "before is after": Mutant("pages", "(before, True)", "(before, False)"),
    "ties left to chance": Mutant(
        "pages", "for key in self.keys)", "for key in self.keys[:-1] or self.keys)"
    ),
    "ties always upwards": Mutant("pages", "bool(chosen) and list(chosen.values())[-1].descending", "False"),
    "no order of the view's own": Mutant("pages", "or self.view.order", "or ()"),
    "one way for all keys": Mutant("pages", "self.descending != flipped", "flipped"),
    "last is first": Mutant("pages", "self.descending != flipped", "self.descending"),
    "last in the order read": Mutant("pages", '(False)}" if self.backward', '(False)}" if False'),
    "more behind for more ahead": Mutant("pages", "if is_next != self.backward:", "if is_next:"),
    "nothing lies behind": Mutant("pages", "if self.behind else", "if False else"),
    "behind is what is after": Mutant("pages", "(before if backward else after)", "(after)"),
    "a page of none has an end": Mutant("pages", "least(1, {self.size})", "1"),
    "the end is the start": Mutant("pages", "if is_start else", "if True else"),
    # --- filters
    "not keeps null": Mutant("pages", "is not true", "is false"),
    "any is all": Mutant("pages", 'f" {word} ".join', '" and ".join'),
    "no alternative matches": Mutant("pages", '"true" if word == "and" else "false"', '"true"'),
    "null is not null": Mutant("pages", "is {'' if value else 'not '}null", "is null"),
    "gte is gt": Mutant("pages", '"gte": ">="', '"gte": ">"'),
    "lt is lte": Mutant("pages", '"lt": "<"', '"lt": "<="'),
    "pattern case-sensitive": Mutant("pages", " ilike ", " like "),
    "pattern unescaped": Mutant(
        "pages", """ "".join("\\\\" + c if c in "\\\\%_" else c for c in value)""", " value"
    ),
    "some is every": Mutant("pages", "{column}::{kind.sql} && ", "{column}::{kind.sql} @> "),
    "a subtree without its descendants": Mutant(
        "pages", "select {descendant} from", "select {ancestor} from"
    ),
}
