"""Errors of the HTTP layer in the form of GraphQL's, or of REST's: a code, a sentence in zh or en, the
request's id.
"""

from collections.abc import Mapping

import orjson
from starlette.responses import Response
from starlette.types import Scope

from api.messages import Language, language_of

SENTENCES: Mapping[str, tuple[str, str]] = {
    "TOKEN_MISSING": (
        "请先登录：请求未携带令牌（请求头 Authorization: Bearer …）。",
        "Sign in first: the request has no bearer token (header Authorization: Bearer …).",
    ),
    "TOKEN_EXPIRED": ("令牌已过期，请重新登录。", "The token has expired: sign in again."),
    "TOKEN_UNTRUSTED": ("令牌不可信，请重新登录。", "The token is not trusted: sign in again."),
    "TOKEN_REVOKED": ("令牌已被吊销，请重新登录。", "The token was revoked: sign in again."),
    "ACCOUNT_CLOSED": (
        "该账户已停用或锁定，请联系管理员。",
        "The account is disabled or locked: ask an administrator.",
    ),
    "NOT_DELEGATED": ("该机构未委托您办理。", "That unit has delegated nothing to you."),
    "TOO_MANY_REQUESTS": ("请求过于频繁，请稍后再试。", "Too many requests: try again later."),
    "LOGIN_REFUSED": ("用户名或密码不正确。", "The user name or the password is wrong."),
    "LOCKED_OUT": (
        "尝试次数过多，请稍后再试。",
        "There were too many attempts: wait before the next one.",
    ),
    "PASSWORD_CHANGE_REQUIRED": (
        "请先修改密码（POST /password）。",
        "Change the password first (POST /password).",
    ),
    "PASSWORD_REFUSED": (
        "新密码不符合要求：至少 12 个字符，不易猜测，不含姓名，且未曾用过。",
        "The new password is not taken: 12 characters or more, hard to guess, without your name, never had.",
    ),
    "SESSION_OVER": ("会话已结束，请重新登录。", "The session is over: sign in again."),
    "CLIENT_REFUSED": ("客户端标识或密钥不正确。", "The client's id or secret is wrong."),
    "SCOPE_REFUSED": ("请求了未授予的权限范围。", "A scope was asked for that is not granted."),
    "HTTPS_REQUIRED": ("仅支持 HTTPS 访问。", "Come over HTTPS: plain HTTP can be read by others."),
    "SIGNATURE_REFUSED": (
        "报文签名无效或已过期。",
        "The message's signature is missing, wrong or too old.",
    ),
    "MESSAGE_REPLAYED": ("该报文已接收过。", "This message came before: sign a new one with a new nonce."),
    "FILE_NOT_TAKEN": (
        "该文件未曾发送或尚未取走。",
        "No such file was handed over, or it was not taken yet.",
    ),
    "ANSWERED_OTHERWISE": ("该文件已有不同的回执。", "The file was acknowledged before, with other content."),
    "BAD_REQUEST": ("请求格式不正确。", "The request is malformed."),
    "NOT_FOUND": ("没有此地址。", "There is nothing at this address."),
    "METHOD_NOT_ALLOWED": ("该地址不支持此方法。", "This address has no such method."),
    "BODY_TOO_LARGE": ("请求内容过大。", "The body of the request is too large."),
    "BODY_TOO_SLOW": ("请求内容未在时限内送达。", "The body of the request did not come in time."),
    "UNSUPPORTED_MEDIA_TYPE": ("请以 UTF-8 的 JSON 发送。", "Send JSON in UTF-8."),
    "TOO_MANY_HEADERS": ("请求头过多。", "The request has too many headers."),
    "RATE_LIMITED": ("请求过于频繁，请稍后再试。", "You ask for too much in a short time: try again later."),
    "TOO_MANY_AT_ONCE": (
        "同时进行的请求过多，请稍后再试。",
        "Too many of your requests are under way: try again when they are answered.",
    ),
    "DOCUMENT_NOT_REGISTERED": (
        "您的角色只能使用已登记的查询文档。",
        "Your role may run documents only that were registered.",
    ),
    "DOCUMENT_HASH_MISMATCH": (
        "查询文档与其 sha256 不符。",
        "The document does not have the sha256 that was sent with it.",
    ),
    # Clients of automatic persisted queries know this one by its words.
    "PERSISTED_QUERY_NOT_FOUND": ("PersistedQueryNotFound", "PersistedQueryNotFound"),
    "INTROSPECTION_FORBIDDEN": ("您无权查看接口结构。", "You may not read the schema."),
    "TOO_SLOW": ("查询耗时过长，请缩小范围。", "The query takes too long: ask for less."),
    "BEHIND": (
        "尚未同步到所要求的位置，请稍后再试。",
        "The position asked for is not reached yet: try again.",
    ),
    "UNAVAILABLE": ("服务暂不可用，请稍后再试。", "The service is unavailable for the moment: try again."),
    "NO_ROLE": ("您没有任何角色，请联系管理员。", "You have no role here: ask an administrator."),
    "FORBIDDEN": ("您没有此操作的权限。", "You have no permission for this."),
    "BAD_FILTER": (
        "筛选条件不正确：须为 GraphQL 列表的 JSON 筛选。",
        "The filter is no filter: give the JSON of the list's filter in GraphQL.",
    ),
    "EXPORT_TOO_LARGE": ("行数过多，请缩小筛选范围。", "There are too many rows: narrow the filter."),
    "EXPORTS_BUSY": ("正在导出其他文件，请稍后再试。", "Other files are being made: try again soon."),
    "OPERATION_UNCLEAR": (
        "文档须以 operationName 指明其中一个操作。",
        "Name one of the document's operations in operationName.",
    ),
    "SUBSCRIBE_BY_WEBSOCKET": ("订阅请使用 WebSocket。", "Subscriptions go by WebSocket."),
    "NO_RESULT": ("该执行没有结果。", "The run has no result."),
    "NO_FILE": ("该任务没有可下载的文件。", "The job has no such file, or none that may leave."),
    "FILE_LOST": (
        "文件已丢失且无法重新生成，请联系技术人员。",
        "The file is lost and can't be made again: ask the technical staff.",
    ),
    "RESULT_UNUSABLE": (
        "结果无法按映射导出，请联系技术人员。",
        "The result can't be written by this mapping: ask the technical staff.",
    ),
    "INVALID_INPUT": ("输入有误，详见 errors。", "The input is refused: see errors."),
    "INTERNAL": ("系统内部错误，请凭请求号联系管理员。", "An internal fault: quote the request id."),
}
"""Code to (zh, en)."""


REST_PREFIX = "/v1/"
PROBLEM = "application/problem+json"


class Malformed(Exception):
    """The request is not answered: an HTTP status and a code of SENTENCES; of 405 the methods of `allow`."""

    def __init__(self, status: int, code: str, allow: str = "") -> None:
        super().__init__(code)
        self.status, self.code = status, code
        self.headers: Mapping[str, str] = {"Allow": allow} if allow else {}


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that name, in lower case; None when there is none."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def sentence(code: str, language: Language) -> str:
    chinese, english = SENTENCES[code]
    return chinese if language == "zh" else english


def error_response(
    scope: Scope,
    status: int,
    code: str,
    headers: Mapping[str, str] = {},
    media_type: str = "application/json",
    extensions: Mapping[str, object] = {},
    details: Mapping[str, object] = {},
) -> Response:
    """`code` is one of SENTENCES; nothing else about the fault leaves the house but its `details`.
    `extensions` are those of the whole answer. REST gets problem details.
    """
    if scope["path"].startswith(REST_PREFIX):
        return problem_response(scope, status, code, headers=headers, more={**extensions, **details})
    language = language_of(header(scope, b"accept-language"))
    told = {"code": code, "requestId": request_id(scope), **details}
    answer: dict[str, object] = {"errors": [{"message": sentence(code, language), "extensions": told}]}
    if extensions:
        answer["extensions"] = extensions
    sent = {**headers, "Content-Language": language, "Cache-Control": "no-store"}
    return Response(orjson.dumps(answer), status, sent, media_type)


def problem_response(
    scope: Scope,
    status: int,
    code: str,
    title: str | None = None,
    headers: Mapping[str, str] = {},
    more: Mapping[str, object] = {},
) -> Response:
    """Problem details with our code and the request's id. Source: RFC 9457, section 3."""
    language = language_of(header(scope, b"accept-language"))
    told = {
        "type": f"urn:cardinal:problem:{code}",
        "title": sentence(code, language) if title is None else title,
        "status": status,
        "code": code,
        "requestId": request_id(scope),
        **more,
    }
    sent = {**headers, "Content-Language": language, "Cache-Control": "no-store"}
    return Response(orjson.dumps(told), status, sent, PROBLEM)
