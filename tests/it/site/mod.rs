//! The harness: a whole running instance for a test, and those who visit it.

pub mod binary;
pub mod browser;
pub mod independent;
pub mod line;
pub mod program;
pub mod tiers;
pub mod visitors;
