//! Where a connection stands before anybody makes room for it: a socket, and the few bytes that it began with.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, Take};

use crate::server::activity::Activity;

/// What every client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many bytes are read at once. hyper looks whether headers are too long after each read, not within one.
const MOST_AT_ONCE: usize = 8 * 1024;

/// Which protocol a client began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1, or something that its parser will refuse.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Bytes in and out; some were read already and are read again first.
pub struct Threshold<I> {
    io: Take<I>,
    unread: Bytes,
    activity: Arc<Activity>,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Threshold<I> {
    /// A connection from which nothing was read yet.
    pub fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io: io.take(0), unread: Bytes::new(), activity }
    }

    /// Waits until the client shows which protocol it speaks; `None` where it leaves before.
    pub async fn first_words(&mut self) -> Option<Spoken> {
        let mut words = [0; PREFACE.len()];
        let mut length = 0;
        loop {
            length += self.hear(&mut words[length..]).await?;
            let spoken = match &words[..length] {
                whole if whole == PREFACE => Spoken::Http2,
                begun if PREFACE.starts_with(begun) => continue,
                _ => Spoken::Http1,
            };
            self.unread = Bytes::copy_from_slice(&words[..length]);
            return Some(spoken);
        }
    }

    /// Waits until the client says something more; `None` where it leaves.
    pub async fn next_word(&mut self) -> Option<()> {
        if self.unread.is_empty() {
            let mut words = [0; PREFACE.len()];
            let length = self.hear(&mut words).await?;
            self.unread = Bytes::copy_from_slice(&words[..length]);
        }
        Some(())
    }

    async fn hear(&mut self, words: &mut [u8]) -> Option<usize> {
        self.io.get_mut().read(words).await.ok().filter(|length| *length > 0)
    }

    /// Makes `unread`, the last that was read, what is read next. Copied: even an empty end of a buffer holds all of it.
    pub fn put_back(&mut self, unread: &[u8]) {
        self.unread = Bytes::copy_from_slice(unread);
    }

    /// Says good-bye, within `limit`.
    pub async fn close(mut self, limit: Duration) {
        // Whether the other end hears it or not, the connection ends.
        let _ = tokio::time::timeout(limit, self.io.get_mut().shutdown()).await;
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Threshold<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.unread.len().min(buf.remaining()).min(MOST_AT_ONCE);
        self.io.set_limit((MOST_AT_ONCE - length) as u64);
        if length == 0 {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        buf.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        if self.unread.is_empty() {
            self.unread = Bytes::new();
            // What follows is there already, nearly always; an error will be met again.
            let _ = Pin::new(&mut self.io).poll_read(cx, buf);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Threshold<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.activity.note_flushed(false);
        Pin::new(self.io.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.note_flushed(false);
        Pin::new(self.io.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    /// hyper flushes once all it had is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.io.get_mut()).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.activity.note_flushed(true);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(cx)
    }
}
