-- The log: every fact for ever. The running role (cardinal_app) can add to it and read it, nothing else.

create schema log;

-- A dump, a restore or a promotion with loss opens a new epoch above all published positions.
create table log.epochs (
    epoch     integer     primary key,
    opened_at timestamptz not null default now(),
    reason    text        not null
);
insert into log.epochs (epoch, reason) values (1, 'first start');

create table log.events (
    stream_id       uuid        not null,
    stream_type     text        not null,
    version         integer     not null check (version > 0),
    epoch           integer     not null,
    position        bigint      not null,
    event_type      text        not null,
    schema_version  integer     not null,
    event_id        uuid        not null,
    recorded_at     timestamptz not null,  -- the system's clock
    effective_at    timestamptz not null,  -- business time
    actor           text        not null,
    on_behalf_of    text,
    org_unit        text        not null,
    command_id      uuid        not null,
    correlation_id  uuid        not null,
    causation_id    uuid,
    reason          text,
    data            json        not null,  -- the exact bytes that are hashed
    personal        bytea,                 -- encrypted under personal_key_id
    personal_key_id uuid,
    previous_hash   bytea       not null,
    hash            bytea       not null,
    primary key (stream_id, version)
);
create unique index events_position on log.events (epoch, position);

-- Write-side indexes: kept in the append's own statement, rebuilt from the events if need be.
create table log.heads (
    stream_id   uuid    primary key,
    stream_type text    not null,
    version     integer not null,
    hash        bytea   not null,
    epoch       integer not null,
    position    bigint  not null
) with (fillfactor = 80);

create table log.uses (
    used_id    uuid not null,
    user_id    uuid not null,
    user_kind  text not null,
    user_label text not null,
    user_unit  text not null,
    primary key (used_id, user_id)
);
create index uses_of_user on log.uses (user_id);

-- A command is answered once under its principal, operation and key, for ever.
create table log.commands (
    principal  text    not null,
    operation  text    not null,
    key        text    not null,
    input_hash bytea   not null,
    command_id uuid    not null,
    subject_id uuid    not null,
    version    integer not null,
    epoch      integer not null,
    position   bigint  not null,
    primary key (principal, operation, key)
);

-- Takes locks on the streams in one order, then a transaction id, and with it the position: so of two appends
-- that meet on a stream, as writer or as guard, the later one has the higher position. Then it checks every
-- expectation and writes command, heads, links and events. It must be the first statement of its transaction
-- that takes a transaction id. A reader passes over nothing because it stops below the oldest one still open.
--
-- request: {command, streams: [{id, type, version, events, last, previous_hash, hash}] in id order (events = 0:
-- a guard; last: the ordinal of its last event), links: [{user_id, user_kind, user_label, user_unit, used}],
-- unused: [id], events: [{ordinal, ...}]}
-- Errors: CA001 a stream has moved, CA002 answered already, CA003 position below a head's (append again),
-- CA004 in use. Returns epoch and position of the first event.
create function log.append(request jsonb, out epoch integer, out "position" bigint)
language plpgsql as $$
declare
    stream record;
    link   record;
    moved  bigint;
begin
    for stream in
        select hashtextextended(s.id::text, 0) as key, s.events
        from jsonb_to_recordset(request -> 'streams') as s (id uuid, events integer)
        order by 1
    loop
        if stream.events = 0 then
            perform pg_advisory_xact_lock_shared(stream.key);
        else
            perform pg_advisory_xact_lock(stream.key);
        end if;
    end loop;

    "position" := pg_current_xact_id()::text::bigint << 20;
    epoch := (select max(e.epoch) from log.epochs e);
    if jsonb_array_length(request -> 'events') = 0 then  -- nothing changes: the answer is where the subject stands
        select h.epoch, h.position into epoch, "position"
        from log.heads h where h.stream_id = (request -> 'command' ->> 'subject_id')::uuid;
    end if;

    if request ? 'command' then
        insert into log.commands
        select c.principal, c.operation, c.key, decode(c.input_hash, 'hex'), c.command_id, c.subject_id,
               c.version, append.epoch,
               append."position" + greatest(jsonb_array_length(request -> 'events') - 1, 0)
        from jsonb_to_record(request -> 'command') as c (
            principal text, operation text, key text, input_hash text, command_id uuid, subject_id uuid,
            version integer)
        on conflict do nothing;
        if not found then
            raise exception 'this command has an answer' using errcode = 'CA002';
        end if;
    end if;

    for stream in
        select * from jsonb_to_recordset(request -> 'streams') as s (
            id uuid, type text, version integer, events integer, last integer, previous_hash text, hash text)
    loop
        if stream.events = 0 then
            if stream.version = 0 then
                insert into log.heads values (stream.id, stream.type, 0, decode(repeat('00', 32), 'hex'), 0, 0)
                on conflict do nothing;
            end if;
            perform from log.heads h where h.stream_id = stream.id and h.version = stream.version for share;
            if not found then
                raise exception 'stream % has moved on', stream.id using errcode = 'CA001';
            end if;
            continue;
        end if;
        if stream.version = 0 then
            insert into log.heads as h
            values (stream.id, stream.type, stream.events, decode(stream.hash, 'hex'), epoch,
                    "position" + stream.last)
            on conflict (stream_id) do update
            set version = excluded.version, hash = excluded.hash, epoch = excluded.epoch,
                position = excluded.position
            where h.version = 0;
        else
            update log.heads h
            set version = h.version + stream.events, hash = decode(stream.hash, 'hex'),
                epoch = append.epoch, position = append."position" + stream.last
            where h.stream_id = stream.id and h.version = stream.version
              and h.hash = decode(stream.previous_hash, 'hex')
              and (h.epoch, h.position) < (append.epoch, append."position");
        end if;
        if not found then
            select h.position into moved from log.heads h
            where h.stream_id = stream.id and h.version = stream.version and h.epoch = append.epoch;
            if moved >= "position" then
                raise exception 'stream % lies above this position', stream.id using errcode = 'CA003';
            end if;
            raise exception 'stream % has moved on', stream.id using errcode = 'CA001';
        end if;
    end loop;

    if request ? 'links' then
        for link in
            select * from jsonb_to_recordset(request -> 'links') as l (
                user_id uuid, user_kind text, user_label text, user_unit text, used uuid[])
        loop
            delete from log.uses u where u.user_id = link.user_id and u.used_id <> all (link.used);
            insert into log.uses
            select used, link.user_id, link.user_kind, link.user_label, link.user_unit from unnest(link.used) used
            on conflict do nothing;
        end loop;
    end if;
    if request ? 'unused' and exists (
        select from log.uses u
        where u.used_id = any (select jsonb_array_elements_text(request -> 'unused')::uuid)
    ) then
        raise exception 'it has got a user' using errcode = 'CA004';
    end if;

    insert into log.events
    select e.stream_id, e.stream_type, e.version, append.epoch, append."position" + e.ordinal, e.event_type,
           e.schema_version, e.event_id, e.recorded_at, e.effective_at, e.actor, e.on_behalf_of, e.org_unit,
           e.command_id, e.correlation_id, e.causation_id, e.reason, e.data::json,
           decode(e.personal, 'hex'), e.personal_key_id, decode(e.previous_hash, 'hex'), decode(e.hash, 'hex')
    from jsonb_to_recordset(request -> 'events') as e (
        ordinal integer, stream_id uuid, stream_type text, version integer, event_type text,
        schema_version integer, event_id uuid, recorded_at timestamptz, effective_at timestamptz, actor text,
        on_behalf_of text, org_unit text, command_id uuid, correlation_id uuid, causation_id uuid, reason text,
        data text, personal text, personal_key_id uuid, previous_hash text, hash text);
end
$$;

grant usage on schema log to cardinal_app;
grant select, insert on log.events to cardinal_app;
grant select, insert, update on log.heads to cardinal_app;
grant select, insert, delete on log.uses to cardinal_app;
grant select, insert on log.commands to cardinal_app;
grant select on log.epochs to cardinal_app;
