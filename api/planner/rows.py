"""An answer's JSON as the stock executor walks it, where a selected field has a resolver of its own."""

from typing import Any

from graphql import get_named_type, is_leaf_type


class Row(dict[str, Any]):
    """One JSON object. A resolver reads the row's plain columns as attributes; a masked one is None."""

    def __getattr__(self, name: str) -> Any:
        if f"${name}" not in self:
            raise AttributeError(name)
        value = self[f"${name}"]
        definition = self.__dict__["__as_strawberry_type__"].__strawberry_definition__
        kind = definition.get_field(name).kind
        return kind.parse(value) if isinstance(value, str | list) else value


def walkable(info: Any, value: Any) -> Any:
    """A field's JSON value for the executor: as it stands if the field is a scalar, else with its objects as
    rows.
    """
    return value if is_leaf_type(get_named_type(info._raw_info.return_type)) else _rows(info, value)


def _rows(info: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_rows(info, item) for item in value]
    if not isinstance(value, dict) or isinstance(value, Row):
        return value
    row = Row(value)
    if "$type" in value:  # strawberry's mark of an object that is not an instance of its type
        row.__dict__["__as_strawberry_type__"] = info.schema.get_type_by_name(value["$type"]).origin
    return row
