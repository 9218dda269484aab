"""The AsyncAPI document of the events that webhooks get, with a JSON Schema for each: docs/asyncapi.json."""

from typing import Any

from api.public_schemas import Schema, data_schemas
from api.webhook_events import CONTENT_TYPE, SOURCE, schema_id

STRING: Schema = {"type": "string"}
INSTANT: Schema = {"type": "string", "format": "date-time"}

HEADERS: Schema = {
    "type": "object",
    "description": "Standard Webhooks: `webhook-id` is the event's id, at every attempt and replay.",
    "properties": {
        "webhook-id": STRING,
        "webhook-timestamp": {"type": "string", "description": "Seconds since 1970, of this attempt."},
        "webhook-signature": {
            "type": "string",
            "description": "`v1,` and the HMAC-SHA256 in base64; two while a secret is changed.",
        },
    },
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
}

ATTRIBUTES: dict[str, Schema] = {
    "type": STRING,
    "dataschema": STRING,
    "data": {"type": "object"},
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "description": "The same event always has the same id."},
    "source": {"const": SOURCE},
    "subject": {"type": "string", "description": "The id of what it happened to."},
    "time": {**INSTANT, "description": "When it was recorded."},
    "datacontenttype": {"const": "application/json"},
    "sequence": {"type": "string", "description": "The position in the log: events sort by it as text."},
    "subjectversion": {"type": "integer", "description": "The subject's version after the event."},
    "effectivetime": {**INSTANT, "description": "When it counts in business."},
    "orgunit": {"type": "string", "description": "The unit whose business it is; not there if bank-wide."},
    "correlationid": STRING,
    "causationid": STRING,
}
ENVELOPE = "CloudEvent"
ENVELOPE_SCHEMA: Schema = {
    "type": "object",
    "properties": ATTRIBUTES,
    "required": sorted(ATTRIBUTES.keys() - {"orgunit", "causationid"}),
}


def document() -> dict[str, Any]:
    """All of it, as JSON; the order of everything is settled."""
    schemas = data_schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cardinal: events",
            "version": "1.0.0",
            "description": "What happens, sent to webhooks as CloudEvents 1.0. A field may be added within a"
            " version of a type; whatever else changes has a new version.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "webhook": {
                "address": None,
                "description": "The address that an endpoint was approved with.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in schemas},
            }
        },
        "operations": {
            "sendEvent": {
                "action": "send",
                "channel": {"$ref": "#/channels/webhook"},
                "summary": "One event: of one subject in its order, at least once.",
                "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
            }
        },
        "components": {
            "messages": {name: _message(name) for name in schemas},
            "messageTraits": {"signed": {"headers": HEADERS}},
            "schemas": {ENVELOPE: ENVELOPE_SCHEMA, **schemas},
        },
    }


def _message(name: str) -> dict[str, Any]:
    type_, _, version = name.rpartition(".v")
    return {
        "name": type_,
        "title": name,
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/signed"}],
        "payload": {
            "allOf": [{"$ref": f"#/components/schemas/{ENVELOPE}"}],
            "properties": {
                "type": {"const": type_},
                "dataschema": {"const": schema_id(type_, int(version))},
                "data": {"$ref": f"#/components/schemas/{name}"},
            },
        },
    }
