"""How the texts of settings are read: lists, and pairs of a key and a value."""


def require(holds: bool) -> None:
    """The fault's words are the setting's `expected`, so the error needs none."""
    if not holds:
        raise ValueError


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def pairs(text: str) -> dict[str, str]:
    """The pairs of "A:first,B:second"; a key that comes twice is a fault."""
    found = {}
    for key, _, value in (part.partition(":") for part in listed(text)):
        require(key not in found)
        found[key.strip()] = value.strip()
    return found
