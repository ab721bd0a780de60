//! HTTP/2 as bytes (RFC 9113): frames that no library would send, and what comes back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::site::program::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The setting of how much of each answer is taken before more is allowed.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The stream that a client opens as its `number`th, counted from 0.
pub fn stream(number: usize) -> u32 {
    u32::try_from(2 * number + 1).expect("a stream")
}

/// A request's headers, each written out (RFC 7541, section 6.2.2).
pub fn headers(method: &str, target: &str, authority: &str, further: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", target)];
    let mut block = Vec::new();
    for (name, value) in pseudo.iter().chain(further) {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// A header that is remembered by the other end, and is index 62 from then on.
pub fn remembered(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x40];
    text(&mut block, name);
    text(&mut block, value);
    block
}

/// A string without Huffman's code; its length is an integer with a prefix of seven bits.
fn text(block: &mut Vec<u8>, text: &str) {
    const MOST: usize = 127;
    block.push(text.len().min(MOST) as u8);
    if text.len() >= MOST {
        let mut rest = text.len() - MOST;
        while rest >= 128 {
            block.push((rest % 128 + 128) as u8);
            rest /= 128;
        }
        block.push(rest as u8);
    }
    block.extend(text.as_bytes());
}

/// A client that sends what it likes.
pub struct Peer {
    reading: OwnedReadHalf,
    writing: OwnedWriteHalf,
}

/// What a server said until it closed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// With which code it sent the client away, if it did.
    pub goaway: Option<u32>,
    /// How many answers it began.
    pub answers: usize,
    /// How many streams it reset.
    pub resets: usize,
    /// How many pings of ours it answered, or of its own sent.
    pub pings: usize,
}

impl Peer {
    /// Begins with HTTP/2 and these settings.
    pub async fn greet(connection: TcpStream, settings: &[(u16, u32)]) -> Self {
        let (reading, writing) = connection.into_split();
        let setting = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let settings: Vec<u8> = settings.iter().flat_map(setting).collect();
        let mut peer = Self { reading, writing };
        assert!(peer.send(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat()).await, "it listens");
        peer
    }

    /// Sends these bytes. Whether they were taken.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.writing.write_all(bytes).await.is_ok()
    }

    /// Reads until `number` answers have begun.
    pub async fn until_answers(&mut self, number: usize) {
        let mut said = Said::default();
        while said.answers < number {
            let heard = timeout(PATIENCE, hear(&mut self.reading, &mut said)).await.expect("in time");
            assert!(heard.is_some(), "it closed: {said:?}");
        }
    }

    /// Sends these bytes and listens meanwhile, until the server has closed: at the latest when all is said.
    pub async fn attack(self, bytes: &[u8]) -> Said {
        let Self { reading, mut writing } = self;
        let send = async move {
            // It may have heard enough before it has heard all.
            let _ = writing.write_all(bytes).await;
            let _ = writing.shutdown().await;
            writing
        };
        let hear = Self::end_of(reading);
        let (_writing, said) = timeout(PATIENCE, async { tokio::join!(send, hear) }).await.expect("it ends");
        said
    }

    /// Says nothing more, but answers pings as libraries do, and listens until the server has closed.
    pub async fn end(mut self) -> Said {
        let mut said = Said::default();
        while let Some((kind, payload)) = hear(&mut self.reading, &mut said).await {
            if kind == PING && !self.send(&frame(PING, ACK, 0, &payload)).await {
                break;
            }
        }
        said
    }

    async fn end_of(mut reading: OwnedReadHalf) -> Said {
        let mut said = Said::default();
        while hear(&mut reading, &mut said).await.is_some() {}
        said
    }
}

/// Takes one frame: its kind and what is in it. `None`: there is no more.
async fn hear(reading: &mut OwnedReadHalf, said: &mut Said) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    reading.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    reading.read_exact(&mut payload).await.ok()?;
    match head[3] {
        HEADERS => said.answers += 1,
        RST_STREAM => said.resets += 1,
        PING => said.pings += 1,
        GOAWAY => said.goaway = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().expect("four bytes"))),
        _ => {}
    }
    Some((head[3], payload))
}
