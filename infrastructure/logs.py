"""Logs: one line for each message on stderr, JSON for machines or text for people, without secrets, and
without numbers of cards and mobiles.
"""

import json
import logging
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.shared.text import without_personal_numbers

VALUE_CHARACTERS_MAX = 8_000
_SECRET_NAMES = re.compile(r"password|passwd|secret|token|authorization|cookie|private", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_IN_HEADER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+", re.IGNORECASE)
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_SUSPICIOUS = re.compile("://|bearer|basic|eyJ", re.IGNORECASE)  # what each of the three begins with
_OUR_OWN = frozenset({"timestamp", "request_id", "level", "logger", "process", "method"})
HIDDEN = "[hidden]"


def configure(process: str, level: str, form: str, stream: TextIO | None = None) -> None:
    """Send what this process and its libraries log to stderr. `process` is its name in every line.

    `level` and `form` are CARDINAL_LOG_LEVEL and CARDINAL_LOG_FORMAT.
    """
    stream = stream or sys.stderr
    rendered = _renderer(form == "text" or (form == "auto" and stream.isatty()), stream)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.PositionalArgumentsFormatter(),
                structlog.stdlib.ExtraAdder(),
                *shared,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendered],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for library in ("uvicorn.error", "dramatiq", "psycopg.pool"):
        logging.getLogger(library).setLevel(
            root.level if level == "debug" else max(root.level, logging.WARNING)
        )
    # Our own lines are written as they are: through logging's records each would cost three times as much.
    structlog.configure(
        processors=[*shared, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        logger_factory=lambda *names: _Lines(stream, *names),
        cache_logger_on_first_use=True,
    )


class _Lines(structlog.WriteLogger):
    """Writes whole lines. One that can't be written any more stops nobody from working."""

    def __init__(self, stream: TextIO, name: str = "cardinal") -> None:
        super().__init__(stream)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = msg


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide what is named like a secret, looks like one or is a person's number; cut what is too long for a
    line.
    """
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    if name.startswith("_"):
        return value
    if _is_secret(name):
        return HIDDEN
    if not isinstance(value, str):
        return value
    text = value
    if _SUSPICIOUS.search(value):
        text = _IN_ADDRESS.sub(rf"\1:{HIDDEN}@", value)
        text = _TOKEN.sub(HIDDEN, _IN_HEADER.sub(rf"\1 {HIDDEN}", text))
    if name not in _OUR_OWN:
        text = without_personal_numbers(text, HIDDEN)
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _named(process: str) -> Processor:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    return add


def _renderer(is_text: bool, stream: TextIO) -> Processor:
    if is_text:
        return structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return _json


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # lone surrogates, huge numbers
        return json.dumps(event, default=str)
