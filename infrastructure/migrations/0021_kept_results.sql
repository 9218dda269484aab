-- Until when the result of a run is kept, and when its rows were deleted.

set local role cardinal_app;

alter table read.segment_runs
    add column kept_until        timestamptz,
    add column result_deleted_at timestamptz;
update read.segment_runs
set kept_until = ended_at + case retention when 'trial' then interval '30 days' else interval '1830 days' end
where status = 'succeeded';
create index on read.segment_runs (kept_until) where result_deleted_at is null;

reset role;
