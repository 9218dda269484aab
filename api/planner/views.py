"""What a read type declares: its table, its row scope, its columns and its relations.

A class under `@view` is an ordinary strawberry type whose plain annotations are columns of one read table; a
class under `@struct` is one whose annotations are members of a jsonb value or of other columns. Nothing here
touches the database; `plans` turns a selection of these types into SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from inspect import get_annotations, getdoc
from string import Formatter
from typing import Any, Generic, TypeVar, dataclass_transform

import strawberry
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryOptional, get_object_definition
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from api.planner.masks import Reason, tell_reasons
from api.planner.rows import walkable
from api.planner.values import Cursor, Kind, inner_type, kind_of

T = TypeVar("T")
CHOICE_SLOTS = frozenset({"row", "rows", "now", "viewer.user", "viewer.levels", "viewer.units"})


@dataclass(frozen=True, slots=True)
class Choice:
    """An enum argument of a connection; each value stands for an SQL condition on its rows."""

    enum: type[Enum]
    conditions: Mapping[Enum, str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column (by default of the field's name); `prefix` is that of the ids that an ID column holds.

    `within` is the closure table of the tree that the ids are nodes of: (table, ancestor, descendant).
    """

    name: str | None = None
    permission: str | None = None
    prefix: str | None = None
    within: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """A scalar that an SQL expression over the row gives, with the slots of `choice`."""

    sql: str


@dataclass(frozen=True, slots=True)
class Amount:
    """Minor units in one column as a decimal in the currency of another."""

    minor: str
    currency: str


@dataclass(frozen=True, slots=True)
class Composed:
    """A struct whose members are columns of this row; null where the column `present` is."""

    columns: Mapping[str, str]
    present: str
    permission: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The row's global id."""


@dataclass(frozen=True, slots=True)
class Many:
    """A connection: the rows whose column `by` equals, or `array` contains, this row's `key`; or all rows."""

    by: str | None
    array: str | None
    key: str
    array_type: str
    choices: Mapping[str, Choice]

    @property
    def is_root(self) -> bool:
        return self.by is None and self.array is None


@dataclass(frozen=True, slots=True)
class One:
    """The row whose `key` this row's column `by` holds (`kind`: the column that names its type); at a root,
    by id.
    """

    by: str | None
    kind: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The rows of the argument `ids`, in its order."""


@dataclass(frozen=True, slots=True)
class Payload:
    """The row whose id is the attribute `by` of the object that a resolver returned."""

    by: str


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a connection, an edge or a page: made by the planner, never a column."""


Read = Column | Computed | Amount | Composed | Key | Many | One | Listed | Payload | Part | Reason


@dataclass(frozen=True, slots=True)
class View:
    """Where a type's rows are, who sees them, and what they are called outside."""

    table: str
    prefix: str
    kind: str
    scope: str | None
    scope_nullable: bool
    order: tuple[str, ...]
    versions: str | None
    units: str
    position: tuple[str, str] | None = None
    permission: str | None = None
    kinds: tuple[str, Mapping[str, str]] | None = None
    past: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_past(self) -> bool:
        """Whether its rows can be read as they were."""
        return bool(self.past or self.versions or self.position)


class ReadField(StrawberryField):
    """A strawberry field that the planner answers. The executor finds its value under the response key."""

    is_basic_field = False  # get_result needs the executor's info
    read: Read

    def __init__(self, read: Read | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.read = read or Part()

    def __copy__(self) -> "ReadField":
        """Strawberry copies fields when it makes Connection[Activity] of Connection[T]."""
        copied = super().__copy__()
        copied.read = self.read
        return copied

    @property
    def permission(self) -> str | None:
        return self.read.permission if isinstance(self.read, Column | Composed) else None

    @property
    def is_nullable(self) -> bool:
        return isinstance(self.type, StrawberryOptional)

    @property
    def column(self) -> str:
        """The table's column of a Column, and of the Key."""
        return (self.read.name or self.python_name) if isinstance(self.read, Column) else "id"

    @property
    def kind(self) -> Kind:
        """The kind of a Column. Raises TypeError where the field's type has none."""
        if not isinstance(self.read, Column):
            return kind_of(self.type, None)
        kind = kind_of(self.type, self.read.prefix)
        return replace(kind, operators=(*kind.operators, "within")) if self.read.within else kind

    @property
    def arguments(self) -> list[StrawberryArgument]:
        from api.planner.inputs import arguments  # which are made of views

        if self._arguments is None:
            self._arguments = arguments(self)
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:  # noqa: ARG002
        raise TypeError("the arguments of a read field follow from its type")

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:  # noqa: ARG002
        """The executor's side: a member of a walked answer or of a resolver's object, or a new plan."""
        if isinstance(source, dict):
            return walkable(info, source[info.path.key])
        if isinstance(self.read, Many | One | Listed | Payload):
            return of_context(info.context, "reads").walk(self, source, info)
        return getattr(source, self.python_name)


def of_context(context: Any, name: str) -> Any:
    """`reads` or `viewer` of a strawberry context, which may be a mapping or an object."""
    return context[name] if isinstance(context, Mapping) else getattr(context, name)


# Each of the following takes strawberry's field options too, such as `description`.


def column(name: str | None = None, *, permission: str | None = None, **options: Any) -> Any:
    """A column, or member of a jsonb object, that is called otherwise than the field, or is described."""
    return ReadField(Column(name, permission), **options)


def masked(permission: str, name: str | None = None, **options: Any) -> Any:
    """A column that is null, and can't be filtered by, for a viewer without the permission."""
    return column(name, permission=permission, **options)


def computed(sql: str, **options: Any) -> Any:
    """A scalar that is no column: an SQL expression, a constant of the developer's, never null.
    It has the slots of `choice`, and can't be filtered or sorted by. Raises TypeError for another slot."""
    if not _slots(sql) <= CHOICE_SLOTS:
        raise TypeError(f"slots may be {sorted(CHOICE_SLOTS)}")
    return ReadField(Computed(sql), **options)


def ref(
    name: str,
    target: type | str,
    *,
    permission: str | None = None,
    within: tuple[str, str, str] | None = None,
    **options: Any,
) -> Any:
    """An ID (or list of IDs) of another type: a uuid column shown as global id. `target`: its view, or its
    prefix.

    With the closure table of the other type's tree, `within`, filters can ask for a whole subtree.
    """
    prefix = target if isinstance(target, str) else target.__view__.prefix  # type: ignore[attr-defined]
    return ReadField(Column(name, permission, prefix, within), **options)


def composed(
    present: str, members: Mapping[str, str], *, permission: str | None = None, **options: Any
) -> Any:
    """A struct of columns of this row, `{member: column}`; null where the column `present` is."""
    names = {to_camel_case(member): name for member, name in members.items()}
    return ReadField(Composed(names, present, permission), **options)


def money(minor: str, currency: str, *, permission: str | None = None, **options: Any) -> Any:
    """Money of minor units in one column and an ISO 4217 code in another; null where the minor units are.

    In a member of a jsonb value a name `row.<column>` reaches out to the row that holds the value.
    """
    return composed(minor, {"minor": minor, "currency": currency}, permission=permission, **options)


def many(
    by: str | None = None,
    *,
    array: str | None = None,
    key: str = "id",
    array_type: str = "uuid[]",
    description: str | None = None,
    **choices: Choice,
) -> Any:
    """A connection of the rows whose column `by` equals this row's `key`, or whose column `array` contains
    it.

    With neither: a root field over all visible rows. `choices` are further arguments, see `choice`.
    """
    return ReadField(Many(by, array, key, array_type, choices), description=description)


def one(by: str | None = None, *, kind: str | None = None, key: str = "id", **options: Any) -> Any:
    """The row whose `key` this row's column `by` holds, null if there is none or it is not visible.

    `kind` is the column with the type's `kind`, for a union or interface. Without `by`: a root field with an
    `id`.
    """
    return ReadField(One(by, kind, key), **options)


def listed(**options: Any) -> Any:
    """A root field `nodes(ids:)`: a list as long as `ids` (at most 100), null for what is unknown or not
    visible.
    """
    return ReadField(Listed(), **options)


def payload(by: str, **options: Any) -> Any:
    """The row that a mutation or subscription is about: the resolver's object holds its id (UUID or None) in
    `by`.
    """
    return ReadField(Payload(by), default=None, **options)


def choice(values: type[Enum], conditions: Mapping[Any, str]) -> Choice:
    """A required enum argument. Each value has an SQL condition, a constant of the developer's, with the
    slots `{row}` (the row's alias), `{viewer.user}` (text), `{viewer.levels}` and `{viewer.units}` (text[]);
    `{rows[schema.table]}` is another view's table and `{now}` the time, both as of the root's instant.
    Raises TypeError for a value without a condition and for another slot.
    """
    slots = set().union(*(_slots(text) for text in conditions.values()))
    if set(conditions) != set(values) or not slots <= CHOICE_SLOTS:
        raise TypeError(
            f"each value of {values.__name__} needs a condition, with slots of {sorted(CHOICE_SLOTS)}"
        )
    return Choice(values, conditions)


def _slots(text: str) -> set[str]:
    return {name.split("[")[0] for _, name, _, _ in Formatter().parse(text) if name is not None}


def view(
    table: str,
    *,
    prefix: str,
    scope: str | None,
    scope_nullable: bool = False,
    order: tuple[str, ...] = (),
    versions: str | None = None,
    position: tuple[str, str] | None = None,
    kind: str | None = None,
    units: str = "units",
    permission: str | None = None,
    kinds: tuple[str, Mapping[str, str]] | None = None,
    past: str | None = None,
    beside: Mapping[str, str] | None = None,
    description: str | None = None,
) -> Any:
    """Declare a read type.

    `table` and `versions` are `schema.table`; `prefix` starts the ids; `kind` is what a column beside a
    relation says for this type (default: the class's name in snake_case). `scope` is the text column of the
    organisation unit (None: every viewer sees every row); with `scope_nullable` a row without a unit is
    visible to all. `units` names the viewer's attribute that tells whose rows he sees.

    Without the `permission` no row is visible, and a root field is refused; `kinds` are a column and the
    permissions that some of its values ask for, where a row tells of another kind of thing.

    `order` names fields that are never null, each optionally followed by ` desc`; the id comes last by
    itself.

    `versions` is a table with the same columns and `version`, `epoch_from`, `position_from`, `epoch_to`,
    `position_to` (exclusive): root fields get an argument `asOf`, and all relations below are read at the
    same instant; only views without a past are read as they are now. Scope is judged by the row as it was.
    `position` are the columns (epoch, position) of rows that are recorded once for all. `past` is SQL of the
    rows at an instant, in parentheses, with the slot `{then}` of a row (epoch, position), where versions
    alone do not tell; `versions` then only looks up a version, and may be a query with an alias. `beside` has
    such SQL for tables that are kept with this one.
    """

    def declare(cls: type[T]) -> type[T]:
        own = kind or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.__view__ = View(  # type: ignore[attr-defined]
            table,
            prefix,
            own,
            scope,
            scope_nullable,
            order,
            versions,
            units,
            position,
            permission,
            kinds,
            past,
            beside or {},
        )
        said = f"{description or ''} Read with {permission}.".strip() if permission else description
        return _planned(cls, {name: Column() for name in get_annotations(cls)}, said)

    return declare


@dataclass_transform(kw_only_default=True)
def struct(cls: type[T]) -> type[T]:
    """Declare a type without a table: its annotations are members, in camelCase, of a jsonb object.

    Its docstring describes it in the schema.
    """
    cls.__struct__ = True  # type: ignore[attr-defined]
    reads = {name: Column(to_camel_case(name)) for name in get_annotations(cls)}
    return _planned(cls, reads, cls.__doc__ and getdoc(cls))


def _planned(cls: type[T], reads: Mapping[str, Read], description: str | None = None) -> type[T]:
    for name, read in reads.items():
        if name not in cls.__dict__:
            setattr(cls, name, ReadField(read))
    tell_reasons(cls, ReadField)
    return strawberry.type(cls, description=description)


def _part(read: Read | None = None) -> Any:
    return ReadField(read)


@strawberry.interface(description="Anything with an id of its own.")
class Node:
    id: strawberry.ID = _part(Key())


@struct
class Money:
    """A decimal amount with its currency (ISO 4217)."""

    amount: Decimal = _part(Amount("minor", "currency"))
    currency: str


@strawberry.type(description="Where a page begins and ends, and whether there is more.")
class PageInfo:
    has_next_page: bool = _part()
    has_previous_page: bool = _part()
    start_cursor: Cursor | None = _part()
    end_cursor: Cursor | None = _part()


@strawberry.type
class Edge(Generic[T]):
    cursor: Cursor = _part()
    node: T = _part()


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]] = _part()
    nodes: list[T] = _part()
    page_info: PageInfo = _part()
    total_count: int = _part()


def row_type(type_: Any) -> Any:
    """The class behind `Connection[Activity]` or `Activity | None`; a union as it is."""
    inner = inner_type(type_)
    definition = get_object_definition(inner)
    return inner_type(definition.type_var_map["T"]) if definition and definition.concrete_of else inner
