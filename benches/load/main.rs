//! Load, measured: Doorward beside a bare poem handler that says the same bytes, in one run on one machine.
//!
//! Everything is started here, on loopback: a MariaDB server, the bare handler (this program again), one or more
//! Doorwards, and `wrk`. Each round measures every subject in turn (A B C, A B C, …), so that a bad minute of the machine
//! hits all of them; the report gives medians, ratios to the bare handler, and the CPU seconds that each spent on ten
//! thousand requests, which say more than rates where other programs run beside.
//!
//! | argument | meaning |
//! |---|---|
//! | `--rows a,b` | what is measured, see [`ROWS`]; without it all but the long ones |
//! | `--rounds N`, `--seconds N` | how often (3), and how long each time (5) |
//! | `--connections a,b` | of the rows `mysql` and `sqlite` (1,32,256) |
//! | `--sessions N` | how many are open (10000) |
//! | `--config TEXT` | further lines for Doorward's configuration |
//!
//! `DOORWARD_BENCH_BINARY` names the binaries to measure, separated by commas, in place of the one that Cargo built.

mod arguments;
mod bare;
mod checks;
mod database;
mod growth;
mod logins;
mod openings;
mod process;
mod report;
mod steady;
mod subject;
mod wrk;

#[path = "../../tests/it/site/mod.rs"]
#[expect(dead_code, reason = "the tests' harness, of which this needs only a few parts")]
mod site;

use crate::arguments::Arguments;

/// A row of the report: its name, whether it takes long, what does it.
type Row = (&'static str, bool, fn(&Arguments));

/// What can be measured.
const ROWS: &[Row] = &[
    ("size", false, openings::size),
    ("start", false, openings::start),
    ("mysql", false, checks::mysql),
    ("sqlite", false, checks::sqlite),
    ("gate", false, checks::gate),
    ("select", false, checks::select),
    ("steady", false, checks::steady),
    ("login", false, logins::login),
    ("overload", false, checks::overload),
    ("open", false, openings::connections),
    ("growth-sqlite", true, growth::sqlite),
    ("growth-mysql", true, growth::mysql),
];

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    if let [door, port, answer] = given.as_slice()
        && door == bare::ARGUMENT
    {
        return bare::serve(port, answer);
    }
    let arguments = Arguments::read(&given);
    report::machine(&arguments);
    for (name, is_long, measure) in ROWS {
        if arguments.wants(name, *is_long) {
            measure(&arguments);
        }
    }
}
