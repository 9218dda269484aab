-- Every row that ever was, for everything that clients read: work orders, activities, groups, definitions and
-- approvals had theirs from the beginning. The projections start over, for they fold the versions with the rows.

set local role cardinal_app;

do $$
declare
    kept text[];
begin
    foreach kept slice 1 in array array[
        ['activity_types', 'activity_type_versions'],
        ['cost_types', 'cost_type_versions'],
        ['activity_forms', 'activity_form_versions'],
        ['departments', 'department_versions'],
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

-- What hangs on the whole tree is no column of one entry's version.
alter table read.activity_type_versions
    drop column path, drop column ancestor_ids, drop column effective_status, drop column depth;
alter table read.department_versions
    drop column path, drop column ancestor_ids, drop column effective_status, drop column depth;
truncate read.activity_type_closure, read.department_closure;

reset role;
