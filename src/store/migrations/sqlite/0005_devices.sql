-- Programs that wait for their person to let them in: for ten minutes, under hashes of both their codes.
create table if not exists doorward_devices (
    code blob not null primary key, -- SHA-256 of what the program holds
    user_code blob not null unique, -- SHA-256 of what the person types
    machine text not null, -- what the program calls the machine it runs on
    address text not null, -- where it asked from
    scope text not null,
    created_at integer not null,
    expires_at integer not null,
    polled_at integer, -- when it last asked whether it may come in
    pause integer not null, -- how many seconds it must leave between two questions
    state text not null, -- pending, approved, denied
    user_id text -- who decided
) strict, without rowid;
create index if not exists doorward_devices_expires on doorward_devices (expires_at);
