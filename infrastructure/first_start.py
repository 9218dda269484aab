"""What a database needs before anybody works on it: all migrations, and in development a sample."""

from datetime import UTC, datetime
from functools import partial

from application import users
from application.access import HEAD_OFFICE, Permission, Principal
from application.sample import load
from application.shared.business_time import business_date
from application.shared.handler import Handler, Request
from domain.users import DECIDER as USER
from domain.users import Profile, Status, user_id
from infrastructure import passwords
from infrastructure.access_store import AccessStore
from infrastructure.database import pool
from infrastructure.embedded_database import Database
from infrastructure.event_log import EventLog
from infrastructure.migrate import migrate
from infrastructure.settings import Settings
from infrastructure.tokens import SAMPLE_USERS, sample_password
from infrastructure.vaults import erased_customers
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
            warehouse = Warehouse(
                settings.home / "warehouse", tuple(sorted(settings.units)), erased_customers(settings)
            )
            warehouse.generate(today, FIRST_SAMPLE)


def load_sample_users(settings: Settings, database: Database) -> None:
    """Let the sample users log in with their documented passwords. Never in production; what somebody changed
    of them since stays.
    """
    if settings.is_production:
        return
    allowed = frozenset({Permission.ACCOUNTS_MAINTAIN})
    system = Principal("system:sample", frozenset(), HEAD_OFFICE, settings.units, system_permissions=allowed)
    with pool(database.url, 2) as connections:
        log, store = EventLog(connections), AccessStore(connections)
        handler = Handler(log)
        for sample in SAMPLE_USERS.values():
            is_known = log.load(USER, user_id(sample.name)).state.status is not Status.UNKNOWN
            if sample.org_unit not in settings.units or is_known:
                continue
            profile = Profile(sample.about, sample.org_unit, tuple(role.value for role in sample.roles))
            request = Request(system, "createUser", sample.name, key=f"sample user {sample.name}")
            handler(request, partial(users.create, username=sample.name, profile=profile))
            hash_ = passwords.hashed(sample_password(sample.name))
            store.set_password(sample.name, hash_, False, datetime.now(UTC))
