-- Tasks: one message is enqueued in a lean statement, and acknowledgements end in groups.

-- One message, under the rule of the ids in tasks.enqueue. True when it came into a queue that had nothing
-- ready: only then somebody may be waiting who must be told.
create function tasks.enqueue_one(
    id uuid, of_queue text, of_priority integer, new_body bytea, delay interval, remember interval
) returns boolean language plpgsql set enable_seqscan = off as $$
declare
    was_idle boolean;
begin
    insert into tasks.known_message (message_id, forget_at)
    values (id, statement_timestamp() + delay + remember) on conflict (message_id) do nothing;
    if not found then
        return false;
    end if;
    was_idle := delay <= interval '0'
        and not exists (select from tasks.message m where m.queue = of_queue and m.state = 'ready');
    insert into tasks.message (message_id, queue, priority, state, available_at, body)
    values (id, of_queue, of_priority, case when delay > interval '0' then 'delayed' else 'ready' end,
            statement_timestamp() + delay, new_body);
    return was_idle;
end $$;

-- Ends many leases; returns the ids of those that were held no more. It does not wait for the disk: if the
-- server itself dies in that moment, the tasks come again, as those of a worker do that died before it told.
create function tasks.complete(ids uuid[], attempts integer[])
returns setof uuid language plpgsql set enable_seqscan = off as $$
begin
    set local synchronous_commit = off;
    return query
    with held as materialized (
        select m.message_id from tasks.message m
        join unnest(ids, attempts) as h (message_id, attempt) using (message_id, attempt)
        where m.state = 'leased'
        order by m.message_id
        for update of m
    ), ended as (
        delete from tasks.message m using held h where m.message_id = h.message_id
    )
    select h.message_id from unnest(ids) as h (message_id)
    where not exists (select from held where held.message_id = h.message_id);
end $$;
