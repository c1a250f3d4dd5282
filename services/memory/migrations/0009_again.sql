-- What passes a stage again, since somebody asked for it, goes after what is new: nobody waits for it.
alter table backlog add column again boolean not null default false;
drop index backlog_due;
create index backlog_due on backlog (stage, due_at) where not again;
create index backlog_due_again on backlog (stage, due_at) where again;

-- Vectors of a model that is to follow the one in force are made beside those of that one.
alter table backlog drop constraint backlog_stage_check;
alter table backlog add constraint backlog_stage_check
  check (stage in ('embedded', 'embedded_next', 'extracted', 'resolved', 'summarised'));
