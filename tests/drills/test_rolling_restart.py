"""A new version goes in process by process, under load, behind the gateway: nobody's request fails."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.test_transport import trusting
from tests.certificates import Authority
from tests.drills.installation import installed
from tests.drills.load import Load
from tests.drills.nursery import Nursery
from tests.drills.product import ROLES, until
from tests.drills.site import Site
from tests.repeats import IS_FULL
from tests.test_gateway import gateway

ROUNDS = 25 if IS_FULL else 1


@pytest.mark.drill
@pytest.mark.timeout(3_600 if IS_FULL else 900)
def test_each_process_is_replaced_under_load_without_a_failed_request(
    site: Site, nursery: Nursery, tmp_path: Path
) -> None:
    """NFR-06: each is told to end, ends by itself, and its successor is ready before the next one goes."""
    authority = Authority(tmp_path / "authority")
    with ExitStack() as opened:
        at = opened.enter_context(installed(site, nursery, tmp_path / "home"))
        encrypted, _ = opened.enter_context(gateway(tmp_path, authority, *at.product.apis))
        way = replace(at.load.way, apis=[encrypted], verify=trusting(authority))
        at.judge.load = load = Load(way, site.world)
        with load.under_way():
            for _ in range(ROUNDS):
                for process in [each for role in ROLES for each in at.product.of(role)]:
                    at.product.stop(process)
                    at.product.start(process.role, process.place)
                    at.product.await_ready()
                until(load.grown(5), "the load goes on")
        assert load.tallies.faults == {}
        at.judge.judge(with_rebuild=IS_FULL)
