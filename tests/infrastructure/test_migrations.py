"""Migrations are backward compatible: the version before goes on working on the tables of this one."""

import re

import pytest

from infrastructure.migrate import migrations

DESTRUCTIVE = {
    "drops what old code may use": r"\bdrop\s+(?:table|column|function|view|schema|type)\b",
    "renames what old code may use": r"\brename\s+(?:to|column|constraint)\b",
    "changes a column that old code writes": r"\balter\s+column\s+\w+\s+(?:set\s+data\s+)?type\b",
    "sets a column that old code leaves out to not null": r"\bset\s+not\s+null\b",
    "empties a table": r"\b(?:truncate|delete\s+from)\b",
    "adds a column that old code can't fill": (
        r"\badd\s+column\s+(?:if\s+not\s+exists\s+)?\w+[^,;]*\bnot\s+null\b(?![^,;]*\bdefault\b)"
    ),
}
FROM = 27
"""Those before were applied before anything was in production."""


def destructive(sql: str) -> list[str]:
    """What old code would stumble over, bodies of functions left out."""
    bare = re.sub(r"--[^\n]*|\$(\w*)\$.*?\$\1\$", "", sql, flags=re.S).lower()
    return [why for why, pattern in DESTRUCTIVE.items() if re.search(pattern, bare)]


def test_no_migration_takes_away_what_the_version_before_needs() -> None:
    """NFR-06: expand first; what is over goes a version later, when nobody asks for it."""
    assert {m.name: found for m in migrations() if m.number >= FROM and (found := destructive(m.sql))} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "drop table read.activities;",
        "alter table a drop column b;",
        "alter table a rename column b to c;",
        "alter table a alter column b type bigint;",
        "alter table a alter column b set not null;",
        "alter table a add column b integer not null;",
        "alter table a add column c text not null default '', add column b integer not null;",
        "truncate log.events;",
    ],
)
def test_what_old_code_stumbles_over_is_found(sql: str) -> None:
    assert destructive(sql)


def test_what_only_adds_is_let_through() -> None:
    fine = (
        "create table a (b integer not null); alter table a add column c text not null default '', add d int;"
    )
    assert destructive(fine + " create function f() returns int as $$ delete from x $$ language sql;") == []
