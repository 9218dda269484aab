"""The tree of activity types: paths, ancestors, effective status and closure are kept with every batch."""

from uuid import UUID

import psycopg
import pytest

from domain.catalogues import Kind
from infrastructure import projection_runner
from infrastructure.event_log import EventLog
from infrastructure.projection_registry import BY_NAME
from projections.catalogues import ACTIVITY_TYPES, ActivityTypeRow
from tests.application.bank import Bank
from tests.infrastructure.projection_histories import Life, catch_up, rows_of

TYPES = BY_NAME["activity_types"]
LINKED = "select id, path, ancestor_ids, effective_status, depth from read.activity_types"
CLOSURE = "select ancestor_id, descendant_id, depth from read.activity_type_closure"


def lineage(rows: dict[UUID, ActivityTypeRow], row: ActivityTypeRow) -> list[ActivityTypeRow]:
    """From the root to the row."""
    found = [row]
    while found[0].parent_id is not None:
        found.insert(0, rows[found[0].parent_id])
    return found


def assert_linked(url: str) -> int:
    """The linkage is what one finds by walking up from every row; how deep the tree is."""
    rows = rows_of(url, ACTIVITY_TYPES)
    lines = {id_: lineage(rows, row) for id_, row in rows.items()}
    with psycopg.connect(url) as connection:
        linked = {id_: rest for id_, *rest in connection.execute(LINKED)}
        closure = set(connection.execute(CLOSURE).fetchall())
    assert linked == {
        id_: [
            "/".join(row.name for row in line),
            [row.id for row in line],
            "enabled" if all(row.status == "enabled" for row in line) else "disabled",
            len(line) - 1,
        ]
        for id_, line in lines.items()
    }
    assert closure == {
        (above.id, line[-1].id, distance)
        for line in lines.values()
        for distance, above in enumerate(reversed(line))
    }
    return max(map(len, lines.values()), default=0)


@pytest.mark.parametrize("batch", [3, 1_000])
def test_linkage_is_that_of_the_tree_whatever_is_added_moved_renamed_disabled_and_removed(
    cardinal_url: str, log: EventLog, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(projection_runner, "BATCH_RECORDS_MAX", batch)
    tree, deepest = Life(log, batch), 0
    for _ in range(6):
        for _ in range(25):
            tree.attempt(*[tree.add_type] * 4, tree.rename, *[tree.move] * 2, tree.switch)
        catch_up(cardinal_url, log, TYPES)
        deepest = max(deepest, assert_linked(cardinal_url))
    assert deepest > 4


def test_what_hangs_below_follows_a_move_a_new_name_and_a_status(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)
    root, other = bank.add_type("Root"), bank.add_type("Other")
    middle = bank.add_type("Middle", parent=root)
    leaf = bank.add_type("Leaf", parent=middle)
    catch_up(cardinal_url, log, TYPES)
    bank.move(middle, other)
    bank.rename(Kind.ACTIVITY_TYPE, other, "Elsewhere")
    bank.disable(Kind.ACTIVITY_TYPE, other)
    catch_up(cardinal_url, log, TYPES)
    with psycopg.connect(cardinal_url) as connection:
        found = connection.execute(f"{LINKED} where id = %s", [leaf]).fetchone()
    assert found == (leaf, "Elsewhere/Middle/Leaf", [other, middle, leaf], "disabled", 2)


def test_a_move_nearer_to_the_same_ancestor_shortens_the_distance(cardinal_url: str, log: EventLog) -> None:
    bank = Bank(log)
    root = bank.add_type("Root")
    leaf = bank.add_type("Leaf", parent=bank.add_type("Middle", parent=root))
    catch_up(cardinal_url, log, TYPES)
    bank.move(leaf, root)
    catch_up(cardinal_url, log, TYPES)
    assert_linked(cardinal_url)


def test_a_batch_that_changes_no_type_leaves_their_rows_alone(cardinal_url: str, log: EventLog) -> None:
    """And one that changes a leaf writes the leaf's row only."""
    bank = Bank(log)
    root = bank.add_type("Root")
    leaf = bank.add_type("Leaf", parent=root)
    catch_up(cardinal_url, log, TYPES)

    def written() -> dict[object, str]:
        with psycopg.connect(cardinal_url) as connection:
            return dict(
                connection.execute("select id, ctid::text || xmin from read.activity_types").fetchall()
            )

    before = written()
    bank.add_cost_type("SMS")
    catch_up(cardinal_url, log, TYPES)
    assert written() == before
    bank.rename(Kind.ACTIVITY_TYPE, leaf, "New")
    catch_up(cardinal_url, log, TYPES)
    assert written()[root] == before[root]
    assert written()[leaf] != before[leaf]
