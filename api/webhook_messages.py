"""What people read of the refusals of webhook endpoints."""

from collections.abc import Mapping

WEBHOOK_MESSAGES: Mapping[str, tuple[str, str]] = {
    "bad_webhook_url": (
        "须为完整的网址，不含用户名、密码和“#”。",
        "It must be a full URL without user, password and #.",
    ),
    "webhook_url_not_https": ("网址须以 https:// 开头。", "The URL must begin with https://."),
    "private_address": (
        "不得指向内网或本机地址。",
        "It must not be an address of a private network or of this machine.",
    ),
    "unknown_event_type": (
        "没有事件类型“{type}”；可用类型见 docs/asyncapi.json。",
        "There is no event type {type}; docs/asyncapi.json has those that there are.",
    ),
    "disclosure_not_yours": (
        "您无权查看此项内容（{disclosure}），不能让端点获得。",
        "You may not read {disclosure} yourself, so you can't have it sent.",
    ),
    "endpoint_not_approved": (
        "该端点尚未批准：请先提交，并由研发、科技两级批准。",
        "This endpoint is not approved: submit it, and have both levels approve it.",
    ),
}
"""Code in lower case to (zh, en), as in `messages`."""
