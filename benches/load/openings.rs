//! What Doorward is before anybody asks: its size, its start, its memory, idle and with thousands of open connections.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::arguments::Arguments;
use crate::database::{MariaDb, SqliteFile};
use crate::report::{head, median, row};
use crate::subject::Subject;

/// How many connections are opened, where the system lets a process hold as many.
const CONNECTIONS: usize = 20_000;

/// People in the file that a start is measured on.
const PEOPLE: u64 = 1_000_000;

/// The binaries on disk.
pub fn size(arguments: &Arguments) {
    head("Size", &["binary", "bytes"]);
    for binary in &arguments.binaries {
        let bytes = fs::metadata(binary).expect("the binary").len();
        row(&[binary.display().to_string(), bytes.to_string()]);
    }
}

/// From the start to the first 200 of `/readyz`, on SQLite with a million users; and what it then holds in memory.
pub fn start(arguments: &Arguments) {
    let file = SqliteFile::filled(&arguments.binaries[0], PEOPLE, 10_000);
    head("Start on SQLite with a million users", &["binary", "ms until /readyz", "longest", "MiB idle"]);
    for binary in &arguments.binaries {
        let starts = 5 * arguments.rounds;
        let (mut took, mut resident) = (Vec::new(), Vec::new());
        for _ in 0..starts {
            let subject = Subject::doorward(binary, &file.url(), &arguments.config);
            took.push(subject.started_in.as_secs_f64() * 1e3);
            resident.push(subject.resident_mib().0);
        }
        let longest = took.iter().copied().fold(0.0, f64::max);
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        row(&[name, format!("{:.1}", median(&took)), format!("{longest:.1}"), format!("{:.1}", median(&resident))]);
    }
}

/// Memory with very many connections, each of which has asked once and stays.
pub fn connections(arguments: &Arguments) {
    let database = MariaDb::start(256);
    database.fill(&arguments.binaries[0], arguments.sessions, arguments.sessions);
    let wanted = CONNECTIONS.min(open_files().saturating_sub(100));
    head("Open connections", &["binary", "connections", "MiB idle", "MiB with them", "highest", "MiB afterwards"]);
    for binary in &arguments.binaries {
        let subject = Subject::doorward(binary, &database.url(), &arguments.config);
        let idle = subject.resident_mib().0;
        let cookie = format!("Cookie: {}={}{:035}\r\n", subject.cookie, crate::database::HANDLE, 1);
        let request = format!("GET /api/me HTTP/1.1\r\nHost: localhost:{}\r\n{cookie}\r\n", subject.port);
        let mut open = Vec::with_capacity(wanted);
        for _ in 0..wanted {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, subject.port)).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it reads");
            let mut answer = [0; 4096];
            let length = stream.read(&mut answer).expect("it answers");
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "another answer");
            open.push(stream);
        }
        let (with, highest) = subject.resident_mib();
        let count = open.len();
        drop(open);
        std::thread::sleep(Duration::from_secs(2));
        let after = subject.resident_mib().0;
        row(&[
            subject.name.clone(),
            count.to_string(),
            format!("{idle:.1}"),
            format!("{with:.1}"),
            format!("{highest:.1}"),
            format!("{after:.1}"),
        ]);
    }
}

/// How many files a process may hold open here.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).unwrap_or(1024)
}
