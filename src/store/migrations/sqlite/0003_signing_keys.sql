-- Keys that sign assertions for the apps behind the gate. Times are seconds since 1970 in UTC.
create table if not exists doorward_signing_keys (
    number integer primary key, -- counted up: the next key takes the next number
    private_key blob not null, -- PKCS 8, for ES256
    created_at integer not null,
    signs_from integer not null -- published before, so that every app knows it in time
) strict;
