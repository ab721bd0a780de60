//! Figures as lines of Markdown on stdout.

use std::fs;
use std::io::Write;

use crate::arguments::Arguments;

/// Writes one line.
pub fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    // Nobody reads on: then nobody misses it.
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Writes the head of a table.
pub fn head(title: &str, columns: &[&str]) {
    say(format!("\n### {title}\n"));
    say(format!("| {} |", columns.join(" | ")));
    say(format!("|{}", "---|".repeat(columns.len())));
}

/// Writes a row of a table.
pub fn row(cells: &[String]) {
    say(format!("| {} |", cells.join(" | ")));
}

/// The middle of `figures`.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Says on what it runs.
pub fn machine(arguments: &Arguments) {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(format!(
        "{count} x {}, Linux {}, load before {}; {} rounds of {} s, {} sessions",
        model.trim_start_matches(['\t', ' ', ':']),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        arguments.rounds,
        arguments.seconds,
        arguments.sessions,
    ));
    for binary in &arguments.binaries {
        say(format!("- {}", binary.display()));
    }
}
