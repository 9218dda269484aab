"""What webhooks ask of the table of deliveries and of those who keep secrets."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event that was to be sent to one endpoint."""

    endpoint: UUID
    event: UUID


class WebhookDesk(Protocol):
    """What goes with commands on endpoints. A secret is told once; what is kept of it is enciphered."""

    @property
    def may_be_near(self) -> bool:
        """Whether endpoints may have private addresses and plain HTTP: never in production."""
        ...

    def new_secret(self, secret: UUID) -> str:
        """Make the secret of that id: `whsec_` and 32 random bytes in base64."""
        ...

    def delivery(self, delivery: UUID) -> Delivery | None:
        """Which event was to go where; None for an id that nobody gave."""
        ...
