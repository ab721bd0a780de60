//! Questions at a given pace, each on a thread and a connection that have nothing else to do.
//!
//! A latency is counted from the moment at which the question was due, not from when it was sent: a server that keeps
//! one of them waiting keeps those behind it waiting too.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::database::HANDLE;
use crate::subject::Subject;

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Over how many connections.
    pub connections: u32,
    /// How many questions a second over all of them; `None`: each as soon as the one before is answered.
    pub per_second: Option<u32>,
    /// For how long.
    pub duration: Duration,
}

/// Latencies.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Half of them are below this.
    pub median_ms: f64,
    /// 99 of 100 are.
    pub p99_ms: f64,
    /// All are.
    pub longest_ms: f64,
}

impl Found {
    /// What these latencies come to.
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |part: usize| {
            let place = (latencies.len() * part / 1000).min(latencies.len() - 1);
            latencies[place].as_secs_f64() * 1e3
        };
        Self { median_ms: at(500), p99_ms: at(990), longest_ms: at(1000) }
    }
}

/// Asks `subject` for `sessions` in turn.
pub fn run(subject: &Subject, sessions: u64, pace: Pace) -> Found {
    let begin = Instant::now() + Duration::from_millis(50);
    let latencies = std::thread::scope(|scope| {
        let ask = |number| move || ask(subject, sessions, pace, number, begin);
        let threads: Vec<_> = (0..pace.connections).map(|number| scope.spawn(ask(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect()
    });
    Found::of(latencies)
}

fn ask(subject: &Subject, sessions: u64, pace: Pace, number: u32, begin: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, subject.port)).expect("it listens");
    stream.set_nodelay(true).expect("an option");
    let every = pace.per_second.map(|per_second| Duration::from_secs(u64::from(pace.connections)) / per_second);
    let first = begin + every.unwrap_or_default() * number / pace.connections;
    let mut buffer = vec![0; 16 * 1024];
    let mut latencies = Vec::new();
    for turn in 0_u32.. {
        let due = every.map_or_else(Instant::now, |every| first + every * turn);
        if due > begin + pace.duration {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let session = (u64::from(turn) * u64::from(pace.connections) + u64::from(number)) * 7919 % sessions;
        // Not one of those that end first: a sweep may have taken them.
        let session = if session % 3600 < 100 { (session + 100).min(sessions) } else { session };
        exchange(&mut stream, subject, session, &mut buffer);
        latencies.push(due.elapsed());
    }
    latencies
}

fn exchange(stream: &mut TcpStream, subject: &Subject, session: u64, buffer: &mut [u8]) {
    let host = format!("Host: localhost:{}", subject.port);
    let cookie = format!("Cookie: {}={HANDLE}{session:035}", subject.cookie);
    let request = format!("GET /api/me HTTP/1.1\r\n{host}\r\n{cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut length = 0;
    loop {
        length += stream.read(&mut buffer[length..]).expect("it answers");
        if let Some(whole) = whole(&buffer[..length]) {
            assert!(buffer.starts_with(b"HTTP/1.1 200 ") && length <= whole, "another answer");
            if length == whole {
                return;
            }
        }
    }
}

/// How long the answer is that begins here, once its head is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let body = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head.len() + 4 + body.parse::<usize>().ok()?)
}
