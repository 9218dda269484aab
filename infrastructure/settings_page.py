"""The page docs/settings.md, made from the settings themselves."""

from pydantic.fields import FieldInfo

from infrastructure.settings import Settings
from infrastructure.settings_values import expected

HEAD = """# Settings

Everything is set by environment variables; an empty one counts as not set. `cardinal settings` makes this
page from `infrastructure/settings.py`, and a test compares the two.

| Variable | Default | Expected | What it sets |
|---|---|---|---|
"""


def page() -> str:
    """In Markdown, a row for each variable in the order of the class."""
    return HEAD + "".join(_row(field) for field in Settings.model_fields.values())


def _row(field: FieldInfo) -> str:
    return f"| `{field.alias}` | {_default(field)} | {expected(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    match field.default:
        case None:
            return "none"
        case bool(given):
            return f"`{str(given).lower()}`"
        case dict(given):
            return f"`{','.join(f'{key}:{value}' for key, value in given.items())}`" if given else "none"
        case tuple(given):
            return f"`{','.join(given)}`"
        case given:
            return f"`{given}`"
