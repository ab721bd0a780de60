//! `doorward completions` and `doorward manual`: what a shell and man(1) want to know, made from the command line as it
//! is. Leaves files where a folder is named, and installs nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::cli::failure::Failure;
use crate::cli::output::print;

/// What man(1) is told beyond the flags, in its own language: see man-pages(7).
const SECTIONS: &str = r#".SH "EXIT STATUS"
.TP
0
fine
.TP
1
failed, or the thing that was checked is not right
.TP
2
the command line cannot be understood
.TP
69
something that is needed is away
.TP
78
the configuration is wrong
.SH SIGNALS
.TP
SIGTERM, SIGINT
end, once requests under way are finished; a second one ends at once
.TP
SIGHUP
reads the configuration again
.SH FILES
.TP
config.toml
read where no other is named
"#;

/// `doorward completions`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell that is to complete commands: `doorward completions bash > /etc/bash_completion.d/doorward`
    shell: Shell,
}

/// Runs `doorward completions`.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "doorward", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// `doorward manual`
#[derive(Debug, clap::Args)]
pub struct Manual {
    /// Writes a page for each command into this folder: doorward.1, doorward-users.1, …
    folder: Option<PathBuf>,
}

/// Runs `doorward manual`.
pub fn manual(args: &Manual) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &args.folder {
        None => print(&page(&command)),
        Some(folder) => fs::create_dir_all(folder).and_then(|()| write_all(&command, folder)).map_err(|error| {
            Failure::not_so(format!("the manual cannot be written into {}: {error}", folder.display()))
                .hint("name a folder that you may write to, or that is not there yet")
        }),
    }
}

/// The page of `command`, and after it those of its own commands.
fn write_all(command: &Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command))?;
    command.get_subcommands().filter(|one| !one.is_hide_set()).try_for_each(|one| write_all(one, folder))
}

fn page(command: &Command) -> String {
    let mut page = Vec::new();
    // No date: the same program makes the same page.
    let man = Man::new(command.clone()).section("1").manual("Doorward").source(env!("CARGO_PKG_VERSION"));
    man.render(&mut page).expect("memory takes everything");
    let mut page = String::from_utf8_lossy(&page).into_owned();
    if command.get_name() == "doorward" {
        page.push_str(SECTIONS);
    }
    page
}
