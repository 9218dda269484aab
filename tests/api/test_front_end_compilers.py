"""The committed schema, as front ends are built with it: relay-compiler, graphql-codegen and tsc."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.main import cardinal
from application.access import Role
from tests.api.house import House, running_house
from tests.npm import packages

SCHEMA = Path(__file__).parents[2] / "docs" / "schema.graphql"
GIVEN = Path(__file__).parent / "clients" / "compiled"
PACKAGES = (
    "graphql@16.15.0", "relay-compiler@21.0.1", "typescript@5.9.3",
    "@graphql-codegen/cli@7.4.3", "@graphql-codegen/client-preset@6.2.0",
)  # fmt: skip
TSC = "--strict --noEmit --module esnext --moduleResolution bundler --target es2022 --skipLibCheck typed.ts"

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """What a front end's repository holds, beside the compilers."""
    made = packages(*PACKAGES) / "front_end"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(GIVEN, made)
    shutil.copy(SCHEMA, made)
    (made / "__generated__").mkdir()
    (made / "relay_documents.json").write_text("{}")
    yield made
    shutil.rmtree(made)


def compiled(folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(folder.parent / "node_modules" / ".bin" / program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_relay_and_codegen_compile_it_and_what_they_persist_is_run(
    folder: Path, make_database: Callable[..., str], migrated_template: str
) -> None:
    """INT-09: a misspelt value does not compile; documents of both builds are registered and run."""
    relay = compiled(folder, "relay-compiler", "relay.config.json")
    assert relay.returncode == 0, relay.stdout
    codegen = compiled(folder, "graphql-codegen", "--config", "codegen.json")
    assert codegen.returncode == 0, codegen.stderr
    types = compiled(folder, "tsc", *TSC.split())
    assert types.returncode == 0, types.stdout
    typed = folder / "typed.ts"
    typed.write_text(typed.read_text().replace('"RUNNING")', '"RUNING")'))
    assert "ActivityStatus" in compiled(folder, "tsc", *TSC.split()).stdout

    url = make_database(migrated_template)
    files = [folder / "relay_documents.json", folder / "gql" / "persisted-documents.json"]
    for file in files:
        found = CliRunner().invoke(cardinal, ["documents", "register", str(file)], env={"DATABASE_URL": url})
        assert "were registered before" in found.output, found.output
    with running_house(url, registered_only=frozenset(Role)) as house:
        for file, name in zip(files, ("relayActivitiesQuery", "Running"), strict=True):
            assert total(house, file, name) == 0


def total(house: House, file: Path, name: str) -> int:
    """How many activities the query of that name answers, asked by its digest."""
    (source,) = [text for text in json.loads(file.read_text()).values() if f"query {name}(" in text]
    asked = {
        "documentId": f"sha256:{sha256(source.encode()).hexdigest()}",
        "variables": {"count": 20, "first": 20},
    }
    answer = house.client.post("/graphql", json=asked, headers={"authorization": "Bearer operator"}).json()
    activities = answer["data"]["activities"]
    return len(activities.get("nodes") or activities.get("edges") or [])
