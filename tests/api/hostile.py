"""Hostile requests to /graphql, the same for the same seed: what breaks parsers, limits and assumptions."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson

JSON = "application/json"
SOUND = (
    "{ costTypes(first: 3) { nodes { id name } pageInfo { endCursor } } }",
    "query Q($f: CostTypeFilter, $n: Int) { costTypes(filter: $f, first: $n) { totalCount nodes { id } } }",
    "query N($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }",
    "{ activities(orderBy: [STARTS_AT_DESC]) { nodes { id activityType { path } costLines { note } } } }",
    "query A($at: AsOf) { activities(asOf: $at, first: 2) { edges { cursor node { id } } } }",
    "{ events(first: 2) { events { id type data activity { name } } hasMore } }",
    "mutation M($i: AddCostTypeInput!) { addCostType(input: $i) { userErrors { code path } } }",
    'mutation { removeCostType(input: {id: "ct_x"}) { position userErrors { code } } }',
    '{ node(id: "ac_x") { ... on Activity { name history { nodes { sequence } } } } }',
    "{ __schema { types { name fields { name type { ofType { name } } } } } }",
    "query D($id: ID!) { diff(id: $id, since: 1, until: 2) { path } }",
)
TEXTS = (
    "",
    "\0",
    "\x01\x1b[31m",
    "\u202e",
    "\ufeff",
    "'; drop table log.events; --",
    "%_\\",
    "${7*7}",
    "{{7*7}}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "𝔘" * 300,
    "a" * 20_000,
    "é\u0301" * 50,
    "4111111111111111",
    "null",
    "NaN",
    "-0",
    "0x10",
    "1e400",
    "\r\nX-Injected: 1",
    "🏦",
    "\U0010ffff",
    "\ud7ff\ue000",
)
NUMBERS = (0, -1, 101, 2**31, 2**70, 1.5, "1")
CONTENT_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "",
    "application/graphql",
    "application/json; charset=utf-16",
    "application/json; charset",
    "application/json;;;",
    "*/*",
    "é",
    "text/plain; application/json",
    "application/jsonx",
    "APPLICATION/JSON; CHARSET=UTF-7",
    "application/json, text/plain",
)
HEADERS = (
    "accept",
    "accept-language",
    "authorization",
    "idempotency-key",
    "x-request-id",
    "accept-encoding",
    "cookie",
    "x-forwarded-for",
    "content-encoding",
    "if-none-match",
    "range",
)
INSTANTS = ("position", "time", "version", "x")
TIMES = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "2026-02-03")
WORDS = (
    *"{}()[]:!=|&@$,#\"\\'`. \n\t\0é",
    "...",
    "on",
    "query",
    "mutation",
    "fragment",
    "subscription",
    '"""',
    "true",
    "null",
    "-1",
    "1e9",
    "$f",
    "@skip",
    "@include(if: true)",
    "__typename",
    "__schema",
    "costTypes",
    "(first: 1)",
    "99999999999999999999",
    "# x",
    "...F",
)


@dataclass(frozen=True)
class Hostile:
    """One request; `kind` is the function that made it."""

    kind: str
    method: str = "POST"
    target: str = "/graphql"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def hostile(seed: int, count: int) -> Iterator[Hostile]:
    """`count` requests, each kind in turn."""
    chance = random.Random(seed)
    for number in range(count):
        yield KINDS[number % len(KINDS)](chance)


def _posted(kind: str, query: object, **more: Any) -> Hostile:
    body = json.dumps({"query": query, **more}).encode()  # which goes deeper than orjson
    return Hostile(kind, body=body, headers={"content-type": JSON})


def bytes_that_are_no_json(chance: random.Random) -> Hostile:
    sound = orjson.dumps({"query": chance.choice(SOUND), "variables": {"f": {"name": {"eq": "é"}}}})
    cut = chance.randrange(len(sound))
    body = chance.choice(
        [
            chance.randbytes(chance.randrange(200)),
            sound[:cut],
            sound[:cut] + chance.randbytes(3) + sound[cut:],
            sound[:cut]
            + chance.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
            + sound[cut:],
            b"\xef\xbb\xbf" + sound,
            sound.decode().encode("utf-16"),
            sound + sound,
            sound.replace(b'"query"', b'"\\ud800"'),
            b'{"query": "\\ud800{ a }"}',
            b'{"query": "{ a }", "variables": {"x": NaN}}',
            b"[" * chance.choice([10, 1_000, 100_000]),
            b'{"query":' * chance.choice([10, 1_000, 50_000]),
        ]
    )
    return Hostile("bytes_that_are_no_json", body=body, headers={"content-type": JSON})


def members_of_other_kinds(chance: random.Random) -> Hostile:
    def anything() -> Any:
        return chance.choice(
            [None, True, 0, -1, 1.5, 2**63, "", "x", [], ["x"], {}, {"a": {}}, [[[]]], "{ a }"]
        )

    names = ("query", "variables", "operationName", "extensions", "documentId", "id", "__proto__")
    body = {name: anything() for name in chance.sample(names, chance.randrange(1, 6))}
    if chance.random() < 0.5:
        body["query"] = chance.choice(SOUND)
    if chance.random() < 0.3:
        body["extensions"] = chance.choice(
            [{"minPosition": anything()}, {"persistedQuery": anything()},
             {"persistedQuery": {"version": 1, "sha256Hash": chance.choice(TEXTS)}}]
        )  # fmt: skip
    return Hostile("members_of_other_kinds", body=orjson.dumps(body), headers={"content-type": JSON})


def batches(chance: random.Random) -> Hostile:
    many = [{"query": chance.choice(SOUND)}] * chance.choice([1, 2, 1_000])
    body = orjson.dumps(chance.choice([many, [many], [], [None], [1]]))
    return Hostile("batches", body=body, headers={"content-type": JSON})


def overloads(chance: random.Random) -> Hostile:
    many = chance.choice([30, 61, 500, 3_000])
    make = chance.choice(
        [
            lambda: "{ " + " ".join(f"a{n}: __typename" for n in range(many)) + " }",
            lambda: "{ " + "__typename " * many + "}",
            lambda: "{ " + "costTypes { nodes { id } } " * (many // 8) + "}",
            lambda: "{ __typename " + "@include(if: true) " * many + "}",
            lambda: "query ($f: Boolean = true) { " + "... @skip(if: $f) { __typename } " * (many // 8) + "}",
            lambda: "query (" + " ".join(f"$v{n}: Int" for n in range(many)) + ") { __typename }",
            lambda: " ".join(f"query Q{n} {{ __typename }}" for n in range(many)),
            lambda: "{ a } " * many,
            lambda: "# " + "x\n#" * many,
            lambda: "," * many * 10 + "{ __typename }",
            lambda: '{ node(id: "' + "x" * many * 10 + '") { id } }',
            lambda: '{ node(id: """' + "\n  x" * many + '""") { id } }',
            lambda: "{ nodes(ids: [" + '"x" ' * many + "]) { id } }",
            lambda: "{ costTypes(filter: {name: {in: [" + '"x" ' * many + "]}}) { totalCount } }",
            lambda: "{ costTypes(orderBy: [" + "NAME_ASC " * many + "]) { totalCount } }",
            lambda: "{ costTypes(first: " + "9" * many + ") { totalCount } }",
            lambda: "{ " + "x" * many * 10 + " }",
            lambda: "{ costTypes { " + " ".join(f"nodes {{ x{n} }}" for n in range(many // 4)) + " } }",
        ]
    )
    return _posted("overloads", make())


def depths(chance: random.Random) -> Hostile:
    deep = chance.choice([6, 13, 100, 400, 1_900])
    make = chance.choice(
        [
            lambda: "{ a " * deep + "}" * deep,
            lambda: "{ a " * deep,
            lambda: "{ activityTypes { " + "nodes { children { " * deep + "x" + " } }" * deep + " } }",
            lambda: "{ ... " * deep + "{ __typename } " + "}" * deep,
            lambda: "{ costTypes(filter: " + "{not: " * deep + "{}" + "}" * deep + ") { totalCount } }",
            lambda: "{ costTypes(filter: " + "{and: [" * deep + "{}" + "]}" * deep + ") { totalCount } }",
            lambda: "{ costTypes(orderBy: " + "[" * deep + "]" * deep + ") { totalCount } }",
            lambda: "query ($x: " + "[" * deep + "Int" + "]" * deep + ") { __typename }",
            lambda: "{ __schema { types { " + "fields { type { " * deep + "name" + " } }" * deep + " } } }",
            lambda: "{ __type(name: \"Query\") { " + "ofType { " * deep + "name" + " }" * deep + " } }",
        ]
    )  # fmt: skip
    return _posted("depths", make())


def fragments(chance: random.Random) -> Hostile:
    many = chance.choice([3, 30, 99, 101, 400])
    chain = chance.randrange(1, 4)
    make = chance.choice(
        [
            lambda: "{ ...F } fragment F on Query { ...F }",
            lambda: (
                "{ ...F0 } "
                + " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % many} }}" for n in range(many))
            ),
            lambda: (
                "{ ...F0 } "
                + " ".join(f"fragment F{n} on Query {{ {f'...F{n + 1} ' * chain} }}" for n in range(many))
                + f" fragment F{many} on Query {{ __typename }}"
            ),
            lambda: "{ ...F } " + "fragment F on Query { __typename } " * many,
            lambda: "{ " + "...F " * many + "} fragment F on Query { costTypes { nodes { id } } }",
            lambda: "{ ...Missing }",
            lambda: "{ ...F } fragment F on Missing { id }",
            lambda: "fragment F on Query { __typename }",
            lambda: "{ ...F } fragment F on CostType { id }",
            lambda: (
                "{ "
                + " ".join(f"...F{n}" for n in range(many))
                + " } "
                + " ".join(
                    f"fragment F{n} on Query {{ x: costTypes(first: {n}) {{ id }} }}" for n in range(many)
                )
            ),
        ]
    )
    return _posted("fragments", make())


def variables(chance: random.Random) -> Hostile:
    many = chance.choice([10, 101, 10_000, 49_000, 90_000])
    deep = chance.choice([3, 6, 90, 250])
    nested: Any = {}
    for _ in range(deep):
        nested = {chance.choice(["not", "and", "or"]): chance.choice([nested, [nested]])}
    text = chance.choice(TEXTS)
    query, make = chance.choice(
        [
            (SOUND[1], lambda: {"f": nested}),
            (SOUND[1], lambda: {"f": {"name": {"in": [text] * many if len(text) < 20 else [text]}}}),
            (SOUND[1], lambda: {"f": {"and": [{"name": {"eq": "x"}}] * many}}),
            (SOUND[1], lambda: {"f": {"name": {"contains": text}}, "n": chance.choice(NUMBERS)}),
            (SOUND[1], lambda: {"f": {f"x{n}": n for n in range(many)}}),
            (SOUND[1], lambda: {f"x{n}": n for n in range(many)}),
            (SOUND[2], lambda: {"ids": ["x"] * many}),
            (SOUND[2], lambda: {"ids": [7.5] * many}),
            (SOUND[2], lambda: {"ids": [None] * many}),
            (SOUND[2], lambda: {"ids": text}),
            (SOUND[4], lambda: {"at": {chance.choice(INSTANTS): chance.choice([text, 1, -1, None])}}),
            (SOUND[4], lambda: {"at": {"time": chance.choice(TIMES)}}),
            (SOUND[6], lambda: {"i": {"code": text, "name": text, "accountingSubject": text, "unit": text}}),
            (SOUND[6], lambda: {"i": {"code": "A", "name": ["x"] * many}}),
            (SOUND[6], lambda: {"i": None}),
            (SOUND[10], lambda: {"id": text}),
        ]
    )  # fmt: skip
    return _posted("variables", query, variables=make())


def content_types(chance: random.Random) -> Hostile:
    """Also what another site's page can make a browser send without asking first."""
    part = b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"{a}"}\r\n--x--\r\n'
    sound = orjson.dumps({"query": chance.choice(SOUND)})
    body = chance.choice([sound, urlencode({"query": SOUND[7]}).encode(), b"query=%7Ba%7D", part])
    kind = chance.choice(CONTENT_TYPES)
    headers = {"content-type": kind, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    return Hostile("content_types", body=body, headers=headers)


def queries_by_get(chance: random.Random) -> Hostile:
    text = chance.choice([*SOUND, *TEXTS])
    parameters = chance.choice(
        [
            [("query", SOUND[7])],
            [("query", SOUND[6]), ("variables", '{"i": {"code": "A"}}')],
            [("query", "subscription { events { id } }")],
            [("query", text), ("operationName", chance.choice(TEXTS))],
            [("query", SOUND[1]), ("variables", chance.choice(["", "{", "[]", '{"f": 1}', "{" * 1_000]))],
            [("query", SOUND[0]), ("extensions", chance.choice(["[]", "{", '{"minPosition": "f"}', "1"]))],
            [("documentId", text)],
            [("extensions", json.dumps({"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}))],
            [("query", SOUND[0])] * 50,
            [],
        ]
    )  # fmt: skip
    target = f"/graphql?{urlencode(parameters)[:20_000]}"
    if chance.random() < 0.2:
        target += chance.choice(
            ["&query=%ff%fe", "&%", "&query=%00", "&query", "#x", "&a[]=1&a[__proto__]=2"]
        )
    return Hostile(
        "queries_by_get", "GET", target, headers={"if-none-match": chance.choice(['"x"', "*", '"', ""])}
    )


def methods(chance: random.Random) -> Hostile:
    method = chance.choice(["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "post", "X"])
    return Hostile("methods", method, body=orjson.dumps({"query": SOUND[0]}), headers={"content-type": JSON})


def headers(chance: random.Random) -> Hostile:
    text = quote(chance.choice(TEXTS))[:8_000] or "x"
    name = chance.choice(HEADERS)
    value = chance.choice(
        [text, "," * 1_000, "a;q=x, b;q=, c;q=9e999", "application/json;q=nan", "Bearer " + text, "bytes=0-0"]
    )  # fmt: skip
    many = {f"x-{n}": "y" for n in range(chance.choice([0, 0, 0, 95, 150]))}
    body = orjson.dumps({"query": chance.choice(SOUND)})
    return Hostile("headers", body=body, headers={"content-type": JSON, name: value, **many})


def documents_with_mistakes(chance: random.Random) -> Hostile:
    """Sound documents with tokens put in, taken out, doubled and exchanged."""
    pieces = list(chance.choice(SOUND))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(pieces))
        match chance.randrange(4):
            case 0:
                pieces.insert(at, chance.choice(WORDS))
            case 1:
                del pieces[at : at + chance.randrange(1, 8)]
                pieces = pieces or ["{"]
            case 2:
                pieces[at:at] = pieces[at : at + 30] * chance.choice([1, 2, 50])
            case 3:
                other = chance.randrange(len(pieces))
                pieces[at], pieces[other] = pieces[other], pieces[at]
    return _posted("documents_with_mistakes", "".join(pieces))


def rest(chance: random.Random) -> Hostile:
    """Bodies, parameters, places and methods under /v1."""
    text, many = chance.choice(TEXTS), chance.choice([2, 300, 50_000])
    place = chance.choice(
        ["", "", "", "/act_x/submission", "/act_x/submission", "/act_x/status", f"/{quote(text[:300])}"]
    )
    target = f"/v1/activities{place}"
    if chance.random() < 0.3:
        names = ("status", "code", "changedSince", "limit", "after", "size", "filter[x]")
        pairs = [(chance.choice(names), chance.choice([*TEXTS, "1", "-1"])) for _ in range(3)]
        target += f"?{urlencode(pairs)[:20_000]}"
        return Hostile("rest", chance.choice(["GET", "HEAD", "GET", "DELETE"]), target)
    make = chance.choice(
        [
            lambda: chance.choice([None, 1, "x", [], [{}], {}, {"code": 1}, {"expectedVersion": 2**70}]),
            lambda: {"code": text, "name": text, "description": text, "activityTypeId": text},
            lambda: {"rewards": [{"value": text, "fieldValues": [{"name": text, "value": text}]}]},
            lambda: {"rewards": [{"fieldValues": [1] * (many // 100)}] * (many // 100)},
            lambda: {"costLines": [chance.choice([1, None, {}, {"amount": {"amount": "1e9"}}])] * many},
            lambda: {f"x{n}": n for n in range(many)},
            lambda: {"startsAt": chance.choice(TIMES), "endsAt": chance.choice([*TIMES, 1, None])},
            lambda: {"budget": {"amount": chance.choice(["9" * many, "NaN", "-1", "1e5"]), "currency": text}},
            lambda: {"channels": ["APP"] * many, "coDepartmentIds": ["dp_" + "0" * 32] * many},
        ]
    )  # fmt: skip
    odd = bytes_that_are_no_json(chance).body
    body = odd if chance.random() < 0.3 else json.dumps(make()).encode()
    kind = JSON if chance.random() < 0.9 else chance.choice(CONTENT_TYPES)
    key = chance.choice(["k", "k", "k" * 300, str(chance.random()), "", "é"])
    return Hostile("rest", "POST", target, body, {"content-type": kind, "idempotency-key": key})


KINDS: tuple[Callable[[random.Random], Hostile], ...] = (
    bytes_that_are_no_json,
    members_of_other_kinds,
    batches,
    overloads,
    depths,
    fragments,
    variables,
    content_types,
    queries_by_get,
    methods,
    headers,
    documents_with_mistakes,
    rest,
)
