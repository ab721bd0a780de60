//! The log cannot be forged, does not stop anything, and says nothing of other crates' secrets.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use doorward::logging::paper::Paper;
use doorward::logging::{Lines, filter};
use tracing_subscriber::filter::LevelFilter;

use crate::site::program::{PATIENCE, PAUSE};

/// AUD-03: what strangers choose (a user agent, a name, an error's description) stays in its line.
#[test]
fn an_event_is_one_line_whatever_stands_in_it() {
    let mut written = Vec::new();
    let hostile = "WARN name=a\nINFO forged \x1b[2J\r\u{9b}31m\u{202e}\u{2028}\u{7f} ключ é\n";
    Lines::new(&mut written).write_all(hostile.as_bytes()).expect("writing never fails");
    let line = String::from_utf8(written).expect("UTF-8");
    assert_eq!(line, "WARN name=a\\u000aINFO forged \\u001b[2J\\u000d\\u009b31m\\u202e\\u2028\\u007f ключ é\n");
    let mut json = Vec::new();
    Lines::new(&mut json).write_all("{\"name\":\"a\u{9b}b\"}\n".as_bytes()).expect("writing never fails");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON stays JSON");
    assert_eq!(json["name"], "a\u{9b}b");
}

/// AUD-04: a closed pipe or a full disk.
#[test]
fn a_log_that_cannot_be_written_is_lost_and_nothing_else() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut lines = Lines::new(Gone);
    assert_eq!(lines.write(b"event\n").expect("writing never fails"), 6);
    lines.flush().expect("flushing never fails");
}

/// AUD-02: HTTP crates write headers down at `debug`.
#[test]
fn other_crates_never_come_below_info() {
    for level in ["trace", "trace,hyper=trace,h2=trace", "debug,mysql_async=debug"] {
        let filter = filter(level);
        for target in ["hyper", "h2", "mysql_async", "reqwest"] {
            assert!(!filter.would_enable(target, &tracing::Level::DEBUG), "{level}: {target}");
        }
    }
    assert!(filter("trace").would_enable("doorward::login", &tracing::Level::TRACE));
    assert!(!filter("info").would_enable("doorward", &tracing::Level::DEBUG));
    assert!(filter("error,doorward::login=debug").would_enable("doorward::login", &tracing::Level::DEBUG));
    assert!(!filter("error,doorward::login=debug").would_enable("doorward::web", &tracing::Level::WARN));
    assert_eq!(filter("off").iter().map(|(_, level)| level).max(), Some(LevelFilter::OFF));
}

/// What a [`Paper`] wrote, in the pieces in which it came.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<Vec<u8>>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panics").concat()).expect("UTF-8")
    }

    fn pieces(&self) -> usize {
        self.0.lock().expect("no writer panics").len()
    }
}

impl Write for Written {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").push(piece.to_vec());
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_may_wait_come_together_in_their_order_and_none_is_lost() {
    const THREADS: usize = 4;
    const LINES: usize = 5_000;
    let written = Written::default();
    let paper = Paper::on(written.clone());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let paper = &paper;
            scope.spawn(move || (0..LINES).for_each(|line| paper.put(format!("{thread} {line}\n").as_bytes(), false)));
        }
    });
    paper.flush();
    let text = written.text();
    let mut next = [0; THREADS];
    for line in text.lines() {
        let (thread, number) = line.split_once(' ').expect("a whole line");
        let next = &mut next[thread.parse::<usize>().expect("a number")];
        assert_eq!(number.parse::<usize>().expect("a number"), *next, "{line}");
        *next += 1;
    }
    assert_eq!(next, [LINES; THREADS]);
    assert!(written.pieces() < THREADS * LINES / 10, "{} writes", written.pieces());
}

#[test]
fn a_line_that_presses_takes_those_before_it_along() {
    let written = Written::default();
    let paper = Paper::on(written.clone());
    paper.put(b"a request\n", false);
    paper.put(b"trouble\n", true);
    assert_eq!(written.text(), "a request\ntrouble\n");
}

#[test]
fn a_line_that_may_wait_is_written_without_anybody_asking() {
    let written = Written::default();
    let paper = Paper::on(written.clone());
    for number in 1..=3 {
        paper.put(b"a request\n", false);
        let deadline = Instant::now() + PATIENCE;
        while written.text().lines().count() < number {
            assert!(Instant::now() < deadline, "it is not written");
            std::thread::sleep(PAUSE);
        }
    }
}
