"""Rows at an instant, in SQL with the slot `{then}`, where versions of rows alone do not tell.

Entries are never changed: those of an instant are the ones whose events the log had by then. What hangs on a
whole tree, and accounts with millions of rows, are folded anew instead of being kept twice.
"""

from collections.abc import Mapping

from api.planner.instants import Timeline

TREE = """(
with recursive standing as (
    select * from {versions}
    where (epoch_from, position_from) <= {{then}} and (epoch_to, position_to) > {{then}}
), tree (id, path, ancestor_ids, effective_status, depth) as (
    select r.id, r.name, array[r.id], r.status, 0
    from standing r where not exists (select from standing p where p.id = r.parent_id)
    union all
    select c.id, t.path || '/' || c.name, t.ancestor_ids || c.id,
           case t.effective_status when 'enabled' then c.status else t.effective_status end, t.depth + 1
    from tree t join standing c on c.parent_id = t.id
)
select s.*, coalesce(t.path, '') as path, coalesce(t.ancestor_ids, '{{}}') as ancestor_ids,
       coalesce(t.effective_status, s.status) as effective_status, coalesce(t.depth, 0) as depth
from standing s left join tree t on t.id = s.id
)"""
CLOSURE = """(
select above.id as ancestor_id, t.id as descendant_id from {tree} t, unnest(t.ancestor_ids) as above (id)
)"""
RECORDED = """(
select r.* from {table} r join log.events e on e.stream_id = r.{stream} and e.version = r.version
where (e.epoch, e.position) <= {{then}}
)"""

EVENTS = """(
select stream_id as id, version, epoch as epoch_from, position as position_from from log.events
) e"""
"""Where a version of a thing is looked up whose versions of rows are not kept."""

POINTS_ACCOUNTS = """(
select a.id, last.version, a.org_unit, a.programme, a.customer, a.year, a.opening, sums.earned, sums.used,
       sums.expired, a.opening + sums.earned - sums.used - sums.expired as balance, sums.postings,
       a.created_at, a.created_by, last.recorded_at as changed_at, last.actor as changed_by,
       coalesce((
           select case e.event_type when 'points.carried_forward' then 'carried' else 'closed' end
           from log.events e
           where e.stream_id = a.id and e.version <= last.version
             and e.event_type in ('points.carried_forward', 'points.ledger_closed')
           order by e.version desc limit 1), 'open') as status
from read.points_accounts a, lateral (
    select e.version, e.recorded_at, e.actor from log.events e
    where e.stream_id = a.id and (e.epoch, e.position) <= {then}
    order by e.version desc limit 1
) last, lateral (
    select coalesce(sum(points) filter (where contra not in ('expiry', 'redemption')), 0)::bigint as earned,
           coalesce(-sum(points) filter (where contra = 'redemption'), 0)::bigint as used,
           coalesce(-sum(points) filter (where contra = 'expiry'), 0)::bigint as expired,
           count(*)::integer as postings
    from (
        select p.points, case p.credit when 'customer' then p.debit else p.credit end as contra
        from read.points_entries p where p.ledger_id = a.id and p.version <= last.version
    ) posted
) sums
where sums.postings > 0
)"""

TIMELINE = Timeline(
    "read.timeline",
    # The timeline does not tell of postings: the last one by a time counts too.
    beside="""
    select e.epoch, e.position from read.points_entries p
    join log.events e on e.stream_id = p.ledger_id and e.version = p.version
    where p.created_at = (select max(created_at) from read.points_entries where created_at <= {time})
    order by e.epoch desc, e.position desc limit 1""",
)


def recorded(table: str, stream: str) -> str:
    """Entries whose column `stream` holds the id of the stream, and `version` the event's."""
    return RECORDED.format(table=table, stream=stream)


def tree(versions: str) -> str:
    """A tree with paths, ancestors and effective statuses as they followed from the entries then."""
    return TREE.format(versions=versions)


def closure(table: str, versions: str) -> Mapping[str, str]:
    """The closure of a tree, by its table."""
    return {table: CLOSURE.format(tree=tree(versions))}
