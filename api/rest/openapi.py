"""The OpenAPI 3.1 document of REST, made from its operations and their models: docs/openapi.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.http_errors import PROBLEM
from api.rest.lists import POSITION
from api.rest.operations import JSON, Operation
from api.rest.problems import FAULTS_MAX
from application.access import GRANTABLE
from application.shared.handler import KEY_CHARACTERS_MAX

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}

FAULT: Schema = {
    "type": "object",
    "description": "One thing that is wrong, where it lies.",
    "properties": {
        "code": {**STRING, "description": "Stable: switch on it."},
        "pointer": {
            **STRING,
            "description": "JSON pointer into the body; of a submission, into the activity.",
        },
        "parameter": STRING,
        "detail": {**STRING, "description": "A sentence in the language of Accept-Language, zh or en."},
    },
    "required": ["code", "detail"],
}
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "Problem details (RFC 9457). Nothing was recorded, but for 503.",
    "properties": {
        "type": {**STRING, "format": "uri"},
        "title": {**STRING, "description": "A sentence in the language of Accept-Language, zh or en."},
        "status": {"type": "integer"},
        "code": {**STRING, "description": "Stable: switch on it."},
        "requestId": {**STRING, "description": "Quote it to the administrator."},
        "errors": {"type": "array", "maxItems": FAULTS_MAX, "items": {"$ref": "#/components/schemas/Fault"}},
        "cost": {"type": "object", "description": "Of 429: what it would cost and what is left."},
    },
    "required": ["type", "title", "status", "code", "requestId"],
}
STATUSES: Mapping[str, str] = {
    "400": "The request is malformed: BAD_REQUEST, KEY_REQUIRED, BAD_KEY, BAD_CURSOR, INVALID_INPUT.",
    "401": "No good token.",
    "403": "No permission, or it belongs to a unit whose things the caller does not change.",
    "404": "It does not exist, or the caller may not see it.",
    "409": "It has changed, or does not stand where this can be done: VERSION_CONFLICT, NOT_SUBMITTABLE.",
    "413": "The body is too large.",
    "415": "The body is no JSON in UTF-8.",
    "422": "INVALID_INPUT with all faults at once, or KEY_REUSED.",
    "429": "Too much in a short time: Retry-After tells when there is more.",
    "503": "Not now: Retry-After tells when. A command may have been recorded: send it again with its key.",
}
KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The caller's own key. The same key and input get the same answer, for ever.",
    "schema": {**STRING, "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[!-~]+$"},
}
LANGUAGE: Schema = {"name": "Accept-Language", "in": "header", "schema": STRING, "description": "zh or en."}
TAG: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "schema": STRING,
    "description": "The ETag of the answer that the caller has.",
}
ID: Schema = {"name": "id", "in": "path", "required": True, "schema": STRING}


def document(operations: Sequence[Operation]) -> Schema:
    """All of it, as JSON."""
    schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    queries = {operation.query.__name__ for operation in operations if operation.query}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cardinal",
            "version": "1.0.0",
            "description": "Within /v1 members and operations are added, never changed or taken away.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": PROBLEM_SCHEMA,
                "Fault": FAULT,
                **{name: schema for name, schema in schemas.items() if name not in queries},
            },
            "responses": {status: _problem(status, told) for status, told in STATUSES.items()},
            "parameters": {"key": KEY, "language": LANGUAGE, "tag": TAG, "id": ID},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "program": {
                    "type": "oauth2",
                    "description": "Service accounts. Their scopes are permissions.",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": "/token",
                            "scopes": {scope: f"The permission {scope}." for scope in sorted(GRANTABLE)},
                        }
                    },
                },
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Schema]:
    modes: dict[type[BaseModel], JsonSchemaMode] = {}
    for operation in operations:
        modes[operation.gives] = "serialization"
        modes |= {model: "validation" for model in (operation.body, operation.query) if model}
    template = "#/components/schemas/{model}"
    _, found = models_json_schema(list(modes.items()), ref_template=template)
    plain = {name: _plain(schema) for name, schema in found["$defs"].items()}
    queries = {operation.query.__name__ for operation in operations if operation.query}
    for name, schema in plain.items():
        if schema.get("additionalProperties") is False:
            members = schema["properties"]
            there = members if name in queries else schema.get("required", ())
            members.update({member: _not_null(members[member]) for member in there})
    return plain


def _not_null(schema: Schema) -> Schema:
    """Of what can only be left out, or not even that."""
    known = {name: part for name, part in schema.items() if name != "default" or part not in (None, "", [])}
    [kind] = [part for part in known.pop("anyOf", [{}]) if part != {"type": "null"}]
    return {**kind, **known}


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if isinstance(schema, dict):
        return {
            name: _plain(member)
            for name, member in schema.items()
            if name != "title" or not isinstance(member, str)
        }
    return [_plain(member) for member in schema] if isinstance(schema, list) else schema


def _operation(operation: Operation, schemas: Mapping[str, Schema]) -> Schema:
    parameters = [{"$ref": "#/components/parameters/language"}]
    statuses = ["401", "403", "429", "503"]
    if "{id}" in operation.path:
        parameters.append({"$ref": "#/components/parameters/id"})
        statuses.append("404")
    if operation.query is not None:
        members = schemas[operation.query.__name__]["properties"].items()
        parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in members]
        statuses.append("400")
    told: Schema = {"operationId": operation.id, "summary": operation.summary}
    answers: Schema = {str(operation.status): _answer(operation)}
    if operation.body is not None:
        parameters.append({"$ref": "#/components/parameters/key"})
        told["requestBody"] = {"required": True, "content": _content(operation.body)}
        statuses += ["400", "409", "413", "415", "422"]
    elif operation.is_one:
        parameters.append({"$ref": "#/components/parameters/tag"})
        answers["304"] = {"description": "The caller has it already."}
    told["description"] = f"Needs {' and '.join(operation.needs)}."
    told["security"] = [{"bearer": []}, {"program": [*operation.needs]}]
    refused = {status: {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
    return {**told, "parameters": parameters, "responses": {**answers, **refused}}


def _answer(operation: Operation) -> Schema:
    headers: Schema = {}
    if operation.body is not None:
        headers["Cardinal-Position"] = {
            "description": "Give it as minPosition to who must see this.",
            "schema": POSITION,
        }
    if operation.status == 201:
        headers["Location"] = {"description": "Where it is.", "required": True, "schema": STRING}
    elif operation.is_one:
        headers["ETag"] = {"description": "Changes whenever the answer does.", "schema": STRING}
    elif operation.query is not None and operation.body is None:
        headers["Link"] = {"description": 'The next page, rel="next".', "schema": STRING}
    described = "Done." if operation.body else "As it stands."
    return {"description": described, "headers": headers, "content": _content(operation.gives)}


def _content(model: type[BaseModel]) -> Schema:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _problem(status: str, told: str) -> Schema:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = (
        {"Retry-After": {"description": "Seconds.", "schema": STRING}} if status in ("429", "503") else {}
    )
    return {"description": told, "headers": headers, "content": content}
