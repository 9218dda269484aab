"""What is approved of a webhook endpoint: where events are sent, which, and how much they tell."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from domain.shared.refusal import CommonRefusal, Fault
from domain.shared.text import name_faults

# --- Values ---------------------------------------------------------------

NAME_CHARACTERS_MAX = 100
URL_CHARACTERS_MAX = 2_000
TYPES_MAX = 200
EVERY_VERB = ".*"
_URL_CHARACTERS = re.compile(r"[!-~]+")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")

_NAT64 = ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ip_network("::/96")
_NEAR_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class Disclosure(StrEnum):
    """What an event tells only where it was asked for and approved: amounts of budgets, customers' ids and
    cards.
    """

    BUDGET = "budget"
    CUSTOMERS = "customers"


@dataclass(frozen=True, slots=True)
class WebhookContent:
    """`types` are public types of events, or every one of a kind: `activity.approved`, `activity.*`."""

    name: str
    url: str
    types: tuple[str, ...]
    discloses: tuple[Disclosure, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """`known_types` are those that may be sent; `may_disclose` is what the person who asks may read himself.
    `may_be_near` allows plain HTTP and private addresses: never in production.
    """

    known_types: frozenset[str]
    may_disclose: frozenset[Disclosure]
    may_be_near: bool = False


class WebhookRefusal(StrEnum):
    BAD_WEBHOOK_URL = "bad_webhook_url"
    WEBHOOK_URL_NOT_HTTPS = "webhook_url_not_https"
    PRIVATE_ADDRESS = "private_address"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    DISCLOSURE_NOT_YOURS = "disclosure_not_yours"
    ENDPOINT_NOT_APPROVED = "endpoint_not_approved"


# --- Rules ----------------------------------------------------------------


def content_faults(content: WebhookContent, rules: EndpointRules) -> Iterator[Fault]:
    """Everything that is wrong with a content, for who asks and in this house."""
    yield from name_faults(content.name, NAME_CHARACTERS_MAX, "name")
    yield from _url_faults(content.url, rules)
    yield from _type_faults(content.types, rules.known_types)
    for index, disclosure in enumerate(content.discloses):
        if disclosure in content.discloses[:index]:
            yield Fault(CommonRefusal.DUPLICATE, ("discloses", index))
        elif disclosure not in rules.may_disclose:
            refused = {"disclosure": disclosure.value}
            yield Fault(WebhookRefusal.DISCLOSURE_NOT_YOURS, ("discloses", index), refused)


def selects(content: WebhookContent, type_: str) -> bool:
    """Whether events of the public type are sent."""
    return type_ in content.types or type_.split(".", 1)[0] + EVERY_VERB in content.types


def is_public_address(address: str) -> bool:
    """Whether the IP address is one of the Internet at large: not of a private network, this machine, a link,
    a group or a use that is reserved; an IPv4 address inside an IPv6 one counts as itself.
    Source: the registries of special-purpose addresses, RFC 6890.
    """
    ip = ip_address(address.split("%", 1)[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public_address(str(inner))
        if ip in _NAT64:
            return is_public_address(str(ip_address(int(ip) & 0xFFFFFFFF)))
        if ip in _IPV4_COMPATIBLE:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _url_faults(url: str, rules: EndpointRules) -> Iterator[Fault]:
    if not url:
        yield Fault(CommonRefusal.REQUIRED, ("url",))
        return
    if len(url) > URL_CHARACTERS_MAX:
        yield Fault(CommonRefusal.TOO_LONG, ("url",), {"most": str(URL_CHARACTERS_MAX)})
        return
    parts = _parts(url)
    if parts is None or parts.hostname is None:
        yield Fault(WebhookRefusal.BAD_WEBHOOK_URL, ("url",))
        return
    if rules.may_be_near:
        return
    if parts.scheme != "https":
        yield Fault(WebhookRefusal.WEBHOOK_URL_NOT_HTTPS, ("url",))
    if not _may_be_public(parts.hostname):
        yield Fault(WebhookRefusal.PRIVATE_ADDRESS, ("url",))


def _parts(url: str) -> SplitResult | None:
    """The parts of an http(s) URL of ASCII characters with a host, without user, password and fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = parts.hostname or ""
    is_sound = (
        _URL_CHARACTERS.fullmatch(url) is not None
        and parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and "#" not in url
        and "\\" not in url
        and port != 0
        and (_is_address(host) or _HOST.fullmatch(host) is not None)
    )
    return parts if is_sound else None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _may_be_public(host: str) -> bool:
    """What can be told without asking for the name's addresses: that is done for each delivery."""
    if _is_address(host):
        return is_public_address(host)
    return "." in host and not host.rsplit(".", 1)[-1].isdigit() and not host.endswith(_NEAR_NAMES)


def _type_faults(types: tuple[str, ...], known: frozenset[str]) -> Iterator[Fault]:
    if not types:
        yield Fault(CommonRefusal.REQUIRED, ("types",))
    if len(types) > TYPES_MAX:
        yield Fault(CommonRefusal.TOO_MANY, ("types",), {"most": str(TYPES_MAX)})
        return
    kinds = {type_.split(".", 1)[0] + EVERY_VERB for type_ in known}
    for index, type_ in enumerate(types):
        if type_ in types[:index]:
            yield Fault(CommonRefusal.DUPLICATE, ("types", index))
        elif type_ not in known and type_ not in kinds:
            yield Fault(WebhookRefusal.UNKNOWN_EVENT_TYPE, ("types", index), {"type": type_})
