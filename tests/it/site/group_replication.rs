//! MySQL with Group Replication: its nodes as an operator would set them up, one of which takes changes at a time, with
//! everything that is timed as it is by default.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::site::cluster::{Node, REJOIN, Replication};
use crate::site::network::Network;
use crate::site::program::{PATIENCE, PAUSE, Program};
use crate::site::tiers::Tier;

/// Three nodes in single-primary mode.
pub struct GroupReplication;

/// Where the nodes of the group speak with each other.
const GROUP_PORT: u16 = 33061;

/// How a node asks another for what it missed. Each node makes the account by itself, before it belongs to any group.
const RECOVERY: &str = "set sql_log_bin = 0; create user recovery@'%' identified by 'recovery'; \
    grant replication slave, connection_admin, backup_admin, group_replication_stream on *.* to recovery@'%'; \
    set sql_log_bin = 1; change replication source to source_user = 'recovery', source_password = 'recovery' \
    for channel 'group_replication_recovery'";

#[async_trait]
impl Replication for GroupReplication {
    async fn found(&self, node: &Node, network: &Network) -> Program {
        let fresh = Path::new(&Self::root()).join("fresh");
        let copied = Command::new("cp").arg("-r").args([&fresh, &node.data()]).status();
        assert!(copied.is_ok_and(|status| status.success()), "no copy of {}", fresh.display());
        // In it is the name by which a group tells its members apart.
        let _ = std::fs::remove_file(node.data().join("auto.cnf"));
        let server = Self::run(node, network).await;
        node.rows(RECOVERY).await;
        if node.number == 0 {
            node.rows("set global group_replication_bootstrap_group = on").await;
        }
        Self::join(node, &server).await;
        node.rows("set global group_replication_bootstrap_group = off").await;
        server
    }

    async fn start(&self, node: &Node, network: &Network) -> Program {
        let server = Self::run(node, network).await;
        Self::join(node, &server).await;
        server
    }

    fn members(&self) -> &'static str {
        "select if(sum(member_state = 'ONLINE') * 2 > count(*) \
         and max(member_id = @@server_uuid and member_state = 'ONLINE'), sum(member_state = 'ONLINE'), 0) \
         from performance_schema.replication_group_members"
    }

    /// It suspects a node after five seconds and waits five more.
    fn patience(&self) -> Duration {
        Duration::from_secs(14)
    }

    /// A group does not take anybody in without a majority, and so never finds one again by itself.
    async fn carry_on_alone(&self, node: &Node) {
        // It may take longer than we wait for its answer.
        let alone = format!("set global group_replication_force_members = '{}:{GROUP_PORT}'", node.address);
        let _ = node.try_rows(&alone).await;
        let deadline = Instant::now() + REJOIN;
        while node.rows(self.members()).await != [[Some("1".to_owned())]] {
            assert!(Instant::now() < deadline, "node {} does not carry on: {}", node.number, node.server().said());
            tokio::time::sleep(PAUSE).await;
        }
        node.rows("set global group_replication_force_members = ''").await;
    }
}

impl GroupReplication {
    /// Where the server lies that tests/run took from Debian.
    fn root() -> String {
        Tier::GroupReplication.here().expect("whoever has the network has MySQL too")
    }

    /// A server that answers and belongs to no group.
    async fn run(node: &Node, network: &Network) -> Program {
        let root = Self::root();
        // It needs the libraries it came with, not those of this machine.
        let mut command = network.on(node.number, &format!("{root}/lib64/ld-linux-x86-64.so.2"));
        command.args(["--library-path", &format!("{root}/usr/lib/x86_64-linux-gnu")]);
        command.arg(format!("{root}/usr/sbin/mysqld")).args(Self::options(node, &root));
        let server = Program::start(&mut command);
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = node.try_rows("select 1").await {
            assert!(Instant::now() < deadline, "{error}: {}", server.said());
            tokio::time::sleep(PAUSE).await;
        }
        server
    }

    /// Has a node join until it has: a group takes nobody in whom it believes to be a member still.
    async fn join(node: &Node, server: &Program) {
        let state = "select member_state from performance_schema.replication_group_members \
                     where member_id = @@server_uuid and member_state in ('ONLINE', 'RECOVERING')";
        let deadline = Instant::now() + REJOIN;
        while node.rows(state).await.is_empty() {
            assert!(Instant::now() < deadline, "node {} does not join: {}", node.number, server.said());
            // It may take longer than we wait for its answer.
            let _ = node.try_rows("start group_replication").await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn options(node: &Node, root: &str) -> Vec<String> {
        let peers: Vec<_> = node.all.iter().map(|peer| format!("{peer}:{GROUP_PORT}")).collect();
        let options = [
            "--no-defaults".to_owned(),
            format!("--basedir={root}/usr"),
            format!("--plugin-dir={root}/usr/lib/mysql/plugin"),
            format!("--lc-messages-dir={root}/usr/share/mysql"),
            format!("--character-sets-dir={root}/usr/share/mysql/charsets"),
            format!("--datadir={}", node.data().display()),
            format!("--socket={}", node.socket().display()),
            format!("--pid-file={}", node.data().join("pid").display()),
            format!("--bind-address={}", node.address),
            format!("--report-host={}", node.address),
            format!("--server-id={}", node.number + 1),
            "--mysqlx=OFF".to_owned(),
            "--secure-file-priv=NULL".to_owned(),
            // Small. What was committed outlives the process, not the machine: the tests prove nothing about power cuts.
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
            "--sync-binlog=0".to_owned(),
            "--performance-schema-instrument=%=OFF".to_owned(),
            "--gtid-mode=ON".to_owned(),
            "--enforce-gtid-consistency=ON".to_owned(),
            "--log-bin=binlog".to_owned(),
            "--relay-log=relay".to_owned(),
            "--plugin-load-add=group_replication.so".to_owned(),
            "--loose-group-replication-group-name=5f0c1c6e-3f0d-4b0e-9a51-4d6f6f727764".to_owned(),
            "--loose-group-replication-start-on-boot=OFF".to_owned(),
            format!("--loose-group-replication-local-address={}:{GROUP_PORT}", node.address),
            format!("--loose-group-replication-group-seeds={}", peers.join(",")),
            "--loose-group-replication-ip-allowlist=10.0.0.0/8".to_owned(),
            "--loose-group-replication-recovery-get-public-key=ON".to_owned(),
        ];
        options.into()
    }
}
