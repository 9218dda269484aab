"""`make demo`: one whole campaign on a private installation, from parameters to posted points."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from demo import proof
from demo.campaign import Campaign
from demo.product import DemoFailed, cardinal, running, users
from demo.purchases import mapping_of, own_case, sample_case
from demo.steps import Steps

HOME = Path(".cardinal-demo")
NAMES = ("operator", "researcher", "technologist", "analyst", "auditor")
REJECT_EVERY = "997"


def main(arguments: list[str]) -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        play(Steps(console), Path(arguments[0]) if arguments and arguments[0] else None)
    except DemoFailed as failed:
        console.print(f"[bold red]The demo stopped: {failed}[/bold red]")
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    return 0


def play(steps: Steps, data: Path | None) -> None:
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    with ExitStack() as running_parts:
        with steps.step("load the purchases" if data else "make a sample bank") as step:
            step.figures = load(home, data)
        with steps.step("start the product") as step:
            url = running_parts.enter_context(running(home, "up", "--port", "0")).url()
            running_parts.enter_context(
                running(
                    home, "counterpart", "--folder", str(home / "gateway"), "--reject-every", REJECT_EVERY
                )
            )
            people = users(home, url, NAMES)
            step.figures = url
        case = own_case(home, data) if data else sample_case(home)
        campaign = Campaign(case, steps, people)
        campaign.play()
        with steps.step("compare with an independent count") as step:
            step.figures = proof.compare(campaign)
        with steps.step("explain one posting"):
            chain = proof.why(campaign)
        steps.console.print(chain)
        with steps.step("show the timeline"):
            told = proof.timeline(campaign)
        steps.console.print(told)
        with steps.step("export the activities") as step:
            step.figures = proof.export(campaign, home / "activities.xlsx")
        with steps.step("verify the log") as step:
            step.figures = proof.verify(home)
        with steps.step("rebuild all projections and compare") as step:
            step.figures = proof.rebuild(home)
    steps.console.print(steps.table())
    steps.console.print(f"Look around in it: .venv/bin/cardinal up --home {HOME}")


def load(home: Path, data: Path | None) -> str:
    if data is None:
        return cardinal(home, "warehouse", "sample").strip()
    mapping = mapping_of(data)
    chosen = [] if mapping is None else ["--mapping", str(mapping)]
    return cardinal(home, "warehouse", "load", str(data), *chosen).strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
