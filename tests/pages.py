"""The pages of docs as their readers play them: what is to be asked, as whom, and what is answered.

A page holds steps, from top to bottom:

- ```graphql – asked as the sample user of its first line (`# operator`), with headers in braces after him;
- ```json variables – below it, the variables;
- ```json answer – below it, `data` of the answer, or code and message of its errors;
- ```console – lines with `$ ` are done in a shell, what stands below is what they show.

`<name>` stands for what the reader has copied: an answer says where from, by holding it for the first time.
`<today>`, `<30 days ago>`, `<in 30 days>` are dates, `<soon>` is an instant that is about to come. `…` is
whatever; as the last member of a list, further members; as a key, further fields. A query is asked again
until it is answered so.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]+(?: [a-z]+)?)\n(?P<text>.*?)^ *```$", re.M | re.S)
USER = re.compile(r"# (?P<user>[a-z]+)(?:[^{\n]*(?P<headers>\{.*\}))?\n")
PLACEHOLDER = re.compile(r"<([^<>\n]+)>")
SOON = timedelta(seconds=2)
ZONE = ZoneInfo("Asia/Shanghai")
"""The sample bank's."""


class PageFault(AssertionError):
    """A step does not do what the page says."""


@dataclass(frozen=True, slots=True)
class Step:
    """`where` is page:line; `kind` is graphql or console."""

    where: str
    kind: str
    text: str
    variables: str = "{}"
    answer: str | None = None

    @property
    def user(self) -> str:
        return self._opening["user"]

    @property
    def headers(self) -> str:
        return self._opening["headers"] or "{}"

    @property
    def _opening(self) -> re.Match[str]:
        found = USER.match(self.text)
        if found is None:
            raise PageFault(f"{self.where}: its first line does not say who asks")
        return found

    @property
    def is_query(self) -> bool:
        return not re.search(r"^ *(mutation|subscription)\b", self.text, re.M)


def steps(page: Path) -> list[Step]:
    """What is to be done on a page, in its order."""
    content = page.read_text()
    found: list[Step] = []
    for block in FENCE.finditer(content):
        text = re.sub(f"^{block['indent']}", "", block["text"], flags=re.M)
        where = f"{page.name}:{content.count(chr(10), 0, block.start()) + 1}"
        match block["kind"]:
            case "graphql" | "console" as kind:
                found.append(Step(where, kind, text))
            case "json variables" | "json answer" as kind:
                last = found.pop()
                given = {"variables": text} if kind == "json variables" else {"answer": text}
                found.append(Step(last.where, last.kind, last.text, **{**_given(last), **given}))
    return found


def _given(step: Step) -> dict[str, Any]:
    return {"variables": step.variables, "answer": step.answer}


def filled(text: str, copied: Mapping[str, str]) -> str:
    """The text as the reader types it. Raise PageFault for what no answer before has shown."""
    today = datetime.now(ZONE).date()

    def typed(found: re.Match[str]) -> str:
        name = found[1]
        if name in copied:
            return copied[name]
        if name == "soon":
            return (datetime.now(UTC) + SOON).isoformat()
        if name == "today":
            return today.isoformat()
        if days := re.fullmatch(r"(\d+) days ago|in (\d+) days", name):
            return (today + timedelta(days=int(days[2] or 0) - int(days[1] or 0))).isoformat()
        raise PageFault(f"no answer has shown <{name}>")

    return PLACEHOLDER.sub(typed, text)


def matched(expected: Any, found: Any, copied: Mapping[str, str], at: str = "") -> dict[str, str]:
    """What the reader copies from an answer that is as expected. Raise PageFault where it is not."""
    new: dict[str, str] = {}
    for key, value in _matched(expected, found, copied, at or "data"):
        if new.setdefault(key, value) != value:
            raise PageFault(f"{at}: <{key}> would be both {new[key]} and {value}")
    return new


def _matched(expected: Any, found: Any, copied: Mapping[str, str], at: str) -> Iterator[tuple[str, str]]:
    match expected:
        case dict():
            named = {key for key in expected if key != "…"}
            if not isinstance(found, dict) or (
                named != found.keys() if "…" not in expected else named - found.keys()
            ):
                raise PageFault(f"{at}: {_short(found)}, and not {_short(expected)}")
            for key in named:
                yield from _matched(expected[key], found[key], copied, f"{at}.{key}")
        case [*wanted, "…"] if isinstance(found, list):
            for index, each in enumerate(wanted):
                yield from _one_of(each, found, copied, f"{at}.{index}")
        case list():
            if not isinstance(found, list) or len(found) != len(expected):
                raise PageFault(f"{at}: {_short(found)}, and not {_short(expected)}")
            for index, (each, other) in enumerate(zip(expected, found, strict=True)):
                yield from _matched(each, other, copied, f"{at}.{index}")
        case str() if (
            (name := PLACEHOLDER.fullmatch(expected)) and name[1] not in copied and not _is_time(name[1])
        ):
            if found is None:
                raise PageFault(f"{at}: nothing to copy as {expected}")
            yield name[1], str(found)
        case str():
            if expected != "…" and not same_text(filled(expected, copied), found):
                raise PageFault(f"{at}: {_short(found)}, and not {expected!r}")
        case _:
            if expected != found:
                raise PageFault(f"{at}: {_short(found)}, and not {_short(expected)}")


def _is_time(name: str) -> bool:
    return name in ("today", "soon") or re.fullmatch(r"\d+ days ago|in \d+ days", name) is not None


def _one_of(wanted: Any, found: list[Any], copied: Mapping[str, str], at: str) -> list[tuple[str, str]]:
    for each in found:
        try:
            return list(_matched(wanted, each, copied, at))
        except PageFault:
            continue
    raise PageFault(f"{at}: {_short(wanted)} is not among {_short(found)}")


def same_text(expected: str, found: Any) -> bool:
    pattern = ".*".join(map(re.escape, expected.split("…")))
    is_told = isinstance(found, str | int) and not isinstance(found, bool)
    return is_told and re.fullmatch(pattern, str(found), re.S) is not None


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:600]
