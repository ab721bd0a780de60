-- What a token may be used for. The tokens that are there were made to show who somebody is, and stay so.
alter table doorward_tokens add column scope text not null default 'me';
