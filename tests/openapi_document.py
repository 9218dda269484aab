"""Writes docs/openapi.json: `python -m tests.openapi_document`. What would break clients is not written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api.rest.contract import OPERATIONS
from api.rest.openapi import document

PAGE = Path(__file__).parents[1] / "docs" / "openapi.json"


def generated() -> str:
    return json.dumps(document(OPERATIONS), indent=1, ensure_ascii=False) + "\n"


def committed() -> Any:
    return json.loads(PAGE.read_text())


def breaking(old: Any, new: Any) -> Iterator[str]:
    """What a client relies on and does not find any more: operations, members, their types."""
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            there = new["paths"].get(path, {}).get(method)
            if there is None:
                yield f"{method} {path} is gone"
                continue
            known = {each.get("name") for each in operation["parameters"]}
            if gone := known - {each.get("name") for each in there["parameters"]}:
                yield f"{method} {path} takes {', '.join(map(str, gone))} no more"
            if gone := set(operation["responses"]) - set(there["responses"]):
                yield f"{method} {path} answers {', '.join(gone)} no more"
    for name, schema in old["components"]["schemas"].items():
        there = new["components"]["schemas"].get(name, {})
        for member, type_ in schema["properties"].items():
            if _type(there.get("properties", {}).get(member)) != _type(type_):
                yield f"{name}.{member} is gone or of another type"
        is_sent = schema.get("additionalProperties") is False
        was, is_ = set(schema.get("required", ())), set(there.get("required", ()))
        if changed := is_ - was if is_sent else was - is_:
            yield f"{name}: {', '.join(sorted(changed))} {'must' if is_sent else 'need not'} be there"


def _type(schema: Any) -> Any:
    """The schema without its words."""
    if isinstance(schema, dict):
        return {name: _type(part) for name, part in schema.items() if name != "description"}
    return schema


def write() -> None:
    if PAGE.exists() and (faults := list(breaking(committed(), document(OPERATIONS)))):
        raise SystemExit("That is another version of the contract:\n" + "\n".join(faults))
    PAGE.write_text(generated())


if __name__ == "__main__":
    write()
