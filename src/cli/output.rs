//! Data to standard output, talk to standard error. Neither panics when whoever listened has gone (`… | head`).

use std::io::{self, ErrorKind, Write};

use crate::cli::failure::Failure;

/// Writes data as it stands, without adding a line end. A reader who has seen enough is no failure.
pub fn print(data: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let failure = Failure::not_so(format!("the output could not be written: {error}"));
            Err(failure.hint("what was to be done is done; look at the disk that it was written to"))
        }
        _ => Ok(()),
    }
}

/// Says a line to the person at the terminal. Nobody there is no failure either.
pub fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
