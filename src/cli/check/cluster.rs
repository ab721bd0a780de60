//! Whether a database that lies on several machines is together with the others, in the operator's words.

use crate::cli::check::{Finding, Outcome};
use crate::cli::failure::UNAVAILABLE;
use crate::store::examined::Cluster;

/// How it stands with it.
pub fn judge(cluster: &Cluster) -> Finding {
    trouble(cluster).unwrap_or_else(|| match cluster {
        Cluster::Alone => Finding::fine("a server by itself"),
        Cluster::Galera { nodes, state, .. } => {
            Finding::fine(format!("a Galera cluster of {nodes}, this node is {state}"))
        }
        Cluster::Group { members: None, .. } => {
            Finding::fine("a member of a replication group, together with the majority")
        }
        Cluster::Group { members: Some(members), state, .. } => {
            Finding::fine(format!("a replication group of {members}, this member is {state}"))
        }
    })
}

/// Why it takes no questions and what helps, if it does not.
pub fn trouble(cluster: &Cluster) -> Option<Finding> {
    let (found, hint) = match cluster {
        Cluster::Galera { is_ready: false, has_majority: true, state, nodes } => (
            format!("this node of a Galera cluster of {nodes} is {state} and takes no questions yet"),
            "wait until it is Synced; or name all nodes in [database] host, and the others are asked meanwhile",
        ),
        Cluster::Galera { is_ready: false, has_majority: false, state, .. } => (
            format!(
                "this node of a Galera cluster is {state} and takes no questions: it does not see the majority of the \
                 others"
            ),
            "start the nodes that are missing, or mend the network between them: it goes on by itself then. Where they \
             are lost for good, type on the one node that is to carry on: SET GLOBAL wsrep_provider_options = \
             'pc.bootstrap=YES'",
        ),
        Cluster::Group { has_majority: false, state, .. } => match state.as_str() {
            "RECOVERING" => (
                "this member of a replication group is RECOVERING: it is told what it missed, and takes no questions yet"
                    .to_owned(),
                "wait until it is ONLINE; or name all members in [database] host, and the others are asked meanwhile",
            ),
            "OFFLINE" | "ERROR" => (
                format!("this member of a replication group is {state}: what it would answer may be long out of date"),
                "its error log says why; then type there: STOP GROUP_REPLICATION; START GROUP_REPLICATION. Or let \
                 [database] host lead to a member that is ONLINE",
            ),
            // The account may not know which of the two.
            "" => (
                "this member of a replication group is not ONLINE, or does not see the majority of the others".to_owned(),
                "start it (START GROUP_REPLICATION), or the members that are missing; or let [database] host lead to a \
                 member that is ONLINE",
            ),
            _ => (
                "this member of a replication group takes no questions: it does not see the majority of the others"
                    .to_owned(),
                "start the members that are missing, or mend the network between them: it goes on by itself then. Where \
                 they are lost for good, MySQL's manual says what to do under group_replication_force_members",
            ),
        },
        _ => return None,
    };
    Some(Finding::new(Outcome::Failure(UNAVAILABLE), found).hint(hint))
}
