"""The example page and GraphiQL in a real browser: Debian's Chromium, driven by npm's playwright-core."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.api.cardinal_process import ROOT, cardinal, running_up
from tests.npm import packages

EXAMPLE = ROOT / "examples" / "web"
DRIVER = Path(__file__).parent / "clients" / "browser.mjs"
CHROMIUM = Path("/usr/bin/chromium")
PACKAGES = (
    "@urql/core@6.0.3", "@urql/exchange-auth@3.0.0", "esbuild@0.28.2", "graphql@16.15.0",
    "graphql-ws@6.4.2", "lit-html@3.3.3",
    # what drives and judges it
    "playwright-core@1.65.1", "axe-core@4.14.1",
    # what GraphiQL's page loads from unpkg.com
    "react@18.2.0", "react-dom@18.2.0", "js-cookie@3.0.5", "graphiql@3.8.3",
    "@graphiql/plugin-explorer@1.0.2",
)  # fmt: skip
MORE = 18
DRAFT = "mutation ($input: DraftActivityInput!) { draftActivity(input: $input) { userErrors { code path } } }"
CHOICES = """{
  activityTypes(filter: {code: {eq: "USE-DINING"}}) { nodes { id } }
  departments(filter: {code: {eq: "RETENTION"}}) { nodes { id } }
  rewardTypes(filter: {code: {eq: "REWARD-POINTS"}}) { nodes { id } }
}"""

pytestmark = pytest.mark.drill


def install() -> None:
    """Chromium as Debian has it. Raises CalledProcessError where it can't be had."""
    if CHROMIUM.exists():
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ("chromium", "fonts-noto-cjk")
    for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *wanted]):
        subprocess.run(["apt-get", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def served(folder: Path, api: str) -> Iterator[str]:
    """The page's address, by its own server."""
    environment = {**os.environ, "CARDINAL_URL": api, "PORT": "0"}
    command = ["node", str(folder / "web" / "serve.mjs")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def plan_more(api: str, token: str) -> None:
    """Enough activities for a second page."""
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        found = client.post("/graphql", json={"query": CHOICES}).json()["data"]
        (type_,), (department,), (reward,) = (each["nodes"] for each in found.values())
        for number in range(MORE):
            plan = {
                "code": f"PAGE-{number}",
                "name": f"Page {number}",
                "activityTypeId": type_["id"],
                "departmentId": department["id"],
                "rewards": [{"rewardTypeId": reward["id"], "value": "5"}],
                "startsAt": "2027-01-01T00:00:00+08:00",
                "endsAt": "2027-02-01T00:00:00+08:00",
                "budget": {"amount": "1000"},
            }
            answer = client.post("/graphql", json={"query": DRAFT, "variables": {"input": plan}}).json()
            assert answer["data"]["draftActivity"]["userErrors"] == []


def test_packages_are_those_that_the_page_names() -> None:
    named = (EXAMPLE / "package.json").read_text()
    assert all('"{}": "{}"'.format(*each.rsplit("@", 1)) in named for each in PACKAGES[:6])


@pytest.mark.timeout(300)
def test_people_plan_approve_and_follow_an_activity_in_a_browser(tmp_path: Path) -> None:
    """NFR-14, INT-09, INT-11: on a desk and on a phone, in two languages, light and dark, by keyboard; what
    is refused stands at its field; what was missed comes after; axe finds nothing. GraphiQL answers too.
    Pictures of what was seen are left in `tmp_path`.
    """
    install()
    folder = packages(*PACKAGES)
    shutil.copytree(
        EXAMPLE, folder / "web", dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules")
    )
    driver = shutil.copy(DRIVER, folder)
    with running_up(tmp_path / "home") as up:
        api = up.url()
        token = cardinal(tmp_path / "home", "token", "operator").stdout.strip()
        plan_more(api, token)
        with served(folder, api) as page:
            command = ["node", driver, page, api, token, str(tmp_path)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.strip() == "done", done.stderr
