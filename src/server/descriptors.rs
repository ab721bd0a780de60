//! How many connections there is room for: each is a descriptor, and so are files and the lines to the database and the
//! provider, which whoever has a connection already needs.

/// What is kept for files, listeners, the metrics and lines to the provider.
const KEPT: usize = 64;

/// How many of `wanted` connections can be held beside `others` to the database. Raises the limit of open files for it as
/// far as we may.
pub fn room_for(wanted: usize, others: usize) -> usize {
    let kept = KEPT + others;
    limit(wanted.saturating_add(kept)).map_or(wanted, |limit| wanted.min(limit - kept.min(limit / 2)).max(1))
}

/// How many files may be open, at best `wanted`; `None`: as many as one likes.
#[cfg(unix)]
fn limit(wanted: usize) -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let (limit, wanted) = (getrlimit(Resource::Nofile), u64::try_from(wanted).unwrap_or(u64::MAX));
    let current = limit.current?;
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    // The usual 1,024 is what programs of old can bear (select(2)), not what a system can give.
    let raised = Rlimit { current: Some(most), maximum: limit.maximum };
    let in_force = if most > current && setrlimit(Resource::Nofile, raised).is_ok() { most } else { current };
    usize::try_from(in_force).ok()
}

/// How many files may be open: not told by this system.
#[cfg(not(unix))]
fn limit(_wanted: usize) -> Option<usize> {
    None
}
