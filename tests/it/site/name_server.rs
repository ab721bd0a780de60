//! A name server that knows one name (RFC 1035), on loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Where resolvers ask, as no file of theirs can say otherwise.
const PORT: u16 = 53;

const HEADER: usize = 12;
const NXDOMAIN: u8 = 3;
const TYPE_A: [u8; 2] = [0, 1];

/// Answers until it is dropped.
pub struct NameServer {
    asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl NameServer {
    /// One at `at`, port 53, that says `name` is `address` and that there is nothing else.
    pub async fn start(at: Ipv4Addr, name: &'static str, address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind(SocketAddr::from((at, PORT))).await.expect("port 53 of an address of our own");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                if let Some((answer, is_known)) = answer(&question[..length], name, address) {
                    counted.fetch_add(usize::from(is_known), Ordering::SeqCst);
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { asked, task }
    }

    /// How often it was asked for the name that it knows.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to `question`, and whether it was for `name`. `None`: it is no question.
fn answer(question: &[u8], name: &str, address: Ipv4Addr) -> Option<(Vec<u8>, bool)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(std::str::from_utf8(question.get(at..at + length)?).ok()?.to_ascii_lowercase());
        at += length;
    }
    let end = at + 4;
    let kind = question.get(at..at + 2)?;
    let is_known = labels.join(".") == name;
    let has_address = is_known && kind == TYPE_A;
    let mut answer = question.get(..2)?.to_vec();
    // An answer with recursion, and how it went.
    answer.extend([0x81, 0x80 | if is_known { 0 } else { NXDOMAIN }]);
    // One question, perhaps one answer, nothing further.
    answer.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
    answer.extend(question.get(HEADER..end)?);
    if has_address {
        // The name of the question, A, IN, a minute, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some((answer, is_known))
}
