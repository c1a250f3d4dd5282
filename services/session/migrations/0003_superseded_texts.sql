-- What the turn that holds the lease is to answer: the messages of the turns that it superseded, oldest
-- first, then its own. Emptied with the lease.
alter table sessions add column lease_texts text[] not null default '{}';
