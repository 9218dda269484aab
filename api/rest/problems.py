"""Why a REST request is refused: problem details with every fault at once. Source: RFC 9457."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Scope

from api.http_errors import header, problem_response
from api.messages import MESSAGES, Language, language_of, message
from api.refusals import user_error
from api.rest.values import Misfit
from domain.shared.refusal import Fault

FAULTS_MAX = 100
"""How many faults are told."""

STATUS: Mapping[str, int] = {
    "BAD_KEY": 400,
    "OTHER_UNITS": 403,
    "NOT_FOUND": 404,
    "VERSION_CONFLICT": 409,
    "NOT_SUBMITTABLE": 409,
    "KEY_REUSED": 422,
}
"""Refusals of a request as a whole; any other is one of its input's faults, 422."""

Place = Literal["pointer", "parameter"]
_OF_THE_WHOLE = ((), ("id",), ("expected_version",))
_TYPES = {"int": "integer", "bool": "boolean", "list": "array", "model": "object"}


@dataclass(frozen=True, slots=True)
class Told:
    """One fault: `at` is a JSON pointer into the body, or a parameter's name."""

    code: str
    place: Place
    at: str
    values: Mapping[str, str] = field(default_factory=dict)

    def shown(self, language: Language) -> dict[str, str]:
        return {"code": self.code, self.place: self.at, "detail": message(self.code, self.values, language)}


class Problem(Exception):
    """The request is refused; `values` are those of the code's sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        faults: Sequence[Told] = (),
        values: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.faults = status, code, faults
        self.values, self.headers = values or {}, headers or {}

    def response(self, scope: Scope) -> Response:
        language = language_of(header(scope, b"accept-language"))
        title = message(self.code, self.values, language) if self.code.lower() in MESSAGES else None
        errors = [fault.shown(language) for fault in self.faults[:FAULTS_MAX]]
        more = {"errors": errors} if errors else {}
        return problem_response(scope, self.status, self.code, title, self.headers, more)


def refusal(faults: Sequence[Fault], body: Any) -> Problem:
    """What the domain refuses, of a command that came as `body`."""
    first = faults[0]
    if (status := STATUS.get(first.code.name)) is not None and first.path in _OF_THE_WHOLE:
        return Problem(status, first.code.name, values=first.values)
    # The names of the input are those of GraphQL's, so that a code lies in the same place there and here.
    told = [
        Told(fault.code.name, "pointer", pointer(user_error(fault, "en").path[1:], body), fault.values)
        for fault in faults
    ]
    return Problem(422, "INVALID_INPUT", told)


def malformed(error: ValidationError, place: Place) -> Problem:
    """What does not have the form that the contract gives it."""
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Problem(400, "BAD_REQUEST")
    status = 422 if place == "pointer" else 400
    return Problem(status, "INVALID_INPUT", [_told({**each}, place) for each in found[:FAULTS_MAX]])


def _told(fault: Mapping[str, Any], place: Place) -> Told:
    kind, names = fault["type"], [str(part) for part in fault["loc"]]
    at, told = (".".join(names) if place == "parameter" else _pointer(names)), fault.get("ctx", {})
    if isinstance(misfit := told.get("error"), Misfit):
        return Told(misfit.code, place, at, misfit.values)
    match kind:
        case "missing":
            return Told("REQUIRED", place, at)
        case "extra_forbidden":
            return Told("UNKNOWN_MEMBER", place, at, {"name": names[-1]})
        case "too_long":
            return Told("TOO_MANY", place, at, {"most": str(told["max_length"])})
    word = kind.split("_")[0]
    return Told("BAD_VALUE", place, at, {"type": _TYPES.get(word, word)})


def pointer(path: Sequence[str], body: Any) -> str:
    """The JSON pointer of a place in the body. What is named in a list of names and values is its member."""
    at: list[str] = []
    for part in path:
        if isinstance(body, list) and not part.isdigit():
            index = next((n for n, member in enumerate(body) if member.get("name") == part), None)
            if index is None:  # what is not there has no place
                break
            part = str(index)
        at.append(part)
        body = _member(body, part)
    return _pointer(at)


def _member(body: Any, part: str) -> Any:
    if isinstance(body, list):
        return body[int(part)] if int(part) < len(body) else None
    return body.get(part) if isinstance(body, dict) else None


def _pointer(parts: Sequence[str]) -> str:
    """Source of the escapes: RFC 6901, section 3."""
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
