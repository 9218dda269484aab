"""What a database needs before anybody works on it: all migrations, and in development a sample."""

from application.sample import load
from application.shared.handler import Handler
from infrastructure.database import pool
from infrastructure.embedded_database import Database
from infrastructure.event_log import EventLog
from infrastructure.migrate import migrate
from infrastructure.settings import Settings


def bring_forward(database: Database) -> list[str]:
    """Migrate as the owner; the names of what was applied. Raise MigrationRefused."""
    return migrate(database.owner_url)


def load_sample(settings: Settings, database: Database) -> None:
    """Record the sample bank in an empty log; never in production."""
    if settings.is_production:
        return
    with pool(database.url, 2) as connections:
        log = EventLog(connections)
        if log.log_recorder.max_notification_id() is None:
            load(Handler(log, policy=settings.approval_policy), settings.units)
