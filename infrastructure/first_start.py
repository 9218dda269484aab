"""What a database needs before anybody works on it: all migrations, and in development a sample."""

from datetime import UTC, datetime

from application.sample import load
from application.shared.business_time import business_date
from application.shared.handler import Handler
from infrastructure.database import pool
from infrastructure.embedded_database import Database
from infrastructure.event_log import EventLog
from infrastructure.migrate import migrate
from infrastructure.settings import Settings
from infrastructure.warehouse import Warehouse
from infrastructure.warehouse_sample import SampleSize

FIRST_SAMPLE = SampleSize(customers=2_000, transactions=40_000)


def bring_forward(database: Database) -> list[str]:
    """Migrate as the owner; the names of what was applied. Raise MigrationRefused."""
    return migrate(database.owner_url)


def load_sample(settings: Settings, database: Database) -> None:
    """Record the sample bank in an empty log, with a small warehouse where there is none.

    Never in production.
    """
    if settings.is_production:
        return
    with pool(database.url, 2) as connections:
        log = EventLog(connections)
        if log.log_recorder.max_notification_id() is None:
            load(Handler(log, policy=settings.approval_policy), settings.units)
            today = business_date(datetime.now(UTC), settings.time_zone)
            warehouse = Warehouse(settings.home / "warehouse", tuple(sorted(settings.units)))
            warehouse.generate(today, FIRST_SAMPLE)
