"""One running house for the tests of a file: each makes its own things in it and disturbs no other."""

from collections.abc import Callable, Iterator

import pytest

from tests.api.house import House, running_house


@pytest.fixture(scope="module")
def house(make_database: Callable[..., str], migrated_template: str) -> Iterator[House]:
    with running_house(make_database(migrated_template)) as running:
        yield running
