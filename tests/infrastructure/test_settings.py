"""Settings: each variable is read, a faulty one is named, and what is secret stays so."""

from datetime import timedelta
from pathlib import Path

import pytest

from application.access import Role
from domain.approvals import Level
from infrastructure.settings import Settings, SettingsFault
from infrastructure.settings_page import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"
SECRET = "s3cret-Wort"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        assert field.alias is not None
        monkeypatch.delenv(field.alias, raising=False)


def test_without_any_variable_it_is_development_on_this_machine_only() -> None:
    settings = Settings.read()
    assert (settings.environment, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.home == Path(".cardinal").absolute()
    assert settings.database_url is None
    assert settings.units == {"HO", "SH", "SZ"}
    assert settings.approval_policy.decide_within == timedelta(days=14)
    settings.require_issuer()


def test_variables_are_read_and_an_empty_one_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDINAL_PORT", "9001")
    monkeypatch.setenv("CARDINAL_HOST", "")
    monkeypatch.setenv("CARDINAL_ORG_UNITS", "HO: Head office, BJ:Beijing")
    monkeypatch.setenv("CARDINAL_APPROVAL_LEVELS", "activity:technology,work_order:research+technology")
    monkeypatch.setenv("CARDINAL_TOKEN_ALGORITHMS", "ES256")
    monkeypatch.setenv("CARDINAL_REGISTERED_ONLY_ROLES", "operator, researcher")
    settings = Settings.read()
    assert (settings.port, settings.host) == (9001, "127.0.0.1")
    assert settings.org_units == {"HO": "Head office", "BJ": "Beijing"}
    assert settings.approval_policy.levels_of("activity") == (Level.TECHNOLOGY,)
    assert settings.approval_policy.levels_of("something_else") == (Level.RESEARCH, Level.TECHNOLOGY)
    assert settings.token_algorithms == ("ES256",)
    assert settings.registered_only_roles == {Role.OPERATOR, Role.RESEARCHER}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CARDINAL_ENV", "prod"),
        ("CARDINAL_PORT", "80000"),
        ("CARDINAL_PORT", "http"),
        ("DATABASE_URL", "mysql://cardinal@localhost/cardinal"),
        ("DATABASE_URL", f"postgresql://cardinal:{SECRET}@[broken/cardinal"),
        ("BROKER_URL", f"kafka://cardinal:{SECRET}@broker"),
        ("BROKER_URL", f"redis://cardinal:{SECRET}@broker"),
        ("CARDINAL_JWKS_URL", "http://issuer.example/keys"),
        ("CARDINAL_JWKS_URL", "file:///etc/passwd"),
        ("CARDINAL_TOKEN_ALGORITHMS", "RS256,HS256"),
        ("CARDINAL_TOKEN_ALGORITHMS", "none"),
        ("CARDINAL_TOKEN_LIFE_MAX_H", "0"),
        ("CARDINAL_TOKEN_ROLES", "PLANNERS:root"),
        ("CARDINAL_TOKEN_ROLES", "PLANNERS:operator,PLANNERS:auditor"),
        ("CARDINAL_TOKEN_ORG_UNITS", "3100"),
        ("CARDINAL_ORG_UNITS", "SH:Shanghai"),
        ("CARDINAL_ORG_UNITS", "HO:Head office,HO:Again"),
        ("CARDINAL_ORG_UNITS", "HO:Head office,bad code:x"),
        ("CARDINAL_ORG_UNITS", "HO"),
        ("CARDINAL_TIME_ZONE", "Mars/Olympus"),
        ("CARDINAL_APPROVAL_LEVELS", "activity:everybody"),
        ("CARDINAL_APPROVAL_LEVELS", "activity:technology+research"),
        ("CARDINAL_APPROVAL_LEVELS", "activity:research+research"),
        ("CARDINAL_LOG_LEVEL", "loud"),
        ("CARDINAL_BODY_BYTES_MAX", "12"),
        ("CARDINAL_RATE_CAPACITY", "999"),
        ("CARDINAL_RATE_RESTORED_PER_S", "0"),
        ("CARDINAL_REGISTERED_ONLY_ROLES", "operator,clerk"),
    ],
)
def test_a_faulty_variable_is_named_with_what_is_expected_and_never_its_value(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsFault) as refused:
        Settings.read({variable: value})
    (line,) = refused.value.faults
    assert line.startswith(f"{variable} must be ")
    assert SECRET not in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsFault) as refused:
        Settings.read({"CARDINAL_PORT": "x", "CARDINAL_ENV": "x", "CARDINAL_LOG_FORMAT": "x"})
    assert [line.split()[0] for line in refused.value.faults] == [
        "CARDINAL_ENV",
        "CARDINAL_PORT",
        "CARDINAL_LOG_FORMAT",
    ]


def test_addresses_with_passwords_are_not_shown() -> None:
    address = f"postgresql://cardinal:{SECRET}@localhost/cardinal"
    settings = Settings.read(
        {"DATABASE_URL": address, "DATABASE_OWNER_URL": address, "BROKER_URL": f"amqp://a:{SECRET}@b"}
    )
    assert SECRET not in repr(settings) + str(settings) + str(settings.model_dump())
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == address


def test_production_names_an_issuer_and_its_keys() -> None:
    with pytest.raises(SettingsFault) as refused:
        Settings.read({"CARDINAL_ENV": "production"}).require_issuer()
    assert [line.split()[0] for line in refused.value.faults] == [
        "CARDINAL_JWKS_URL",
        "CARDINAL_TOKEN_ISSUER",
    ]
    Settings.read(
        {
            "CARDINAL_ENV": "production",
            "CARDINAL_JWKS_URL": "https://issuer.example/keys",
            "CARDINAL_TOKEN_ISSUER": "https://issuer.example",
        }
    ).require_issuer()
    found = {"CARDINAL_ENV": "production", "CARDINAL_TOKEN_ISSUER": "https://issuer.example"}
    Settings.read(found).require_issuer()
    for plain in (
        {**found, "CARDINAL_JWKS_URL": "http://127.0.0.1/keys"},
        {**found, "CARDINAL_TOKEN_ISSUER": "http://127.0.0.1"},
    ):
        with pytest.raises(SettingsFault, match="must be an https:// address in production"):
            Settings.read(plain).require_issuer()


def test_the_issuers_names_of_roles_and_units_are_mapped_to_ours() -> None:
    """SYS-03"""
    given = {"CARDINAL_TOKEN_ROLES": "urn:bank:cc:1:operator, Audit Staff:auditor"}
    settings = Settings.read({**given, "CARDINAL_TOKEN_ORG_UNITS": "3100:SH"})
    assert settings.roles_named == {"urn:bank:cc:1": Role.OPERATOR, "Audit Staff": Role.AUDITOR}
    assert settings.org_units_named == {"3100": "SH"}


def test_the_page_tells_of_every_setting_as_it_is() -> None:
    assert DOCUMENT.read_text() == page(), "make it anew: cardinal settings > docs/settings.md"
