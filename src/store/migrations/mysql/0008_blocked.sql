-- Who is blocked is asked for among millions who are not.
create index doorward_identities_blocked on doorward_identities (blocked_at);
