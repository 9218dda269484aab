"""Errors of GraphQL as clients see them, by whichever way they asked."""

from typing import Any

import structlog
from graphql import ExecutionResult, GraphQLError

from api.context import Context
from api.http_errors import SENTENCES
from api.messages import MESSAGES, Language, message
from api.planner.reads import is_away

logger = structlog.get_logger()


def shown(error: GraphQLError, context: Context) -> dict[str, Any]:
    """The error as clients see it: only what was raised for them keeps its words."""
    cause = error.original_error
    code = (error.extensions or {}).get("code")
    if code is None and cause is not None and not isinstance(cause, GraphQLError):
        code = "UNAVAILABLE" if is_away(cause) else "INTERNAL"
        logger.error("resolver_failed", request_id=context.request_id, error=repr(cause), exc_info=cause)
        text = message(code, {}, context.language)
    else:
        text = error.message
    formatted: dict[str, Any] = {**error.formatted, "message": text}
    own = {name: value for name, value in (error.extensions or {}).items() if code != "INTERNAL"}
    formatted["extensions"] = {**own, "code": code or "BAD_INPUT", "requestId": context.request_id}
    return formatted


def answer_of(result: ExecutionResult, context: Context) -> dict[str, Any]:
    """The response of an execution; without `data` where none was begun."""
    errors = [shown(error, context) for error in result.errors or ()]
    if not errors:
        return {"data": result.data}
    begun = result.data is not None or any(error.path is not None for error in result.errors or ())
    return {"data": result.data, "errors": errors} if begun else {"errors": errors}


def sentence(code: str, language: Language) -> str:
    """The sentence of a code that ends an operation or a stream."""
    if code.lower() in MESSAGES:
        return message(code, {}, language)
    chinese, english = SENTENCES[code]
    return chinese if language == "zh" else english
