"""`cardinal warehouse`: the sample bank, or one's own purchases, as the data that segments are made of."""

from pathlib import Path
from typing import Annotated

import typer

from api.terminal import CommandFailed, progress

warehouse = typer.Typer(help="The data that segments are made of.", no_args_is_help=True)
OWN_DATA = "docs/own-data.md tells how the folder and its mapping.toml must be."


@warehouse.command()
def sample(
    customers: Annotated[int, typer.Option(help="How many customers.", min=10, max=5_000_000)] = 50_000,
    transactions: Annotated[int, typer.Option(help="How many.", min=100, max=200_000_000)] = 2_000_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bank.")] = 1,
) -> None:
    """Make the sample bank, unless there are data already."""
    from application.shared.business_time import business_date
    from application.shared.handler import system_clock
    from infrastructure.settings import Settings
    from infrastructure.vaults import erased_customers
    from infrastructure.warehouse import Warehouse
    from infrastructure.warehouse_sample import SampleSize

    settings = Settings.read()
    today = business_date(system_clock(), settings.time_zone)
    place = Warehouse(settings.home / "warehouse", tuple(sorted(settings.units)), erased_customers(settings))
    before = place.snapshot()
    with progress("sample bank") as shown:
        made = place.generate(
            today, SampleSize(customers, transactions), seed, lambda percent: shown(percent, 100)
        )
    counts = ", ".join(f"{made.files[table].rows:,} {table}" for table in ("customers", "transactions"))
    print(f"{made.id}: {counts} before {made.business_date}")
    if before is not None:
        print("There were data already, and they are left as they are.")


@warehouse.command()
def load(
    folder: Annotated[Path, typer.Argument(help="Where transactions.csv is, and perhaps customers.csv.")],
    mapping: Annotated[Path | None, typer.Option(help="How its columns are named.")] = None,
) -> None:
    """Load one's own CSV files in the place of what is there; bad rows are told, good ones load."""
    from api.messages import message
    from infrastructure.settings import Settings
    from infrastructure.vaults import erased_customers
    from infrastructure.warehouse import Warehouse
    from infrastructure.warehouse_mapping import MAPPING_FILE, LoadRefused

    settings = Settings.read()
    own = folder / MAPPING_FILE
    chosen = mapping or (own if own.exists() else None)
    try:
        with progress("purchases") as shown:
            report = Warehouse(
                settings.home / "warehouse", tuple(sorted(settings.units)), erased_customers(settings)
            ).load_csv(folder, lambda percent: shown(percent, 100), chosen)
    except LoadRefused as refused:
        raise CommandFailed(message(refused.code, refused.values, "en"), OWN_DATA) from refused
    print(f"{report.snapshot}: {report.customers:,} customers, {report.transactions:,} transactions loaded")
    if report.rejected:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in sorted(report.reasons.items()))
        print(f"{report.rejected:,} rows were rejected ({reasons}); they are listed in {report.rejects}")
