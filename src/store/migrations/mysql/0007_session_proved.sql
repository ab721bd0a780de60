-- When the person last showed the provider who they are; of the sessions that are there it is not known.
alter table doorward_sessions add column proved_at bigint;
