"""The sample bank's customers, cards, accounts and transactions: made up, but with the shapes of real ones.

Every draw is MD5 of the row's number, the field's name and the seed, so the rows do not depend on threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How much there is. A third of the customers have a second card; each has one account."""

    customers: int = 50_000
    transactions: int = 2_000_000


DAYS = 365
CITIES = ("上海", "深圳", "北京", "广州", "杭州", "南京", "成都", "武汉", "西安", "苏州")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红建文辉力"
LEVELS = ("NORMAL", "GOLD", "PLATINUM")
PRODUCTS = ("CLASSIC", "GOLD", "PLATINUM", "YOUNG")
CATEGORIES = (
    "DINING",
    "GROCERY",
    "TRAVEL",
    "FUEL",
    "ONLINE",
    "FASHION",
    "ELECTRONICS",
    "HEALTH",
    "TRANSPORT",
    "OTHER",
)
CHANNELS = ("POS", "ONLINE", "QR", "APP")

_DRAW = """
create macro draw(number, field) as
    (md5_number_lower(number || '/' || field || '/' || {seed}) >> 11) / 9007199254740992.0
"""
"""A number from 0 up to but not including 1."""

_PICK = "create macro pick(choices, u) as choices[1 + floor(u * len(choices))::int]"

_CUSTOMERS = """
create table customers as
select
    'C' || lpad(n::varchar, 8, '0') as customer_id,
    case when draw(n, 'unit') < 0.5 then $units[1] else pick($units, draw(n, 'branch')) end as org_unit,
    (year($date) - 18 - floor(62 * draw(n, 'age') * draw(n, 'old')))::int as birth_year,
    case when draw(n, 'gender') < 0.5 then 'F' else 'M' end as gender,
    pick($cities, draw(n, 'city')) as city,
    case when draw(n, 'level') < 0.75 then $levels[1] when draw(n, 'level') < 0.95 then $levels[2]
         else $levels[3] end as level,
    ($date - (1 + floor(3650 * draw(n, 'opened')))::int)::date as opened_on,
    '199' || lpad(floor(100000000 * draw(n, 'mobile'))::bigint::varchar, 8, '0') as mobile,
    pick($surnames, draw(n, 'surname')) || pick($given, draw(n, 'given'))
        || case when draw(n, 'two') < 0.6 then pick($given, draw(n, 'second')) else '' end as name,
    draw(n, 'overdue') < 0.03 as is_overdue
from range(1, $customers + 1) as numbers(n)
"""

_CARDS = """
create table cards as
select
    'T' || lpad(n::varchar, 9, '0') as card_token,
    'C' || lpad(owner::varchar, 8, '0') as customer_id,
    pick($products, draw(n, 'product')) as product,
    ($date - (1 + floor(3000 * draw(n, 'card')))::int)::date as opened_on,
    case when draw(n, 'status') < 0.94 then 'ACTIVE' when draw(n, 'status') < 0.98 then 'DORMANT'
         else 'CLOSED' end as status,
    '622588********' || lpad(floor(10000 * draw(n, 'last'))::int::varchar, 4, '0') as card_masked
from (select n, case when n <= $customers then n else 3 * (n - $customers) end as owner
      from range(1, $customers + $customers // 3 + 1) as numbers(n))
"""

_ACCOUNTS = """
create table accounts as
select
    'A' || lpad(n::varchar, 8, '0') as account_id,
    'C' || lpad(n::varchar, 8, '0') as customer_id,
    'CNY' as currency,
    (100000 * (5 + floor(95 * draw(n, 'limit'))))::bigint as credit_limit_minor,
    ($date - (1 + floor(3650 * draw(n, 'opened')))::int)::date as opened_on
from range(1, $customers + 1) as numbers(n)
"""

_TRANSACTIONS = """
create table transactions as
select
    n as transaction_id,
    'T' || lpad(card::varchar, 9, '0') as card_token,
    'C' || lpad((case when card <= $customers then card else 3 * (card - $customers) end)::varchar, 8, '0')
        as customer_id,
    -- from 1 to 5,000 yuan, half of them below 71
    (100 * power(5000.0, 0.5 * (a + b)))::bigint as amount_minor,
    'CNY' as currency,
    ($date - $days + ((n - 1) * $days // $transactions)::int)::date as booked_on,
    pick($categories, c * c) as merchant_category,
    pick($channels, d) as channel
from (
    select
        n,
        -- one MD5 for all draws of a row, 16 bits each and 32 for the card; some cards are used much more
        1 + floor(power((bits & 4294967295) / 4294967296.0, 1.5) * ($customers + $customers // 3))::bigint
            as card,
        ((bits >> 32) & 65535) / 65536.0 as a,
        ((bits >> 48) & 65535) / 65536.0 as b,
        (more & 65535) / 65536.0 as c,
        ((more >> 16) & 65535) / 65536.0 as d
    from (select n, md5_number_lower('t' || n || '/' || $seed) as bits,
                 md5_number_upper('t' || n || '/' || $seed) as more
          from range(1, $transactions + 1) as numbers(n))
)
"""


def make_sample(
    connection: duckdb.DuckDBPyConnection,
    units: Sequence[str],
    business_date: date,
    size: SampleSize,
    seed: int,
    progress: Callable[[int], None],
) -> None:
    """Make the four tables in the connection; bookings are of the 365 days before the business date."""
    assert 3 <= size.customers <= 9_999_999
    assert 1 <= size.transactions <= 100_000_000
    values = {
        "units": list(units),
        "date": business_date,
        "customers": size.customers,
        "transactions": size.transactions,
        "days": DAYS,
        "seed": seed,
        "cities": list(CITIES),
        "levels": list(LEVELS),
        "surnames": list(SURNAMES),
        "given": list(GIVEN),
        "products": list(PRODUCTS),
        "categories": list(CATEGORIES),
        "channels": list(CHANNELS),
    }
    connection.execute(_DRAW.format(seed=int(seed)))
    connection.execute(_PICK)
    for sql, done in ((_CUSTOMERS, 10), (_CARDS, 15), (_ACCOUNTS, 20), (_TRANSACTIONS, 80)):
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        connection.execute(sql, used)
        progress(done)
