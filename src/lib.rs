//! Lets a site say "Sign in with Google".
//!
//! A request walks one way: `server` → `web` → an operation (`login`, `sessions`, `users`, `tokens`) → `store`.
//! Start reading at [`login`]; it is what everything else is for.
//!
//! | room | what happens there | what it may import |
//! |---|---|---|
//! | [`clock`], [`random`] | time and entropy, injected everywhere | nothing |
//! | [`metrics`] | what is counted while running | nothing |
//! | [`credential`] | a value handed out once, remembered as a hash | random |
//! | [`model`] | the nouns | credential, clock |
//! | [`config`] | what the operator says | model |
//! | [`logging`] | what is written down while running | config |
//! | [`store`] | what we remember: MySQL or SQLite, twin rooms | model, credential, config, clock, random, names, metrics |
//! | [`names`] | host names to addresses | nothing |
//! | [`access`] | who may come in; pure | model, config |
//! | [`gate`] | which app a person may pass on to; pure | model, config |
//! | [`assertion`] | the signed word that tells an app who is asking | store, model, credential, clock, random |
//! | [`audit`] | what happened, in the log and in the store | store, model, clock, config |
//! | [`sessions`], [`users`], [`tokens`] | the operations on each | store, access, audit, model, credential, clock, random, config, metrics |
//! | [`devices`] | terminals that wait for their person to let them in | store, tokens, model, credential, clock, random |
//! | [`countersign`] | how a command and a running instance recognise each other | store, clock, random |
//! | [`login`] | from "not known" to "signed in" | all of the above |
//! | [`pages`] | what a person sees | clock, model, config |
//! | [`web`] | everything that speaks HTTP | all of the above, of `store` only its errors |
//! | [`server`] | bytes in and out, the drain, the janitor | web, config, clock, names, metrics, sessions, tokens, devices, audit, of `store` only its errors |
//! | [`demo`] | a pretend provider that shares no code with `login` | clock, random |
//! | [`cli`] | what an operator types; the only room that may import everything | everything |
//!
//! There is no arrow back in this table. `tests/it/house_rules.rs` holds it as data and checks it.

pub mod access;
pub mod assertion;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod countersign;
pub mod credential;
pub mod demo;
pub mod devices;
pub mod gate;
pub mod logging;
pub mod login;
pub mod metrics;
pub mod model;
pub mod names;
pub mod pages;
pub mod random;
pub mod server;
pub mod sessions;
pub mod store;
pub mod tokens;
pub mod users;
pub mod web;
