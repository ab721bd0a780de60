//! An app behind a proxy: it says what it was asked, and remembers it. Beside that it streams events, speaks WebSocket as far
//! as an echo goes, and counts what is uploaded.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A running app. It ends when it is dropped.
pub struct Echo {
    /// Where the proxy reaches it.
    pub url: String,
    heard: Arc<Mutex<Vec<String>>>,
    /// Lets the stream of events go on.
    pub go_on: Arc<Notify>,
    serving: tokio::task::JoinHandle<()>,
}

impl Echo {
    /// An app on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (heard, go_on) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (ears, signal) = (Arc::clone(&heard), Arc::clone(&go_on));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ears, signal) = (Arc::clone(&ears), Arc::clone(&signal));
                tokio::spawn(async move {
                    // A proxy that hangs up half-way is its own business.
                    let _ = serve(stream, &ears, &signal).await;
                });
            }
        });
        Self { url, heard, go_on, serving }
    }

    /// The heads of all requests since the last look: request line and headers.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().expect("nobody panics with it in hand"))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, ears: &Mutex<Vec<String>>, go_on: &Notify) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).await? > 2 {}
    if head.is_empty() {
        return Ok(());
    }
    ears.lock().expect("nobody panics with it in hand").push(head.clone());
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    if path.starts_with("/events") {
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n";
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
        go_on.notified().await;
        return stream.write_all(b"data: second\n\n").await;
    }
    if let Some(key) = header(&head, "sec-websocket-key") {
        // RFC 6455, section 4.2.2
        let accept = ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
        );
        let accept = STANDARD.encode(accept.as_ref());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await?;
        let mut bytes = [0; 1024];
        loop {
            match stream.read(&mut bytes).await? {
                0 => return Ok(()),
                read => stream.write_all(&bytes[..read]).await?,
            }
        }
    }
    let uploaded = body(&mut stream, &head).await?;
    let text = format!("{head}uploaded: {uploaded}\n");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// How many bytes the body has, in either framing of RFC 9112, section 6.
async fn body(stream: &mut BufReader<TcpStream>, head: &str) -> std::io::Result<usize> {
    if let Some(length) = header(head, "content-length").and_then(|length| length.parse().ok()) {
        return Ok(tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await? as usize);
    }
    let mut all = 0;
    while header(head, "transfer-encoding").is_some() {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        tokio::io::copy(&mut stream.take(size as u64 + 2), &mut tokio::io::sink()).await?;
        all += size;
        if size == 0 {
            break;
        }
    }
    Ok(all)
}

/// The first header of this name, in any case.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
