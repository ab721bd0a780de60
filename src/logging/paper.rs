//! Where the lines of the log are collected on their way out.
//!
//! A write to the system for each request costs as much as the rest of its answer. So a line is put down here, and a
//! thread takes away what has come together: at once where nothing was written for a while, a moment later under load.
//! Whoever reports trouble waits until it is written, so that a crash that follows takes nothing with it; so does
//! everybody once very much has come together, which bounds it.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// For how long lines may come together.
const MOMENT: Duration = Duration::from_millis(2);

/// How many bytes may come together.
const MOST: usize = 256 * 1024;

/// Lines under way to one output.
pub struct Paper {
    lines: Mutex<Vec<u8>>,
    news: Condvar,
    output: Mutex<Box<dyn Write + Send>>,
    /// Whether somebody carries the lines away. Without that everybody carries their own.
    is_carried: AtomicBool,
}

impl Paper {
    /// Lines to `output`, taken there by a thread that lives for as long as the process does.
    pub fn on(output: impl Write + Send + 'static) -> Arc<Self> {
        let (lines, output) = (Mutex::default(), Mutex::new(Box::new(output) as Box<dyn Write + Send>));
        let paper = Arc::new(Self { lines, news: Condvar::new(), output, is_carried: AtomicBool::new(false) });
        let carried = Arc::clone(&paper);
        let carrier = thread::Builder::new().name("log".to_owned()).spawn(move || carried.carry());
        paper.is_carried.store(carrier.is_ok(), Ordering::Release);
        paper
    }

    /// Puts `line` down. With `wait` it, and everything before it, is written when this returns.
    pub fn put(&self, line: &[u8], wait: bool) {
        let much = {
            let mut lines = self.lines();
            lines.extend_from_slice(line);
            // Whoever carries and is not waiting looks again by themselves.
            if lines.len() == line.len() && !wait {
                self.news.notify_one();
            }
            lines.len() > MOST
        };
        if wait || much || !self.is_carried.load(Ordering::Acquire) {
            self.flush();
        }
    }

    /// Writes what has come together.
    pub fn flush(&self) {
        // The output first: whoever takes lines while another writes would overtake them.
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.lines());
        if !lines.is_empty() {
            // A log that cannot be written is lost, and nothing else.
            let _ = output.write_all(&lines).and_then(|()| output.flush());
        }
    }

    fn carry(&self) {
        loop {
            let lines = self.lines();
            drop(self.news.wait_while(lines, |lines| lines.is_empty()).unwrap_or_else(PoisonError::into_inner));
            self.flush();
            thread::sleep(MOMENT);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
