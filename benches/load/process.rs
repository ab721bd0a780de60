//! What the system says of a process.

use std::fs;

/// Ticks of the clock in which Linux counts a process's time, in all builds of it.
const TICKS: f64 = 100.0;

/// CPU seconds that the process with this id has spent, all its threads together.
pub fn cpu_seconds(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("a process that runs");
    // The name may hold spaces; what follows it begins with the state, the third field.
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = |place: usize| fields[place - 3].parse::<f64>().expect("a number");
    (ticks(14) + ticks(15)) / TICKS
}

/// Resident memory of the process in MiB: now, and at its highest.
pub fn resident_mib(id: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a process that runs");
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of this name");
        line.trim_matches([' ', '\t', ':']).trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    };
    (mib("VmRSS"), mib("VmHWM"))
}
