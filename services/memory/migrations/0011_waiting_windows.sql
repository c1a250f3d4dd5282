-- What of a group waits for a summary is found without a look at all that waits.
alter table backlog add column group_id text; -- null where nobody asks by it
create index backlog_by_group on backlog (tenant_id, group_id) where stage = 'summarised';
