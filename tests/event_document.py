"""Writes docs/asyncapi.json: `python -m tests.event_document`. What would break readers is not written."""

import json
from pathlib import Path

from api.event_document import document
from api.public_schemas import Schema, breaking_changes

PAGE = Path(__file__).parents[1] / "docs" / "asyncapi.json"


def generated() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def committed() -> dict[str, Schema]:
    """The schemas that readers rely on."""
    schemas: dict[str, Schema] = json.loads(PAGE.read_text())["components"]["schemas"]
    return schemas


def write() -> None:
    new = document()["components"]["schemas"]
    if PAGE.exists() and (faults := breaking_changes(committed(), new)):
        raise SystemExit("Raise the version of the mapping instead:\n" + "\n".join(faults))
    PAGE.write_text(generated())


if __name__ == "__main__":
    write()
