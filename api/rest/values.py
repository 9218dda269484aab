"""What bodies and parameters of REST are made of: names, enums, instants and days are as in GraphQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from api.planner.values import SCALARS

INT_MOST = 2**31 - 1


class Given(BaseModel):
    """What a client sends: nothing is taken for something else, and what nobody knows is a fault."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel)


class Shown(BaseModel):
    """What a client is sent. Members may be added within a version."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class Misfit(ValueError):
    """A value that is not of its form: a code of messages, and the values of its sentence."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code, self.values = code, {name: str(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """For Annotated: how a value is read (it raises Misfit), and its JSON schema."""

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _: Any, handler: GetCoreSchemaHandler) -> Any:
        return handler.generate_schema(
            Annotated[Any, PlainValidator(self.read), WithJsonSchema(dict(self.schema))]
        )


def _scalar(type_: type, format: str) -> Form:
    parse = SCALARS[type_].parse_value
    assert parse is not None

    def read(value: object) -> Any:
        try:
            return parse(value)
        except (ValueError, OverflowError):
            raise Misfit("BAD_VALUE", type=format) from None

    return Form(read, {"type": "string", "format": format})


def choice(enum: type[Enum]) -> Form:
    """A member of the enum by its name."""

    def read(value: object) -> Enum:
        if isinstance(value, str) and value in enum.__members__:
            return enum[value]
        raise Misfit("NOT_A_CHOICE", choices=", ".join(enum.__members__))

    return Form(read, {"type": "string", "enum": list(enum.__members__)})


def whole(least: int, most: int) -> Form:
    """A whole number in the range; of a parameter also as text."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Misfit("BAD_VALUE", type="integer")
        if not least <= value <= most:
            raise Misfit("OUT_OF_RANGE", least=least, most=most)
        return value

    return Form(read, {"type": "integer", "minimum": least, "maximum": most})


def text(most: int) -> Form:
    """A parameter's text, of as many characters."""

    def read(value: object) -> str:
        if not isinstance(value, str):
            raise Misfit("BAD_VALUE", type="string")
        if len(value) > most:
            raise Misfit("TOO_LONG", most=most)
        if not value.isprintable():
            raise Misfit("BAD_CHARACTERS")
        return value

    return Form(read, {"type": "string", "maxLength": most})


Instant = Annotated[datetime, _scalar(datetime, "date-time")]
Day = Annotated[date, _scalar(date, "date")]
Number = Annotated[int, whole(0, INT_MOST)]
