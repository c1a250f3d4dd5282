-- The updated_at that the last commit has replaced: by it a cache sees whether what it holds is what that
-- turn was added to. Null before a commit of this release.
alter table sessions add column updated_before timestamptz;
