"""The page of requirements says what the tests say."""

from tests.requirements_page import PAGE, cited, page


def test_the_page_of_requirements_is_current() -> None:
    """`python -m tests.requirements_page` writes it."""
    assert PAGE.read_text() == page()


def test_a_docstring_may_name_rows_one_by_one_or_as_a_range() -> None:
    assert cited("APR-01, APR-03: x; ES-01…03 y") == ["APR-01", "APR-03", "ES-01", "ES-02", "ES-03"]
