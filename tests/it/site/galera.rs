//! MariaDB with Galera: its nodes as an operator would set them up, with everything that is timed as it is by default.

use std::time::Duration;

use async_trait::async_trait;

use crate::site::cluster::{Node, Replication};
use crate::site::network::Network;
use crate::site::program::Program;

/// Three nodes, each of which takes changes.
pub struct Galera;

#[async_trait]
impl Replication for Galera {
    async fn found(&self, node: &Node, network: &Network) -> Program {
        std::fs::create_dir(node.data()).expect("a folder");
        if node.number > 0 {
            // The first one sends it everything.
            return Self::run(node, network, &[]);
        }
        let mut install = network.on(node.number, "mariadb-install-db");
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        let installed = install.arg(format!("--datadir={}", node.data().display())).output().expect("mariadb-server");
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        Self::run(node, network, &["--wsrep-new-cluster".to_owned()])
    }

    /// As Debian's unit does: the position it had reached is found out first, so that it is told only what it missed.
    async fn start(&self, node: &Node, network: &Network) -> Program {
        let mut recover = network.on(node.number, "mariadbd");
        let recovered = recover.args(Self::options(node)).arg("--wsrep-recover").output().expect("mariadbd");
        let said = String::from_utf8_lossy(&recovered.stderr).into_owned();
        let position = said.split("Recovered position: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let position = position.unwrap_or_else(|| panic!("no position in:\n{said}"));
        Self::run(node, network, &[format!("--wsrep-start-position={position}")])
    }

    fn members(&self) -> &'static str {
        "select if(max(if(variable_name = 'wsrep_ready', variable_value, '')) = 'ON' \
         and max(if(variable_name = 'wsrep_local_state_comment', variable_value, '')) = 'Synced', \
         max(if(variable_name = 'wsrep_cluster_size', variable_value, '')), '0') from information_schema.global_status"
    }

    /// It gives a node up that says nothing for five seconds.
    fn patience(&self) -> Duration {
        Duration::from_secs(8)
    }

    /// Nothing: it waits, and is a cluster again when the others are back.
    async fn carry_on_alone(&self, _node: &Node) {}
}

impl Galera {
    fn run(node: &Node, network: &Network, further: &[String]) -> Program {
        Program::start(network.on(node.number, "mariadbd").args(Self::options(node)).args(further))
    }

    fn options(node: &Node) -> Vec<String> {
        let provider = ["/usr/lib/galera", "/usr/lib64/galera", "/usr/lib64/galera-4"]
            .map(|folder| format!("{folder}/libgalera_smm.so"))
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .expect("the package galera-4");
        let peers: Vec<_> = node.all.iter().map(ToString::to_string).collect();
        let options = [
            "--no-defaults".to_owned(),
            format!("--datadir={}", node.data().display()),
            format!("--socket={}", node.socket().display()),
            format!("--bind-address={}", node.address),
            // Small, so that it is sent quickly. The tests prove nothing about a power cut of all machines together.
            "--innodb-buffer-pool-size=48M".to_owned(),
            "--innodb-log-file-size=16M".to_owned(),
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
            "--binlog-format=ROW".to_owned(),
            "--innodb-autoinc-lock-mode=2".to_owned(),
            "--wsrep-on=ON".to_owned(),
            format!("--wsrep-provider={provider}"),
            "--wsrep-provider-options=gcache.size=32M".to_owned(),
            "--wsrep-cluster-name=doorward".to_owned(),
            format!("--wsrep-cluster-address=gcomm://{}", peers.join(",")),
            format!("--wsrep-node-address={}", node.address),
            format!("--wsrep-node-name=node-{}", node.number),
            "--wsrep-sst-method=rsync".to_owned(),
        ];
        options.into()
    }
}
