-- Tasks: an enqueue does not look whether somebody waits; the broker bounds how often it tells.

drop function tasks.enqueue_one(uuid, text, integer, bytea, interval, interval);

-- One message, under the rule of the ids in tasks.enqueue.
create function tasks.enqueue_one(
    id uuid, of_queue text, of_priority integer, new_body bytea, delay interval, remember interval
) returns void language plpgsql as $$
begin
    insert into tasks.known_message (message_id, forget_at)
    values (id, statement_timestamp() + delay + remember) on conflict (message_id) do nothing;
    if found then
        insert into tasks.message (message_id, queue, priority, state, available_at, body)
        values (id, of_queue, of_priority, case when delay > interval '0' then 'delayed' else 'ready' end,
                statement_timestamp() + delay, new_body);
    end if;
end $$;
