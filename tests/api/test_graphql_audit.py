"""The public audit of GraphQL over HTTP, run by its own package against a running house."""

import json
import subprocess

import pytest

from tests.api.house import House
from tests.npm import packages

AUDIT = """
import { serverAudits } from "graphql-http";
const fetchFn = (url, options = {}) =>
  fetch(url, { ...options, headers: { ...options.headers, authorization: "Bearer auditor" } });
const found = [];
for (const audit of serverAudits({ url: process.argv[1], fetchFn })) {
  const { status, reason } = await audit.fn();
  found.push({ id: audit.id, name: audit.name, status, reason: reason ?? null });
}
console.log(JSON.stringify(found));
"""


@pytest.mark.drill
def test_every_check_of_the_public_audit_passes_those_that_are_only_recommended_too(house: House) -> None:
    """INT-09"""
    folder = packages("graphql-http@1.23.1", "graphql@16.9.0")
    command = ["node", "--input-type=module", "--eval", AUDIT, f"http://{house.url}/graphql"]
    run = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    checks = json.loads(run.stdout)
    assert len(checks) == 61
    assert [check for check in checks if check["status"] != "ok"] == []
