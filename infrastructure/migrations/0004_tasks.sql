-- Tasks: the queue behind the dramatiq broker, and the schedules that feed it.
-- Run once by the owner role; the application works as cardinal_app.

create schema tasks;

create table tasks.message (
    message_id   uuid primary key,
    arrival      bigint generated always as identity,
    queue        text not null check (octet_length(queue) between 1 and 100),
    priority     integer not null default 0,
    state        text not null check (state in ('ready', 'delayed', 'leased')),
    available_at timestamptz not null,
    worker       text,
    leased_until timestamptz,
    attempt      integer not null default 0,
    lost_leases  integer not null default 0,
    -- The broker refuses 256 KiB at the door; a retry may add its traceback to the message.
    body         bytea not null check (octet_length(body) <= 512 * 1024),
    check ((state = 'leased') = (worker is not null)),
    check ((state = 'leased') = (leased_until is not null))
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_cost_delay = 0
);

comment on table tasks.message is 'Tasks that wait or run; a row is deleted when its task is done.';
comment on column tasks.message.arrival is 'Order within a queue and priority.';
comment on column tasks.message.priority is 'The lowest number runs first.';
comment on column tasks.message.worker is 'Who holds the lease, for people to read; the attempt is what fences.';
comment on column tasks.message.attempt is 'Counts the leases given; only the holder of the present one may finish.';
comment on column tasks.message.lost_leases is 'Leases that ran out, so that a task which kills its workers is found.';

-- leased_until is in no index, so renewing a lease is a heap-only update.
create index message_ready on tasks.message (queue, priority, arrival) where state = 'ready';
create index message_delayed on tasks.message (queue, available_at) where state = 'delayed';
create index message_leased on tasks.message (queue) where state = 'leased';

create table tasks.known_message (
    message_id uuid primary key,
    forget_at  timestamptz not null
);

comment on table tasks.known_message is
    'Every message id ever accepted, so that sending it again does nothing; forgotten after forget_at, '
    'but never while the message waits, runs or lies dead.';

create index known_message_forget_at on tasks.known_message (forget_at);

create table tasks.dead_message (
    message_id uuid primary key,
    queue      text not null,
    priority   integer not null,
    attempt    integer not null,
    error      text not null check (length(error) <= 8000),
    body       bytea not null,
    died_at    timestamptz not null default now()
);

comment on table tasks.dead_message is 'Tasks that were given up, with the reason; kept for a bounded time.';

create index dead_message_died_at on tasks.dead_message (died_at);

-- The rules of the queue, beside its tables. A lease is (message_id, attempt): every function that ends one
-- checks both, so a worker that lost its lease can't touch what another runs now. Limited choices are
-- materialised, or the planner may make them more than once; claim, keep_house and renew skip locked rows, so
-- they wait for nothing and can't deadlock. The statistics of a queue are those of another moment, so their
-- plans are held to the indexes: a claim reads only the rows it takes.

-- The id is claimed in known_message first: one unique index decides between this enqueue, others, and a
-- completion at the same moment. Sorted, so that two batches never wait for each other.
create function tasks.enqueue(
    ids uuid[], queues text[], priorities integer[], bodies bytea[], delay interval, remember interval
) returns void language plpgsql as $$
begin
    with given as (
        select * from unnest(ids, queues, priorities, bodies)
            with ordinality as g (message_id, queue, priority, body, ordinal)
    ), fresh as (
        insert into tasks.known_message (message_id, forget_at)
        select g.message_id, statement_timestamp() + delay + remember from given g order by g.message_id
        on conflict (message_id) do nothing
        returning message_id
    )
    insert into tasks.message (message_id, queue, priority, state, available_at, body)
    select g.message_id, g.queue, g.priority, case when delay > interval '0' then 'delayed' else 'ready' end,
           statement_timestamp() + delay, g.body
    from given g join fresh f on f.message_id = g.message_id order by g.ordinal;
end $$;

create function tasks.claim(of_queue text, by_worker text, room integer, lease interval)
returns setof tasks.message language plpgsql rows 16
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
begin
    return query
    with chosen as materialized (
        select message_id from tasks.message
        where queue = of_queue and state = 'ready'
        order by priority, arrival limit room
        for update skip locked
    )
    update tasks.message m
    set state = 'leased', worker = by_worker, attempt = m.attempt + 1, leased_until = now() + lease
    from chosen c where m.message_id = c.message_id
    returning m.*;
end $$;

-- Makes delayed messages ready that are due, and those whose lease ran out; a message that lost too many
-- leases is buried, because it would kill workers for ever.
create function tasks.keep_house(of_queue text, max_lost_leases integer)
returns void language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off as $$
begin
    with due as materialized (
        select message_id from tasks.message
        where queue = of_queue and state = 'delayed' and available_at <= now()
        order by available_at limit 1000
        for update skip locked
    )
    update tasks.message m set state = 'ready' from due d where m.message_id = d.message_id;

    with lost as materialized (
        select message_id, lost_leases + 1 >= max_lost_leases as hopeless from tasks.message
        where queue = of_queue and state = 'leased' and leased_until < now()
        limit 1000
        for update skip locked
    ), buried as (
        delete from tasks.message m using lost l where m.message_id = l.message_id and l.hopeless
        returning m.*
    ), letters as (
        insert into tasks.dead_message (message_id, queue, priority, attempt, error, body)
        select message_id, queue, priority, attempt, 'every worker that took it was lost', body from buried
    )
    update tasks.message m
    set state = 'ready', worker = null, leased_until = null, lost_leases = m.lost_leases + 1
    from lost l where m.message_id = l.message_id and not l.hopeless;
end $$;

create function tasks.renew(ids uuid[], attempts integer[], lease interval)
returns void language plpgsql set enable_seqscan = off as $$
begin
    with held as materialized (
        select m.message_id from tasks.message m
        join unnest(ids, attempts) as h (message_id, attempt) using (message_id, attempt)
        where m.state = 'leased'
        for update of m skip locked
    )
    update tasks.message m set leased_until = now() + lease from held h where m.message_id = h.message_id;
end $$;

-- True when the lease still held.
create function tasks.complete(id uuid, of_attempt integer) returns boolean language plpgsql as $$
begin
    delete from tasks.message where message_id = id and attempt = of_attempt and state = 'leased';
    return found;
end $$;

create function tasks.give_back(ids uuid[], attempts integer[])
returns void language plpgsql set enable_seqscan = off as $$
begin
    update tasks.message m set state = 'ready', worker = null, leased_until = null
    from unnest(ids, attempts) as h (message_id, attempt)
    where m.message_id = h.message_id and m.attempt = h.attempt and m.state = 'leased';
end $$;

-- True when the lease still held.
create function tasks.retry(id uuid, of_attempt integer, delay interval, new_body bytea)
returns boolean language plpgsql as $$
begin
    update tasks.message
    set state = case when delay > interval '0' then 'delayed' else 'ready' end, worker = null,
        leased_until = null, available_at = now() + delay, body = new_body
    where message_id = id and attempt = of_attempt and state = 'leased';
    return found;
end $$;

-- True when the lease still held.
create function tasks.bury(id uuid, of_attempt integer, reason text, last_body bytea)
returns boolean language plpgsql as $$
begin
    with buried as (
        delete from tasks.message where message_id = id and attempt = of_attempt and state = 'leased'
        returning *
    )
    insert into tasks.dead_message (message_id, queue, priority, attempt, error, body)
    select message_id, queue, priority, attempt, reason, last_body from buried;
    return found;
end $$;

-- True when the message lay among the dead.
create function tasks.revive(id uuid) returns boolean language plpgsql as $$
begin
    with risen as (
        delete from tasks.dead_message where message_id = id returning *
    )
    insert into tasks.message (message_id, queue, priority, state, available_at, attempt, body)
    select message_id, queue, priority, 'ready', now(), attempt, body from risen;
    return found;
end $$;

-- Drops and forgets one chunk of a queue; returns its size.
create function tasks.flush(of_queue text) returns integer language plpgsql as $$
declare
    dropped_rows integer;
begin
    with chosen as materialized (
        select message_id from tasks.message where queue = of_queue limit 10000
    ), dropped as (
        delete from tasks.message m using chosen c where m.message_id = c.message_id returning m.message_id
    ), forgotten as (
        delete from tasks.known_message k using dropped d where k.message_id = d.message_id
    )
    select count(*) into dropped_rows from dropped;
    return dropped_rows;
end $$;

-- Forgets one chunk each of old ids and old dead messages; returns how many rows went.
create function tasks.purge(keep_dead interval) returns integer language plpgsql as $$
declare
    dead_rows integer;
    known_rows integer;
begin
    with old as materialized (
        select message_id from tasks.dead_message where died_at < now() - keep_dead
        order by died_at limit 1000
        for update skip locked
    )
    delete from tasks.dead_message d using old o where d.message_id = o.message_id;
    get diagnostics dead_rows = row_count;

    with old as materialized (
        select message_id from tasks.known_message k
        where forget_at < now()
          and not exists (select from tasks.message m where m.message_id = k.message_id)
          and not exists (select from tasks.dead_message d where d.message_id = k.message_id)
        order by forget_at limit 1000
        for update of k skip locked
    )
    delete from tasks.known_message k using old o where k.message_id = o.message_id;
    get diagnostics known_rows = row_count;
    return dead_rows + known_rows;
end $$;

create table tasks.schedule (
    name      text primary key check (length(name) between 1 and 200),
    cron      text not null,
    time_zone text not null,
    actor     text not null,
    payload   jsonb not null,
    enabled   boolean not null,
    next_at   timestamptz,
    fault     text
) with (fillfactor = 80);

comment on table tasks.schedule is 'What to enqueue and when, by a cron expression in a time zone of its own.';
comment on column tasks.schedule.payload is 'The keyword arguments of the actor.';
comment on column tasks.schedule.next_at is 'The next time to fire; null when the expression never matches again.';
comment on column tasks.schedule.fault is 'Why the schedule is parked; cleared when its definition changes.';

create index schedule_due on tasks.schedule (next_at) where enabled and fault is null;

create table tasks.schedule_run (
    schedule   text not null,
    fire_at    timestamptz not null,
    due_at     timestamptz not null,
    fired_at   timestamptz not null,
    message_id uuid not null,
    primary key (schedule, fire_at)
);

comment on table tasks.schedule_run is 'One row per fire; kept for a bounded time, also after its schedule is gone.';
comment on column tasks.schedule_run.fire_at is 'The time by the cron expression for which this run stands.';
comment on column tasks.schedule_run.due_at is
    'The first time that was due: earlier than fire_at when no scheduler ran and the times between were skipped.';

create index schedule_run_fired_at on tasks.schedule_run (fired_at);

grant usage on schema tasks to cardinal_app;
grant select, insert, update, delete on all tables in schema tasks to cardinal_app;
