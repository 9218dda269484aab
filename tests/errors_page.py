"""docs/errors.md: every code that a client can be answered with, and what he does then.

`python -m tests.errors_page` writes it. Codes and sentences are the program's; where a code comes and what
helps is written here, for each list of refusals and for each code that says more.
"""

from collections.abc import Iterator
from pathlib import Path

from api.http_errors import SENTENCES
from api.messages import MESSAGES
from api.refusals import REFUSALS
from tests.api.test_messages import raised

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"

CORRECT = "Correct what `path` names, and send it again."
LOOK = "Read the thing again: it is not in the state for this."
SIGN_IN = "Sign in again."
LATER = "Try again after `Retry-After`."
DOCUMENT = "Correct the document or its variables; trying again does not help."
ADMINISTRATOR = "Ask an administrator."
TECHNICAL = "Tell the technical staff the request id."

OF_LISTS = {
    "CommonRefusal": ("every command", CORRECT),
    "CatalogueRefusal": ("catalogues and departments", "Look at the tree as it is, then correct the input."),
    "FieldRefusal": ("fields of forms and rewards", CORRECT),
    "PlanRefusal": ("plans of activities", CORRECT),
    "ActivityRefusal": ("activities", LOOK),
    "ApprovalRefusal": (
        "approvals",
        "Read the approval again: decide upon what is there now.",
    ),
    "ContentRefusal": ("work orders", "Choose an activity and groups that are ready for it."),
    "WorkOrderRefusal": ("work orders", LOOK),
    "CancellationRefusal": ("requests to cancel", LOOK),
    "FiguresRefusal": ("figures of activities", "Link a group or let it be counted first."),
    "GroupRefusal": ("customer groups", CORRECT),
    "RuleRefusal": ("rules of customer groups", CORRECT),
    "BudgetRefusal": ("budgets", "Plan within the budget, or have a larger one approved."),
    "HoldingRefusal": ("budgets and stocks", LOOK),
    "StockRefusal": ("stocks", LOOK),
    "TermsRefusal": ("points jobs", CORRECT),
    "JobRefusal": ("points jobs", LOOK),
    "LedgerRefusal": ("points", CORRECT),
    "SegmentRefusal": ("segment definitions", CORRECT),
    "DefinitionRefusal": ("segment definitions", LOOK),
    "GrantRefusal": ("grants of sources", "See `dataSources` for what there is and what is granted."),
    "RunRefusal": ("segment runs", LOOK),
    "RetentionRefusal": ("results", "Wait: before its time nobody deletes it."),
    "ParameterRefusal": ("parameters of runs", CORRECT),
    "SqlRefusal": ("SQL of segment definitions", "Correct the SQL at the place that `message` names."),
    "RewardRefusal": ("rewards", "Stay within the frame of the reward type."),
    "TimeframeRefusal": ("schedules and timeframes", CORRECT),
    "UserRefusal": ("users", CORRECT),
    "ServiceAccountRefusal": ("service accounts", CORRECT),
    "DelegationRefusal": ("delegations", CORRECT),
    "ErasureRefusal": ("requests to erase a person", LOOK),
    "ScheduleRefusal": ("run schedules", "Choose a time that comes."),
    "WebhookRefusal": ("webhooks", CORRECT),
}
"""Of each list of refusals: where its codes come, and what helps."""

OF_CODES = {
    "NOT_FOUND": "It does not exist, or not for you: check the id and your units.",
    "OTHER_UNITS": "Only its unit changes it: ask there, or for a delegation.",
    "VERSION_CONFLICT": "Somebody was faster: read it again, decide anew, send the new `expectedVersion`.",
    "KEY_REUSED": "Another input had this key: take a new key for a new command.",
    "BAD_KEY": "Send 1 to 255 printable ASCII characters as the key.",
    "CARD_NUMBER_IN_TEXT": "Take the card number out of the text.",
    "SEPARATION_OF_DUTIES": "Somebody who did not make it must decide.",
    "SECOND_PERSON_NEEDED": "Somebody else must confirm it.",
    "RUN_ALREADY_LIVE": "Wait for the run that is under way, or terminate it.",
    "CUSTOMERS_UNAVAILABLE": "Try again later: the warehouse does not answer.",
    "OWN_ACCOUNT": "Another administrator must do it.",
    "WITHDRAW_FIRST": "Withdraw it from approval, then try again.",
}
"""Refusals that say more than their list does."""

ERRORS = {
    "TOKEN_MISSING": ("401, 4401", "Send `Authorization: Bearer …`."),
    "TOKEN_EXPIRED": ("401, 4403", "Refresh the token, or sign in again."),
    "TOKEN_REVOKED": ("401, 4403", SIGN_IN),
    "TOKEN_UNTRUSTED": ("401, 4403", SIGN_IN),
    "ACCOUNT_CLOSED": ("401; 403 at the login", ADMINISTRATOR),
    "NOT_DELEGATED": ("403", "Leave out `X-Acting-For`, or ask that unit for a delegation."),
    "NO_ROLE": ("403, 4403", ADMINISTRATOR),
    "FORBIDDEN": ("403, GraphQL", "Ask somebody with one of the roles that `message` names."),
    "INTROSPECTION_FORBIDDEN": ("403, GraphQL", "Compile against the committed schema."),
    "RIGHTS_CHANGED": ("4403, end of a stream", "Sign in again and subscribe anew."),
    "HTTPS_REQUIRED": ("403", "Use the address with https."),
    "SIGNATURE_REFUSED": ("401 of /partners", "Sign all three parts, now, by a key that we have."),
    "MESSAGE_REPLAYED": ("409 of /partners", "Sign a new message with a new nonce."),
    "FILE_NOT_TAKEN": ("409 of /partners", "Take the file first; check its name."),
    "ANSWERED_OTHERWISE": ("409 of /partners", "Leave it: the first acknowledgement counts."),
    "LOGIN_REFUSED": ("401 of /login", "Check name and password."),
    "LOCKED_OUT": ("429 of /login", "Wait for `Retry-After`, or ask an administrator to unlock."),
    "PASSWORD_CHANGE_REQUIRED": ("403 of /login", "POST /password, then log in."),
    "PASSWORD_REFUSED": ("422 of /password", "Choose another: `faults` say why."),
    "SESSION_OVER": ("401 of /refresh", SIGN_IN),
    "CLIENT_REFUSED": ("401 of /token", "Check id and secret: `invalid_client`."),
    "SCOPE_REFUSED": ("400 of /token", "Ask for granted scopes only: `invalid_scope`."),
    "TOO_MANY_REQUESTS": ("429", LATER),
    "RATE_LIMITED": ("429", "Wait for `Retry-After`; ask for less: see `extensions.cost`."),
    "TOO_MANY_AT_ONCE": ("429", "Wait for the answers under way."),
    "BAD_REQUEST": ("400", "Correct the form of the request; trying again does not help."),
    "BAD_INPUT": ("400, GraphQL", DOCUMENT),
    "INVALID_INPUT": ("400, 422 of REST", "Correct what `errors` name, and send it with a new key."),
    "LIMIT_EXCEEDED": ("400, GraphQL", "Ask for less at once: docs/api.md lists the limits."),
    "POSITION_ABANDONED": ("GraphQL", "Begin anew: read from the first event, or from an earlier position."),
    "BAD_PAGE_SIZE": ("GraphQL", "Give `first` or `last` within the range."),
    "BAD_CURSOR": ("GraphQL, 400 of REST", "Begin at the first page, in the order that you want."),
    "BAD_AS_OF": ("GraphQL", "Give a position or a time."),
    "OPERATION_UNCLEAR": ("400", "Name the operation in `operationName`."),
    "SUBSCRIBE_BY_WEBSOCKET": ("400", "Subscribe by WebSocket or `text/event-stream`."),
    "KEY_REQUIRED": ("GraphQL, 400 of REST", "Send an `Idempotency-Key`, a new one for each command."),
    "KEY_FOR_ONE": ("GraphQL", "Send one mutation for one key, or give each its `@idempotent(key:)`."),
    "KEYS_DIFFER": ("GraphQL", "Give the key once: in the header, or in `@idempotent`."),
    "PERSISTED_QUERY_NOT_FOUND": ("GraphQL", "Send the document once with its digest."),
    "DOCUMENT_NOT_REGISTERED": ("403", "Register the document: `cardinal documents register`."),
    "DOCUMENT_HASH_MISMATCH": ("400", "Send the SHA-256 of the document as it is."),
    "METHOD_NOT_ALLOWED": ("405", "Use a method of `Allow`; mutations go by POST."),
    "UNSUPPORTED_MEDIA_TYPE": ("415", "Send `application/json` in UTF-8."),
    "BODY_TOO_LARGE": ("413", "Send less at once."),
    "BODY_TOO_SLOW": ("408", "Send the body within its time."),
    "TOO_MANY_HEADERS": ("431", "Send fewer headers."),
    "BEHIND": ("503", "Try again: what you wait for is not projected yet."),
    "TOO_SLOW": ("503, GraphQL", "Ask for less: a narrower filter, smaller pages."),
    "UNAVAILABLE": ("503, GraphQL", LATER),
    "SLOW_SUBSCRIBER": ("1013, end of a stream", "Subscribe again `after` the position that is told."),
    "INTERNAL": ("500, GraphQL", TECHNICAL),
    "BAD_FILTER": ("400 of exports", "Give the JSON of the list's filter."),
    "EXPORT_TOO_LARGE": ("422 of exports", "Narrow the filter."),
    "EXPORTS_BUSY": ("503 of exports", LATER),
    "NO_FILE": ("409 of exports", "Wait until the job has the file, or see why it may not leave."),
    "FILE_LOST": ("422 of exports", TECHNICAL),
    "RESULT_UNUSABLE": ("422 of exports", TECHNICAL),
    "PREVIEW_FAILED": ("GraphQL", "Make the rule smaller, or try again."),
    "PREVIEWS_BUSY": ("GraphQL", "Try again in some seconds."),
    "LIST_UNUSABLE": ("GraphQL", "Let the activity be counted again."),
}
"""The codes of errors that are no refusals: the status of HTTP or of a WebSocket's close, and what helps."""


INTRODUCTION = """\
# Error codes

A code is stable and means one thing everywhere; sentences may change, and come in Chinese or English by
`Accept-Language`. An *error* ends a request or an operation: `errors[].extensions.code` with a `requestId`;
in REST it is the `code` of the problem. A *refusal* is one fault of a command, among `userErrors` with its
`path` (in REST among the `errors` of INVALID_INPUT, or the problem itself): nothing was recorded. Numbers
are statuses of HTTP, those of four digits closes of a WebSocket. Made by `python -m tests.errors_page`; a
test compares the two.
"""


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Code, kind, where, and what to do."""
    refusals = {member.name for refusal in REFUSALS for member in refusal}
    codes = {str(code) for code in raised()} | SENTENCES.keys()
    assert codes - refusals == ERRORS.keys(), codes - refusals ^ ERRORS.keys()
    assert OF_CODES.keys() <= refusals, OF_CODES.keys() - refusals
    for code in sorted(ERRORS):
        yield code, "error", *ERRORS[code]
    for refusal in REFUSALS:
        where, help_ = OF_LISTS[refusal.__name__]
        for member in refusal:
            yield member.name, "refusal", where, OF_CODES.get(member.name, help_)


def page() -> str:
    lines = [
        INTRODUCTION,
        "| code | kind | where | 中文 | English | what to do |",
        "|---|---|---|---|---|---|",
    ]
    for code, kind, where, help_ in rows():
        chinese, english = MESSAGES[code.lower()] if code.lower() in MESSAGES else SENTENCES[code]
        cells = (f"`{code}`", kind, where, chinese, english, help_)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
