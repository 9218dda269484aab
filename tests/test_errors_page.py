"""The committed list of error codes is the program's."""

from tests.errors_page import OF_LISTS, PAGE, page, rows


def test_the_page_of_error_codes_is_current() -> None:
    """SYS-06: a new code, sentence or advice shows in the diff: `python -m tests.errors_page`."""
    assert PAGE.read_text() == page()
    codes = [code for code, *_ in rows()]
    assert len(codes) == len(set(codes)) > 250
    assert all(help_.endswith(".") for *_, help_ in rows())
    assert all(name.endswith("Refusal") for name in OF_LISTS)
