"""One installation under load: its product, its clients and subscribers, and who judges it."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from application.shared.records import Position
from tests.drills.judge import LAST, Judge, row_of
from tests.drills.load import ANSWER_S, Load, Way
from tests.drills.nursery import Nursery
from tests.drills.product import Product
from tests.drills.site import Site
from tests.drills.subscribers import Subscriber
from tests.drills.world import SETTINGS

USERS = ("operator", "technologist", "integrator", "auditor")


@dataclass
class Installation:
    site: Site
    product: Product
    load: Load
    judge: Judge

    @property
    def url(self) -> str:
        """The way to its database where no fault is put in."""
        return self.judge.url


@contextmanager
def installed(
    site: Site,
    nursery: Nursery,
    home: Path,
    *,
    url: str | None = None,
    way: str | None = None,
    answer_s: float = ANSWER_S,
    settings: Mapping[str, str] = {},
) -> Iterator[Installation]:
    """Two of everything at work; `way` is the product's to the database, where it isn't the direct one."""
    url = url or site.database()
    home.mkdir(exist_ok=True)
    shutil.copytree(site.warehouse, home / "warehouse")
    product = Product(nursery, home, way or url, {**SETTINGS, **settings})
    with psycopg.connect(url) as connection:
        began = Position(*row_of(connection, LAST))
    subscribers: list[Subscriber] = []
    try:
        product.start_all()
        product.await_ready()
        tokens = {user: product.token(user) for user in USERS}
        load = Load(Way(product.apis, tokens, answer_s), site.world)
        subscribers += [Subscriber(product.apis, tokens[user], began) for user in ("integrator", "auditor")]
        for subscriber in subscribers:
            subscriber.start()
        yield Installation(site, product, load, Judge(product, url, load, subscribers, began))
    finally:
        product.end()
        for subscriber in subscribers:
            subscriber.end()
