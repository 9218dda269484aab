"""The same schema answered by ordinary resolvers over Python lists: slow, plain, and without a line of the
planner.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_named_type,
    parse,
)

from api.planner.requests import Viewer
from tests.api.planner.sample import Rows

Row = dict[str, Any]
TABLES = {
    "Activity": ("activities", "act"),
    "WorkOrder": ("work_orders", "wo"),
    "Approval": ("approvals", "apr"),
    "CostType": ("cost_types", "ct"),
    "Department": ("departments", "dep"),
    "Event": ("events", "ev"),
}
PERMISSIONS = {("Activity", "phone"): "phone.read", ("Activity", "budget"): "budget.read"}
STORED = {
    ("Activity", "phone"): "contact_phone",
    ("WorkOrder", "name"): "display_name",
    ("Event", "sequence"): "position",
}
DEFAULT_ORDER = {
    "Activity": ["CREATED_AT_DESC"],
    "WorkOrder": ["NUMBER_ASC"],
    "Approval": ["LEVEL_ASC", "OPENED_AT_ASC"],
    "CostType": ["RANK_DESC", "CODE_ASC"],
    "Event": ["EPOCH_ASC", "SEQUENCE_ASC"],
}
MINOR_DIGITS = {"JPY": 0, "KWD": 3, "CLF": 4}


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def global_id(type_name: str, key: UUID | None) -> str | None:
    return None if key is None else f"{TABLES[type_name][1]}_{key.hex}"


def key_of(type_name: str, text: str) -> UUID | None:
    found = re.fullmatch(rf"{TABLES[type_name][1]}_([0-9a-f]{{32}})", text)
    return UUID(found[1]) if found else None


def money(minor: int | None, currency: str) -> Row | None:
    if minor is None:
        return None
    digits = MINOR_DIGITS.get(currency, 2)
    return {"amount": format(Decimal(minor).scaleb(-digits), "f"), "currency": currency}


def shown(type_name: str, value: Any) -> Any:
    """A stored value as the scalar or enum `type_name` shows it."""
    if value is None or type_name == "JSON":
        return value
    if isinstance(value, list):
        return [shown(type_name, item) for item in value]
    match type_name:
        case "DateTime":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case "Points" | "Int64" | "Decimal" | "Date":
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        case "ActivityStatus" | "ApprovalState":
            return value.upper()
    return value


class Naive:
    def __init__(self, sdl: str, rows: Rows) -> None:
        self.rows = rows
        self.schema: GraphQLSchema = build_schema(sdl)
        for type_ in self.schema.type_map.values():
            if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
                for name, field in type_.fields.items():
                    field.resolve = self._resolver(type_.name, name, get_named_type(field.type).name)
        for name in ("Node", "Subject"):
            self.schema.type_map[name].resolve_type = lambda value, *_: value["$type"]  # type: ignore[attr-defined]

    def ask(self, document: str, variables: Mapping[str, Any], viewer: Viewer) -> ExecutionResult:
        """Validation is left to the planner's side, which has the same schema."""
        parsed = parse(document)
        return cast(ExecutionResult, execute_sync(self.schema, parsed, None, viewer, dict(variables)))

    def _resolver(self, parent: str, name: str, named: str) -> Callable[..., Any]:
        special: dict[tuple[str, str], Callable[..., Any]] = {
            ("Query", "serverName"): lambda *_: "cardinal",
            ("Query", "activity"): lambda _, i, id, **a: self._found(
                i, "Activity", key_of("Activity", id), self._at(a, id)
            ),
            ("Query", "workOrder"): lambda _, i, id: self._found(i, "WorkOrder", key_of("WorkOrder", id)),
            ("Query", "node"): lambda _, i, id: self._node(i, id),
            ("Query", "nodes"): lambda _, i, ids: [self._node(i, id) for id in ids],
            ("Mutation", "touch"): lambda *_, id: self._touched(id),
            ("TouchPayload", "activity"): lambda r, i: self._found(i, "Activity", r["key"]),
            ("Activity", "budget"): lambda r, *_: money(r["budget_minor"], r["currency"]),
            ("Activity", "price"): lambda r, *_: money(r["price_minor"], r["currency"]),
            ("Activity", "rule"): lambda r, *_: r["rule"] if isinstance(r["rule"], dict) else None,
            ("Activity", "costLines"): lambda r, *_: [line | {"$row": r} for line in r["cost_lines"]],
            ("Rule", "lines"): lambda r, *_: None if not isinstance(r.get("lines"), list) else r["lines"],
            ("CostLine", "amount"): lambda r, *_: money(r.get("amountMinor"), r["$row"]["currency"]),
            ("Activity", "department"): lambda r, i: self._department(i, r["department_code"]),
            ("Activity", "parent"): lambda r, i: self._found(i, "Activity", r["parent_id"], r["$at"]),
            ("Activity", "parentId"): lambda r, _: global_id("Activity", r["parent_id"]),
            ("WorkOrder", "activityId"): lambda r, _: global_id("Activity", r["activity_id"]),
            ("WorkOrder", "similarIds"): lambda r, _: (
                r["similar_ids"] and [global_id("Activity", key) for key in r["similar_ids"]]
            ),
            ("WorkOrder", "isMine"): lambda r, i: (
                r["priority"] > 0 and r["unit"] in i.context.units and i.context.user == "lin"
            ),
            ("WorkOrder", "activity"): lambda r, i: self._found(i, "Activity", r["activity_id"]),
            ("CostLine", "costType"): lambda r, i: self._found(i, "CostType", self._line_key(r)),
            ("CostLine", "costTypeId"): lambda r, _: global_id("CostType", self._line_key(r)),
            ("Approval", "subject"): lambda r, i: self._subject(i, r),
            ("WorkOrder", "label"): lambda r, _: f"{r['number']}/{r['priority']}/2026/{r['amount'] + 1}",
        }
        connections: dict[tuple[str, str], Callable[[Row, Row], bool]] = {
            ("Query", "activities"): lambda *_: True,
            ("Query", "workOrders"): lambda *_: True,
            ("Query", "approvalInbox"): lambda *_: True,
            ("Query", "costTypes"): lambda *_: True,
            ("Activity", "children"): lambda r, child: child["parent_id"] == r["id"],
            ("Activity", "descendants"): lambda r, child: r["id"] in child["ancestor_ids"],
            ("Activity", "events"): lambda r, child: child["activity_id"] == r["id"],
            ("Activity", "workOrders"): lambda r, child: child["activity_id"] == r["id"],
            ("WorkOrder", "approvals"): lambda r, child: child["subject_id"] == r["id"],
        }
        if (parent, name) in connections:
            joined = connections[parent, name]
            row_type = named.removesuffix("Connection")
            return lambda r, i, **a: self._connection(i, row_type, lambda child: joined(r, child), a, r)
        if (asked := PERMISSIONS.get((parent, name.removesuffix("Masked")))) and name.endswith("Masked"):
            return lambda _, i, **__: None if asked in i.context.permissions else "NO_PERMISSION"
        inner = special.get((parent, name)) or self._plain(parent, name, named)
        permission = PERMISSIONS.get((parent, name))
        return lambda r, i, **a: (
            None if permission and permission not in i.context.permissions else inner(r, i, **a)
        )

    def _plain(self, parent: str, name: str, named: str) -> Callable[..., Any]:
        def resolve(row: Row, *_: Any) -> Any:
            if name == "id":
                return global_id(parent, row["id"])
            key = STORED.get((parent, name), snake(name) if parent in TABLES else name)
            value = row.get(key)
            if name == "lines":
                return [line | {"$row": row["$row"]} for line in value]
            return shown(named, value)

        return resolve

    def _touched(self, id: str) -> Row:
        """The object that the sample's resolver returns."""
        price = {"amount": "1.50", "currency": "CNY"}
        return {"ok": True, "key": key_of("Activity", id), "price": price, "position": f"{1:08x}{10:016x}"}

    def _line_key(self, line: Row) -> UUID | None:
        return UUID(line["costTypeId"]) if line.get("costTypeId") else None

    # --- rows ---------------------------------------------------------------

    def _all(self, type_name: str, at: Any) -> list[Row]:
        if at is None or type_name != "Activity":
            rows = self.rows[TABLES[type_name][0]]
        else:
            rows = [
                row
                for row in self.rows["activity_versions"]
                if (row["epoch_from"], row["position_from"]) <= at < (row["epoch_to"], row["position_to"])
            ]
        if at is not None and type_name == "Event":
            rows = [row for row in rows if (row["epoch"], row["position"]) <= at]
        return [row | {"$type": type_name, "$at": at} | self._within(row) for row in rows]

    def _within(self, row: Row) -> Row:
        """The rule of an activity, whose lines know their row."""
        rule = row.get("rule")
        if not isinstance(rule, dict):
            return {}
        lines = rule.get("lines")
        known = [line | {"$row": row} for line in lines] if isinstance(lines, list) else lines
        return {"rule": rule | {"lines": known}}

    def _visible(self, info: Any, type_name: str, at: Any = None) -> list[Row]:
        units = info.context.units
        return [
            row
            for row in self._all(type_name, at)
            if "unit" not in row or row["unit"] in units or (type_name == "Approval" and row["unit"] is None)
        ]

    def _found(self, info: Any, type_name: str, key: UUID | None, at: Any = None) -> Row | None:
        return next((row for row in self._visible(info, type_name, at) if row["id"] == key), None)

    def _department(self, info: Any, code: str | None) -> Row | None:
        return next((row for row in self._visible(info, "Department") if row["code"] == code), None)

    def _node(self, info: Any, id: str) -> Row | None:
        found = (self._found(info, name, key_of(name, id)) for name in TABLES if key_of(name, id))
        return next((row for row in found if row), None)

    def _subject(self, info: Any, row: Row) -> Row | None:
        names = {"work_order": "WorkOrder", "activity": "Activity"}
        name = names.get(row["subject_kind"])
        return self._found(info, name, row["subject_id"]) if name else None

    def _at(self, given: Mapping[str, Any], id: str | None = None) -> Any:
        match given.get("asOf"):
            case None:
                return None
            case {"position": text}:
                return int(text[:8], 16), int(text[8:], 16)
            case {"time": text}:
                moment = datetime.fromisoformat(text)
                past = [m for m in self.rows["timeline"] if m["recorded_at"] <= moment]
                return max(((m["epoch"], m["position"]) for m in past), default=(-1, -1))
            case {"version": version}:
                rows = [r for r in self.rows["activity_versions"] if r["id"] == key_of("Activity", id or "")]
                if not rows or version > max(r["version"] for r in rows):
                    return -1, -1
                old = [(r["epoch_from"], r["position_from"]) for r in rows if r["version"] <= version]
                return max(old, default=(-1, -1))
        raise AssertionError(given)

    # --- connections --------------------------------------------------------

    def _connection(
        self, info: Any, type_name: str, joined: Callable[[Row], bool], given: Row, parent: Row | None
    ) -> Row:
        at = self._at(given) if parent is None else parent["$at"]
        self._require(info, type_name, given.get("filter") or {})
        rows = [row for row in self._visible(info, type_name, at) if joined(row)]
        rows = [row for row in rows if self._chosen(info, given.get("box"), row)]
        rows = [row for row in rows if self._matches(info, type_name, row, given.get("filter") or {})]
        chosen: dict[str, str] = {}
        for word in given.get("orderBy") or DEFAULT_ORDER[type_name]:
            chosen.setdefault(word.rsplit("_", 1)[0], word)  # a column that is named again says nothing new
        words = list(chosen.values())
        if not any(word.startswith("ID_") for word in words):
            words = [*words, "ID_" + words[-1].rsplit("_", 1)[1]]
        for word in reversed(words):
            name, way = word.lower().rsplit("_", 1)
            rows.sort(key=lambda row: row[STORED.get((type_name, name), name)], reverse=way == "desc")
        order = [row["id"] for row in rows]
        total = len(rows)
        after, before, last = given.get("after"), given.get("before"), given.get("last")
        if after is not None:
            rows = rows[order.index(UUID(after.removeprefix("cursor:"))) + 1 :]
        if before is not None:
            ids = [row["id"] for row in rows]
            rows = rows[: ids.index(UUID(before.removeprefix("cursor:")))]
        size = last if last is not None else 20 if given.get("first") is None else given["first"]
        more = len(rows) > size
        kept = rows[max(len(rows) - size, 0) :] if last is not None else rows[:size]
        edges = [{"cursor": f"cursor:{row['id']}", "node": row} for row in kept]
        flags = [before is not None, more] if last is not None else [more, after is not None]
        page = {
            "hasNextPage": flags[0],
            "hasPreviousPage": flags[1],
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        }
        return {"edges": edges, "nodes": kept, "pageInfo": page, "totalCount": total}

    def _require(self, info: Any, type_name: str, given: Mapping[str, Any]) -> None:
        """The right to filter by what is filtered by, whether or not there are rows."""
        for name, value in given.items():
            permission = PERMISSIONS.get((type_name, name))
            if permission and permission not in info.context.permissions:
                raise GraphQLError("no", extensions={"code": "FORBIDDEN"})
            if name in ("and", "or", "not"):
                for group in value if isinstance(value, list) else [value]:
                    self._require(info, type_name, group)

    def _chosen(self, info: Any, box: str | None, row: Row) -> bool:
        viewer = info.context
        return {
            None: True,
            "TO_DO": row.get("state") == "pending" and row.get("level") in viewer.levels,
            "DONE": row.get("actor") == viewer.user,
            "IN_MY_UNITS": row.get("unit") in viewer.units,
        }[box]

    def _matches(self, info: Any, type_name: str, row: Row, given: Mapping[str, Any]) -> bool:
        checks: Iterable[bool] = (self._holds(info, type_name, row, name, v) for name, v in given.items())
        return all(list(checks))

    def _holds(self, info: Any, type_name: str, row: Row, name: str, given: Any) -> bool:
        match name:
            case _ if given is None:
                return True
            case "and":
                return all(self._matches(info, type_name, row, inner) for inner in given)
            case "or":
                return any(self._matches(info, type_name, row, inner) for inner in given)
            case "not":
                return not self._matches(info, type_name, row, given)
        stored = row[STORED.get((type_name, name), snake(name))]
        return all(
            self._compares(stored, operator, v, name) for operator, v in given.items() if v is not None
        )

    def _compares(self, stored: Any, operator: str, given: Any, name: str) -> bool:
        if operator == "isNull":
            return (stored is None) == given
        if stored is None:
            return False
        if operator == "in":
            return any(stored == self._read(stored, text, name) for text in given)
        if operator in ("has", "hasSome"):
            wanted = given if operator == "hasSome" else [given]
            return any(member == self._read(member, text, name) for member in stored for text in wanted)
        if operator == "within":
            root = key_of("Activity", given)
            return {"ancestor_id": root, "descendant_id": stored} in self.rows["activity_closure"]
        if operator == "contains":
            return given.lower() in stored.lower()
        value = self._read(stored, given, name)
        if value is None:
            return False
        return {
            "eq": stored == value,
            "gte": operator == "gte" and stored >= value,
            "lte": operator == "lte" and stored <= value,
            "gt": operator == "gt" and stored > value,
            "lt": operator == "lt" and stored < value,
        }[operator]

    def _read(self, stored: Any, given: Any, name: str) -> Any:
        match stored:
            case UUID():
                return next((key for t in TABLES if (key := key_of(t, given))), None)
            case datetime():
                return datetime.fromisoformat(given)
            case date():
                return date.fromisoformat(given)
            case Decimal():
                return Decimal(given)
            case bool():
                return given
            case int():
                return int(given)
        return given.lower() if name in ("status", "state") else given


def normal(value: Any) -> Any:
    """An answer with every cursor replaced: the two sides write them differently."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return "*" if isinstance(value, str) and is_cursor(value) else value


def is_cursor(text: str) -> bool:
    import base64

    if text.startswith("cursor:"):
        return True
    try:
        signature = json.loads(base64.b64decode(text, validate=True))[0]
    except (ValueError, TypeError, IndexError, KeyError):
        return False
    return isinstance(signature, str) and re.fullmatch("[0-9a-f]{12}", signature) is not None
