//! A wire to a MySQL server that reads along, and fails at a chosen packet: for the moments between two statements
//! that no test could hit by chance.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to a packet that the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is lost, and the connection with it.
    CutBefore,
    /// It arrives; the answer is lost, and the connection with it.
    CutAfter,
    /// It does not arrive; the server's answer is made up: this error.
    Refuse(u16),
    /// It is held back, and all that follow on any connection, until [`Wire::thaw`].
    Freeze,
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At the packet with this number, counted from 0 since the fault was set.
    Packet(usize),
    /// At the packet that holds this text.
    Text(&'static str),
}

/// The wire; it carries whatever comes until told otherwise.
pub struct Wire {
    pub address: SocketAddr,
    plan: Arc<Mutex<Plan>>,
    frozen: watch::Sender<bool>,
}

#[derive(Default)]
struct Plan {
    fault: Option<(Moment, Fault)>,
    seen: usize,
    texts: Vec<String>,
}

impl Wire {
    /// A wire from a free loopback port to `target`.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let plan = Arc::new(Mutex::new(Plan::default()));
        let (frozen, _) = watch::channel(false);
        let (shared, freezer) = (Arc::clone(&plan), frozen.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let (from_client, to_client) = near.into_split();
                let (from_server, to_server) = far.into_split();
                let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
                let answers = tokio::spawn(back(from_server, Arc::clone(&to_client), freezer.clone()));
                let (plan, freezer) = (Arc::clone(&shared), freezer.clone());
                tokio::spawn(async move {
                    forth(from_client, to_server, to_client, &plan, &freezer, &answers).await;
                    answers.abort();
                });
            }
        });
        Self { address, plan, frozen }
    }

    /// Lets `fault` happen once, at `moment`.
    pub fn set(&self, moment: Moment, fault: Fault) {
        let mut plan = self.plan.lock().expect("nobody panicked with it");
        *plan = Plan { fault: Some((moment, fault)), ..Plan::default() };
    }

    /// Whether the fault that was set has happened.
    pub fn has_failed(&self) -> bool {
        self.plan.lock().expect("nobody panicked with it").fault.is_none()
    }

    /// How many packets since the fault was set held `text`.
    pub fn heard(&self, text: &str) -> usize {
        let plan = self.plan.lock().expect("nobody panicked with it");
        plan.texts.iter().filter(|heard| heard.contains(text)).count()
    }

    /// Holds everything back, both ways.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Lets everything go on.
    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }
}

fn fault_of(plan: &Mutex<Plan>, packet: &[u8]) -> Option<Fault> {
    let mut plan = plan.lock().expect("nobody panicked with it");
    let text = String::from_utf8_lossy(packet).to_lowercase();
    let number = plan.seen;
    plan.seen += 1;
    let (moment, fault) = plan.fault.as_ref().copied().unzip();
    let is_now = match moment {
        Some(Moment::Packet(wanted)) => number == wanted,
        Some(Moment::Text(wanted)) => text.contains(wanted),
        None => false,
    };
    plan.texts.push(text);
    if is_now {
        plan.fault = None;
    }
    fault.filter(|_| is_now)
}

async fn forth(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    plan: &Mutex<Plan>,
    frozen: &watch::Sender<bool>,
    answers: &tokio::task::JoinHandle<()>,
) {
    let mut is_greeting = true;
    loop {
        let mut head = [0; 4];
        if from_client.read_exact(&mut head).await.is_err() {
            return;
        }
        let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
        let mut packet = vec![0; length];
        if from_client.read_exact(&mut packet).await.is_err() {
            return;
        }
        // Commands begin a new count; what comes before them is the log-in, which no fault is for.
        is_greeting &= head[3] != 0;
        let is_command = !is_greeting && head[3] == 0;
        let fault = if is_command { fault_of(plan, &packet) } else { None };
        match fault {
            Some(Fault::CutBefore) => return,
            Some(Fault::CutAfter) => answers.abort(),
            Some(Fault::Refuse(code)) => {
                let error = error_packet(code);
                if to_client.lock().await.write_all(&error).await.is_err() {
                    return;
                }
                continue;
            }
            Some(Fault::Freeze) => {
                frozen.send_replace(true);
            }
            None => {}
        }
        // A sender of this channel lives as long as this task.
        let _ = frozen.subscribe().wait_for(|is_frozen| !is_frozen).await;
        if to_server.write_all(&[&head[..], &packet].concat()).await.is_err() {
            return;
        }
        if fault == Some(Fault::CutAfter) {
            // The server must have read it before the connection ends: it ends its side once it has.
            let _ = to_server.shutdown().await;
            return;
        }
    }
}

async fn back(
    mut from_server: OwnedReadHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    frozen: watch::Sender<bool>,
) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from_server.read(&mut bytes).await {
        let _ = frozen.subscribe().wait_for(|is_frozen| !is_frozen).await;
        if to_client.lock().await.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
    // The client learns that the server has hung up.
    let _ = to_client.lock().await.shutdown().await;
}

/// An error as a server answers a command with it (MySQL protocol, ERR_Packet).
fn error_packet(code: u16) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.extend(b"#HY000made up by a test");
    let mut packet = vec![payload.len() as u8, 0, 0, 1];
    packet.extend(payload);
    packet
}
