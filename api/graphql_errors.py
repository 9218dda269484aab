"""Errors and answers of GraphQL as clients see them, by whichever way they asked."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from graphql import GraphQLError

from api.context import Context
from api.http_errors import SENTENCES
from api.messages import MESSAGES, Language, message
from api.planner.reads import is_away, is_too_slow
from api.refusals import forbidden
from application.access import Permission

MESSAGE_CHARACTERS_MAX = 500
OF_DOCUMENTS = frozenset({"BAD_INPUT", "LIMIT_EXCEEDED", "BAD_PAGE_SIZE", "BAD_CURSOR", "BAD_AS_OF"})
"""Codes of what the planner and the validation say of a document, in English."""
CHINESE = re.compile(r"[\u4e00-\u9fff]")

logger = structlog.get_logger()


def code_of(fault: BaseException) -> str:
    if is_too_slow(fault):
        return "TOO_SLOW"
    return "UNAVAILABLE" if is_away(fault) else "INTERNAL"


def sentence(code: str, language: Language) -> str:
    """The sentence of a code of `messages` or of `http_errors`."""
    if code.lower() in MESSAGES:
        return message(code, {}, language)
    chinese, english = SENTENCES[code]
    return chinese if language == "zh" else english


def refused(code: str, language: Language, **extensions: object) -> GraphQLError:
    """What ends an operation as a whole."""
    return GraphQLError(sentence(code, language), extensions={"code": code, **extensions})


def shown(error: GraphQLError, context: Context) -> dict[str, Any]:
    """The error as clients see it: only what was raised for them keeps its words."""
    cause = error.original_error
    code = (error.extensions or {}).get("code")
    if code is None and cause is not None and not isinstance(cause, GraphQLError):
        code = code_of(cause)
        text = sentence(code, context.language)
    else:
        text = _worded(error, code or "BAD_INPUT", context.language)
    if len(text) > MESSAGE_CHARACTERS_MAX:  # it repeats what was sent
        text = f"{text[:MESSAGE_CHARACTERS_MAX]}…"
    formatted: dict[str, Any] = {**error.formatted, "message": text}
    own = {name: value for name, value in (error.extensions or {}).items() if code != "INTERNAL"}
    formatted["extensions"] = {**own, "code": code or "BAD_INPUT", "requestId": context.request_id}
    return formatted


def _worded(error: GraphQLError, code: str, language: Language) -> str:
    """The words that it was raised with. What says no more than what went wrong in the document, in English,
    follows on a sentence for Chinese readers; a right that is lacking is told with the roles that have it.
    """
    permission = (error.extensions or {}).get("permission")
    if code == "FORBIDDEN" and permission in set(Permission):
        return forbidden(Permission(permission), language).message
    if language == "zh" and code in OF_DOCUMENTS and not CHINESE.search(error.message):
        return f"{sentence(code, language)}（{error.message}）"
    return error.message


def answer_of(
    data: Mapping[str, Any] | None,
    errors: Sequence[GraphQLError] | None,
    context: Context,
    extensions: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a response; without `data` where all errors concern the request as a whole."""
    answer: dict[str, Any] = {"data": data}
    if errors:
        answer["errors"] = [shown(error, context) for error in errors]
        if data is None and all(error.path is None for error in errors):
            del answer["data"]
    if extensions is not None:
        answer["extensions"] = extensions
    return answer


def extended(planned: bytes, extensions: Mapping[str, Any]) -> bytes:
    """The body of a planned answer, which ends with a brace, with what is said besides."""
    return b"".join((memoryview(planned)[:-1], b',"extensions":%b}' % orjson.dumps(extensions)))


def log_faults(errors: Sequence[GraphQLError] | None, request_id: str) -> None:
    """What is no client's fault, without the document."""
    for error in errors or ():
        cause = error.original_error
        if cause is not None and not isinstance(cause, GraphQLError) and not error.extensions:
            logger.error("resolver_failed", request_id=request_id, error=repr(cause), exc_info=cause)
