//! The harness: a whole running instance for a test, and those who visit it.

pub mod axe;
pub mod binary;
pub mod browser;
pub mod databases;
pub mod demo;
pub mod desk;
pub mod echo;
pub mod empty_root;
pub mod faults;
pub mod flood;
pub mod front;
pub mod gallery;
pub mod independent;
pub mod instance;
pub mod line;
pub mod log;
pub mod memory;
pub mod name_server;
pub mod person;
pub mod place;
pub mod program;
pub mod provider;
pub mod tiers;
pub mod visitors;
pub mod wire;
