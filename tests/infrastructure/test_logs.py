"""Logs: one line for each message, in one form for our own and the libraries', and no secrets in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from infrastructure import logs

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJvcGVyYXRvciJ9.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def told(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_messages_and_those_of_libraries_have_one_form(stream: io.StringIO) -> None:
    logs.configure("worker", "info", "json", stream)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    structlog.get_logger("cardinal.test").info("done", count=3)
    logging.getLogger("some.library").warning("%s of %s", 1, 2)
    ours, theirs = told(stream)
    assert ours["event"] == "done"
    assert ours["count"] == 3
    assert theirs["event"] == "1 of 2"
    for line in (ours, theirs):
        assert line["process"] == "worker"
        assert line["request_id"] == "r-1"
        assert str(line["timestamp"]).endswith("Z")
        assert {"level", "logger"} <= line.keys()


def test_what_is_less_important_than_the_level_is_left_out(stream: io.StringIO) -> None:
    logs.configure("api", "warning", "json", stream)
    structlog.get_logger("cardinal.test").info("no")
    logging.getLogger("uvicorn.error").info("no")
    logging.getLogger("some.library").info("no")
    structlog.get_logger("cardinal.test").warning("yes")
    assert [line["event"] for line in told(stream)] == ["yes"]


def test_secrets_are_hidden_by_name_and_by_look(stream: io.StringIO) -> None:
    logs.configure("api", "info", "json", stream)
    log = structlog.get_logger("cardinal.test")
    log.info("named", password="hunter2", access_token="hunter2", Authorization="Basic hunter2")
    log.info(
        "seen", address="postgresql://cardinal:hunter2@db/cardinal", header=f"Bearer {TOKEN}", also=TOKEN
    )
    logging.getLogger("some.library").warning("connecting to amqp://cardinal:hunter2@broker with %s", TOKEN)
    try:
        raise ValueError(f"no good: {TOKEN}")
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert "hunter2" not in text
    assert TOKEN not in text
    assert "postgresql://cardinal:[hidden]@db/cardinal" in text
    assert "ValueError: no good: [hidden]" in text


def test_numbers_of_cards_and_mobiles_are_hidden_and_our_own_ids_are_not(stream: io.StringIO) -> None:
    """SEC-02: whatever an error, a path or a library brings."""
    logs.configure("api", "info", "json", stream)
    id_ = "abcdef41-1111-7111-8111-110fffffffff"
    structlog.get_logger("cardinal.test").info("request", path="/exports/4111 1111 1111 1111", request_id=id_)
    logging.getLogger("some.library").warning("of %s, 4111-1111-1111-1111 and 138 1234 5678", id_)
    try:
        raise ValueError("bad row: C1,13812345678,4111111111111111")
    except ValueError:
        structlog.get_logger("cardinal.test").exception("failed")
    text = stream.getvalue()
    assert "1111 1111" not in text and "1111-1111-1111" not in text and "41111111" not in text  # noqa: PT018
    assert "12345678" not in text and "1234 5678" not in text  # noqa: PT018
    assert text.count(id_) == 2
    assert "bad row: C1,[hidden],[hidden]" in text


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_message_can_not_make_a_second_line_look_like_ours(stream: io.StringIO, form: str) -> None:
    logs.configure("api", "info", form, stream)
    structlog.get_logger("cardinal.test").info("request", path="/x\n2026-01-01 [info] forged")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_value_that_is_too_long_for_a_line_is_cut(stream: io.StringIO) -> None:
    logs.configure("api", "info", "json", stream)
    structlog.get_logger("cardinal.test").info("long", value="x" * 1_000_000)
    assert len(stream.getvalue()) < 2 * logs.VALUE_CHARACTERS_MAX


@pytest.mark.parametrize("odd", ["\ud800", 2**70, {1: 2}])
def test_what_json_can_hardly_hold_is_told_nevertheless(stream: io.StringIO, odd: object) -> None:
    logs.configure("api", "info", "json", stream)
    structlog.get_logger("cardinal.test").info("odd", value=odd)
    assert [line["event"] for line in told(stream)] == ["odd"]


def test_a_line_that_can_not_be_written_stops_nobody(stream: io.StringIO) -> None:
    logs.configure("api", "info", "json", stream)
    stream.close()
    structlog.get_logger("cardinal.test").info("nobody reads this")
