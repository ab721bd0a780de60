-- Who is blocked is asked for among millions who are not.
create index if not exists doorward_identities_blocked on doorward_identities (user_id) where blocked_at is not null;
