-- Every row that ever was, for everything that clients read: work orders, activities, groups, definitions and
-- approvals had theirs from the beginning. The projections start over, for they fold the versions with the rows.

set local role cardinal_app;

do $$
declare
    kept text[];
begin
    foreach kept slice 1 in array array[
        ['cost_types', 'cost_type_versions'],
        ['activity_forms', 'activity_form_versions'],
        ['reward_types', 'reward_type_versions'],
        ['activity_figures', 'activity_figure_versions'],
        ['segment_runs', 'segment_run_versions'],
        ['source_grants', 'source_grant_versions'],
        ['cancellations', 'cancellation_versions'],
        ['budgets', 'budget_versions'],
        ['stocks', 'stock_versions'],
        ['points_jobs', 'points_job_versions'],
        ['users', 'user_versions'],
        ['service_accounts', 'service_account_versions'],
        ['delegations', 'delegation_versions'],
        ['business_calendars', 'business_calendar_versions'],
        ['run_schedules', 'run_schedule_versions'],
        ['group_extractions', 'group_extraction_versions'],
        ['webhook_endpoints', 'webhook_endpoint_versions']
    ] loop
        execute format(
            'create table read.%2$I (
                like read.%1$I,
                epoch_from      integer not null,
                position_from   bigint  not null,
                epoch_to        integer not null,  -- exclusive; 2147483647 while the row stands so
                position_to     bigint  not null,  -- exclusive; 9223372036854775807 while the row stands so
                recorded_at     timestamptz not null,  -- of the event that made it so
                primary key (id, epoch_from, position_from)
            )', kept[1], kept[2]);
        execute format('create index on read.%I (epoch_to, position_to)', kept[2]);
        execute format('truncate read.%I', kept[1]);
        update projection.checkpoints c
        set epoch = 0, position = 0, generation = generation + 1 where c.name = kept[1];
        delete from projection.parked p where p.projection = kept[1];
    end loop;
end $$;

-- Of trees without what hangs on the whole tree: that is no column of one entry's version.
create table read.activity_type_versions (
    id            uuid        not null,
    version       integer     not null,
    revision      integer     not null,
    code          text        not null,
    name          text        not null,
    description   text        not null,
    sort_order    integer     not null,
    status        text        not null,
    parent_id     uuid,
    created_at    timestamptz not null,
    created_by    text        not null,
    changed_at    timestamptz not null,
    changed_by    text        not null,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,
    position_to   bigint      not null,
    recorded_at   timestamptz not null,
    primary key (id, epoch_from, position_from)
);
create index on read.activity_type_versions (epoch_to, position_to);

create table read.department_versions (
    id            uuid        not null,
    version       integer     not null,
    revision      integer     not null,
    code          text        not null,
    name          text        not null,
    description   text        not null,
    sort_order    integer     not null,
    status        text        not null,
    parent_id     uuid,
    contact       text        not null,
    role          text        not null,
    created_at    timestamptz not null,
    created_by    text        not null,
    changed_at    timestamptz not null,
    changed_by    text        not null,
    epoch_from    integer     not null,
    position_from bigint      not null,
    epoch_to      integer     not null,
    position_to   bigint      not null,
    recorded_at   timestamptz not null,
    primary key (id, epoch_from, position_from)
);
create index on read.department_versions (epoch_to, position_to);

truncate read.activity_types, read.activity_type_closure, read.departments, read.department_closure;
update projection.checkpoints
set epoch = 0, position = 0, generation = generation + 1 where name in ('activity_types', 'departments');
delete from projection.parked where projection in ('activity_types', 'departments');

reset role;
