"""The settings of webhooks."""

from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings_values import setting


class WebhookSettings(BaseSettings):
    """A part of `Settings`."""

    webhook_key: Path | None = setting(
        "CARDINAL_WEBHOOK_KEY",
        None,
        "a file",
        "Enciphers webhooks' secrets; API and worker share it. None: `webhook-key` in CARDINAL_HOME.",
    )
    webhooks_near: bool = setting(
        "CARDINAL_WEBHOOKS_NEAR",
        False,
        "`true` or `false`",
        "Whether webhooks may go to private addresses and by plain HTTP; never in production.",
    )

    @field_validator("webhook_key")
    @classmethod
    def _from_here(cls, path: Path | None) -> Path | None:
        return None if path is None else Path(path).expanduser().absolute()
