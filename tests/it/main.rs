//! All tests of Doorward in one binary, so that there is one thing to link.
//!
//! `tests/run` sets up what the tests talk to and runs them; a tier that is not set up is skipped aloud, or fails with
//! `CI=true` (see [`site::tiers`]). Each file is named for the word that it is about.

mod access;
mod access_at_use;
mod accessibility;
mod account;
mod adoption;
mod alerts;
mod api_me;
mod api_sessions;
mod api_tokens;
mod apps;
mod assertion;
mod assertion_languages;
mod audit;
mod binary;
mod browser_story;
mod cli;
mod client_address;
mod config;
mod config_example;
mod cookies;
mod csrf;
mod database_tls;
mod demo;
mod denied;
mod devices;
mod doctor;
mod doctor_page;
mod evening;
mod every_door;
mod front_door;
mod gate;
mod gate_rules;
mod host;
mod house_rules;
mod https;
mod independent;
mod init;
mod languages;
mod limits;
mod logging;
mod login;
mod login_begin;
mod login_bounds;
mod login_finish;
mod login_id_token;
mod login_identity;
mod login_keys;
mod login_log;
mod login_return_to;
mod logout;
mod look;
mod manual;
mod markup;
mod metrics;
mod migrations;
mod names;
mod oauth2_proxy;
mod openapi;
mod operator;
mod outage;

mod package;
mod pages;
mod paging;
mod promises;
mod proxies;
mod readme;
mod reload;
mod removal;
mod revocation;
mod screenshots;
mod security_headers;
mod server;
mod sessions;
mod static_binary;
mod store;
mod supervisor;
mod terminal;
mod trace;
mod wrong_turns;

// The harness.
mod site;
