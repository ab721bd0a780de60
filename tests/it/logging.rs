//! The log cannot be forged, does not stop anything, and says nothing of other crates' secrets.

use std::io::{self, Write};

use doorward::logging::{Lines, filter};
use tracing_subscriber::filter::LevelFilter;

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
