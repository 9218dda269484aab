"""Postings by the ten thousand: the rows of `points_ledgers` by one statement each, when they are rebuilt."""

from projections.shared.stretches import IN_STRETCH, StretchStatement

POSTINGS = {"points.posted": 1, "points.reversed": 1}

_POSTED = f"""
log.events e, json_to_record(e.data) as d (posting_key text, entry uuid, debit text, credit text,
    programme text, customer text, year integer, points bigint, balance bigint, opening bigint, card text,
    lot text, value_date date, business_type text, name text, origin text, job uuid, line_number integer,
    reason text)
where {IN_STRETCH} and e.event_type in ('points.posted', 'points.reversed')"""

# Gives what each account against the customers' got: programme, year, account and points.
ENTRIES = StretchStatement(
    f"""
with put as (
    insert into points_entries
    select e.event_id, e.stream_id, e.version, e.org_unit, d.programme, d.customer, d.year,
           case d.credit when 'customer' then d.points else -d.points end, d.debit, d.credit, d.balance,
           d.card, d.lot, d.value_date, d.business_type, d.name, d.origin, d.posting_key, d.job,
           coalesce(d.line_number, 0), d.entry, coalesce(d.reason, ''), e.recorded_at, e.actor
    from {_POSTED}
    returning programme, year, debit, credit, points)
select programme, year, case credit when 'customer' then debit else credit end, -sum(points)::bigint
from put group by 1, 2, 3""",
    POSTINGS,
)

# What runs up to an account's last posting in the stretch is what its postings come to.
ACCOUNTS = StretchStatement(
    f"""
insert into points_accounts as a
select stream_id, version, unit, programme, customer, year, 'open', opened, earned, used, expired, balance,
       postings, begun_at, begun_by, recorded_at, actor
from (
    select p.*, lead(version) over w is null as is_last, first_value(org_unit) over w as unit,
           first_value(opening) over w as opened, count(*) over w as postings,
           coalesce(sum(signed) filter (where contra not in ('expiry', 'redemption')) over w, 0) as earned,
           coalesce(-sum(signed) filter (where contra = 'redemption') over w, 0) as used,
           coalesce(-sum(signed) filter (where contra = 'expiry') over w, 0) as expired,
           first_value(recorded_at) over w as begun_at, first_value(actor) over w as begun_by
    from (
        select e.stream_id, e.version, e.org_unit, e.recorded_at, e.actor, d.programme, d.customer, d.year,
               d.opening, d.balance, case d.credit when 'customer' then d.points else -d.points end as signed,
               case d.credit when 'customer' then d.debit else d.credit end as contra
        from {_POSTED}
    ) p
    window w as (partition by stream_id order by version)
) l
where is_last
on conflict (id) do update
set version = excluded.version, earned = a.earned + excluded.earned, used = a.used + excluded.used,
    expired = a.expired + excluded.expired, balance = excluded.balance,
    postings = a.postings + excluded.postings, changed_at = excluded.changed_at,
    changed_by = excluded.changed_by""",
    POSTINGS,
)
