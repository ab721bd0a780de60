//! A database on three machines: its nodes can be killed, frozen, cut off from each other, and come back. What kind of
//! cluster it is only [`Replication`] knows.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tempfile::TempDir;

use crate::site::databases::{Row, texts};
use crate::site::network::Network;
use crate::site::program::{PAUSE, Program};
use crate::site::tiers::Tier;

/// How many nodes there are.
pub const NODES: usize = 3;

/// How long a node may take to come back and be told what it missed.
pub const REJOIN: Duration = Duration::from_secs(120);

/// The account that instances use, which may do everything.
pub const ACCOUNT: &str = "tests";

/// How the nodes of one kind of cluster are set up: each on the machine of the network that has its number.
#[async_trait]
pub trait Replication: Send + Sync {
    /// Starts the node for the first time, the first one as a cluster of its own. It need not have joined when this returns.
    async fn found(&self, node: &Node, network: &Network) -> Program;

    /// Starts it on what it kept. Likewise.
    async fn start(&self, node: &Node, network: &Network) -> Program;

    /// Asks a node for one row: how many belong to its group, 0 where that is no majority or the node has not caught up.
    fn members(&self) -> &'static str;

    /// How long a node must be gone until the others have surely given it up.
    fn patience(&self) -> Duration;

    /// What an operator does on the last node of a cluster whose others are lost.
    async fn carry_on_alone(&self, node: &Node);
}

/// One of the servers.
pub struct Node {
    /// From 0.
    pub number: usize,
    /// Its address, and those of all.
    pub address: Ipv4Addr,
    pub all: Vec<Ipv4Addr>,
    folder: PathBuf,
    server: Option<Program>,
}

/// Three nodes that hold the same.
pub struct Cluster {
    pub nodes: Vec<Node>,
    network: Network,
    replication: Box<dyn Replication>,
    _folder: TempDir,
}

impl Cluster {
    /// Starts three nodes. `None`: there is no network of the tests' own here, which was said aloud.
    pub async fn start(replication: impl Replication + 'static) -> Option<Self> {
        Tier::Cluster.here()?;
        let (network, folder) = (Network::of(3), tempfile::tempdir().expect("a folder"));
        let all: Vec<_> = (0..NODES).map(|number| network.address(number)).collect();
        let node = |number: usize| {
            let own = folder.path().join(number.to_string());
            std::fs::create_dir(&own).expect("a folder");
            Node { number, address: all[number], all: all.clone(), folder: own, server: None }
        };
        let nodes = (0..NODES).map(node).collect();
        let mut cluster = Self { nodes, network, replication: Box::new(replication), _folder: folder };
        for number in 0..NODES {
            let server = cluster.replication.found(&cluster.nodes[number], &cluster.network).await;
            cluster.nodes[number].server = Some(server);
            cluster.until(number + 1).await;
        }
        let account = format!("create user {ACCOUNT}@'%' identified by '{ACCOUNT}'");
        let rights = format!("grant all on *.* to {ACCOUNT}@'%'");
        for statement in [account, rights] {
            cluster.nodes[0].try_rows(&statement).await.expect("the right to create accounts");
        }
        Some(cluster)
    }

    /// All nodes as a URL for Doorward, `first` in front and the others behind it in their order.
    pub fn url(&self, first: usize, database: &str) -> String {
        let hosts: Vec<_> = (0..NODES).map(|step| self.nodes[(first + step) % NODES].address.to_string()).collect();
        format!("mysql://{ACCOUNT}:{ACCOUNT}@{}/{database}", hosts.join(","))
    }

    /// A node's process ends at once, as in a power cut.
    pub fn kill(&mut self, number: usize) {
        self.nodes[number].server = None;
    }

    /// A node stands still.
    pub fn freeze(&self, number: usize) {
        self.nodes[number].server().freeze();
    }

    /// And goes on.
    pub fn thaw(&self, number: usize) {
        self.nodes[number].server().signal("CONT");
    }

    /// A node and the others do not reach each other any more; whoever uses the database reaches all of them.
    pub fn cut_off(&mut self, number: usize) {
        self.network.cut_off(number);
    }

    /// All nodes reach each other again.
    pub fn mend(&mut self) {
        self.network.mend();
    }

    /// How long a node must be gone until the others have surely given it up.
    pub fn patience(&self) -> Duration {
        self.replication.patience()
    }

    /// What an operator does on the last node of a cluster whose others are lost.
    pub async fn carry_on_alone(&self, number: usize) {
        self.replication.carry_on_alone(&self.nodes[number]).await;
    }

    /// Starts a node that was killed. It may take a while until it has joined.
    pub async fn start_again(&mut self, number: usize) {
        let server = self.replication.start(&self.nodes[number], &self.network).await;
        self.nodes[number].server = Some(server);
    }

    /// Waits until all of them are together again and have caught up. Each must say so: one that was frozen believes at first
    /// that nothing has happened.
    pub async fn until_together(&mut self) {
        self.until(NODES).await;
    }

    /// Waits until the first so many nodes are one group.
    async fn until(&mut self, members: usize) {
        let deadline = Instant::now() + REJOIN;
        loop {
            let mut seen = Vec::new();
            for number in 0..members {
                seen.push(self.members(number).await);
            }
            if seen.iter().all(|seen| *seen == members) {
                return;
            }
            for node in &mut self.nodes[..members] {
                let ended = node.server.as_mut().expect("it was started").has_ended();
                let (number, said) = (node.number, || node.server().said());
                assert!(ended.is_none(), "node {number} has ended ({ended:?}):\n{}", said());
                assert!(Instant::now() < deadline, "{seen:?} members are seen; node {number} says:\n{}", said());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a node has noticed that it does not belong to a majority.
    pub async fn until_alone(&self, number: usize) {
        let deadline = Instant::now() + REJOIN;
        while self.members(number).await > 0 {
            assert!(Instant::now() < deadline, "node {number} notices nothing");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn members(&self, number: usize) -> usize {
        let rows = self.nodes[number].try_rows(self.replication.members()).await.unwrap_or_default();
        rows.first().and_then(|row| row[0].as_ref()?.parse().ok()).unwrap_or(0)
    }
}

impl Node {
    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where it is reached from its own machine, whatever its network does.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Its process; panics where it was killed.
    pub fn server(&self) -> &Program {
        self.server.as_ref().expect("a server that runs")
    }

    /// The rows that a statement gives its administrator.
    pub async fn rows(&self, statement: &str) -> Vec<Row> {
        self.try_rows(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The same, of a statement about one of its databases.
    pub async fn rows_in(&self, database: &str, statement: &str) -> Vec<Row> {
        self.asked(Some(database), statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The rows, or what it says against the statement.
    pub async fn try_rows(&self, statement: &str) -> Result<Vec<Row>, String> {
        self.asked(None, statement).await
    }

    async fn asked(&self, database: Option<&str>, statement: &str) -> Result<Vec<Row>, String> {
        let socket = self.socket().display().to_string();
        let opts = OptsBuilder::default().socket(Some(socket)).user(Some("root")).db_name(database);
        let asked = async {
            let mut conn = Conn::new(opts).await?;
            conn.query::<mysql_async::Row, _>(statement).await
        };
        // It may be frozen, or wait for others that are gone.
        let rows = tokio::time::timeout(Duration::from_secs(5), asked).await.map_err(|late| late.to_string())?;
        Ok(texts(&rows.map_err(|error| error.to_string())?))
    }
}
