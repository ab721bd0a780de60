//! Machines of their own on a network that can be cut: for each a namespace of the kernel, joined to ours by a cable, and we
//! pass on what they say to each other until we are told not to. We ourselves reach all of them all the time.
//!
//! Only in a network of the tests' own, which `tests/run cluster` makes: nothing of this is seen outside, and all of it is gone
//! when the tests end.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use crate::site::program::{PATIENCE, PAUSE, Program};

/// Machines that reach each other.
pub struct Network {
    machines: Vec<Machine>,
    /// Who does not reach whom at the moment.
    cuts: Vec<(usize, usize)>,
}

struct Machine {
    address: Ipv4Addr,
    /// Holds the namespace open, whatever ends in it.
    holder: Program,
}

impl Network {
    /// As many machines as that.
    pub fn of(count: u8) -> Self {
        // Every network has addresses of its own: a rule that is left behind by one cuts no other.
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let routes = output("ip route show default");
        assert!(routes.is_empty(), "cables are laid in a network of the tests' own alone: use tests/run cluster");
        output("ip link set lo up");
        output("sysctl --quiet --write net.ipv4.ip_forward=1");
        let machines = (1..=count).map(|machine| Machine::plug(number, machine)).collect();
        Self { machines, cuts: Vec::new() }
    }

    /// The address of a machine.
    pub fn address(&self, machine: usize) -> Ipv4Addr {
        self.machines[machine].address
    }

    /// A command that runs `program` on a machine, as nobody who may do more than others.
    pub fn on(&self, machine: usize, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.machines[machine].holder.id()));
        // Neither MariaDB nor rsync likes to be root, and this does without an account.
        command.args(["unshare", "--user", "--map-user=1000", "--map-group=1000", program]);
        command
    }

    /// Nothing passes between a machine and all others, in silence.
    pub fn cut_off(&mut self, machine: usize) {
        for other in (0..self.machines.len()).filter(|other| *other != machine) {
            for cut in [(machine, other), (other, machine)] {
                self.rule("add", cut);
                self.cuts.push(cut);
            }
        }
    }

    /// Everybody reaches everybody again.
    pub fn mend(&mut self) {
        for cut in std::mem::take(&mut self.cuts) {
            self.rule("del", cut);
        }
    }

    fn rule(&self, verb: &str, (from, to): (usize, usize)) {
        output(&format!("ip rule {verb} from {} to {} blackhole", self.address(from), self.address(to)));
    }
}

impl Machine {
    fn plug(network: u8, machine: u8) -> Self {
        let holder = Program::start(Command::new("unshare").args(["--net", "sleep", "infinity"]));
        let (id, cable) = (holder.id(), format!("n{network}m{machine}"));
        let own = output("readlink /proc/self/ns/net");
        let deadline = Instant::now() + PATIENCE;
        while output(&format!("readlink /proc/{id}/ns/net")) == own {
            assert!(Instant::now() < deadline, "no namespace: {}", holder.said());
            std::thread::sleep(PAUSE);
        }
        let (near, address) = (Ipv4Addr::new(10, network, machine, 1), Ipv4Addr::new(10, network, machine, 2));
        output(&format!("ip link add {cable} type veth peer name cable netns {id}"));
        output(&format!("ip address add {near}/24 dev {cable}"));
        output(&format!("ip link set {cable} up"));
        let inside = format!("nsenter --net=/proc/{id}/ns/net ip");
        output(&format!("{inside} link set lo up"));
        output(&format!("{inside} address add {address}/24 dev cable"));
        output(&format!("{inside} link set cable up"));
        // And no way to anybody else: a name server that is asked in vain would hold everything up.
        output(&format!("{inside} route add 10.{network}.0.0/16 via {near}"));
        Self { address, holder }
    }
}

/// What a command says that succeeds.
fn output(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().expect("a program")).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
