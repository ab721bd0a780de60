//! `doorward pages`: takes the templates out of the binary, for owners who want to change them. Leaves a folder behind
//! that `[pages] dir` can name; replaces nothing without being told to, and the owner's `custom.css` never.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::talk;
use crate::pages::{CUSTOM_STYLE, embedded_templates};

/// The beginning of an owner's style sheet.
const STARTING_STYLE: &str = include_str!("../../assets/custom.css");

/// What our own style sheet is built from, to be read.
const STYLE_SOURCE: (&str, &str) = ("style.css", include_str!("../../assets/style.css"));

/// `doorward pages`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the templates and the source of the style sheet into a folder, to be changed and used from there
    Export {
        /// The folder; it is made where it is missing
        dir: PathBuf,
        /// Replaces templates that are there; custom.css is left alone
        #[arg(long)]
        force: bool,
    },
}

/// Runs `doorward pages`.
pub async fn run(args: Args, _: Context) -> Result<(), Failure> {
    let Command::Export { dir, force } = args.command;
    export(&dir, force)
}

fn export(dir: &Path, force: bool) -> Result<(), Failure> {
    let mut files: Vec<_> = embedded_templates().map(|(name, source)| (name.into_owned(), source)).collect();
    files.push((STYLE_SOURCE.0.to_owned(), STYLE_SOURCE.1.to_owned()));
    files.sort_unstable();
    let present: Vec<_> = files.iter().filter(|(name, _)| dir.join(name).symlink_metadata().is_ok()).collect();
    if !present.is_empty() && !force {
        let (first, others) = (&present[0].0, present.len() - 1);
        let others = if others == 0 { String::new() } else { format!(" and {others} more of these files") };
        let message = format!("{} holds {first}{others} already; nothing was written", dir.display());
        return Err(Failure::not_so(message).hint("name another folder, or replace them with --force"));
    }
    let failed = |path: &Path, error: &io::Error| {
        Failure::not_so(format!("{} could not be written: {error}", path.display()))
            .hint("name a folder that you may write to, or that is not there yet")
    };
    fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    for (name, source) in &files {
        write(&dir.join(name), source, force).map_err(|error| failed(&dir.join(name), &error))?;
    }
    let style = dir.join(CUSTOM_STYLE);
    match write(&style, STARTING_STYLE, false) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&style, &error)),
        _ => {}
    }
    say_what_now(dir, files.len());
    Ok(())
}

/// Writes a file that is not there yet, or with `force` one that may be.
fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    options.write(true).open(path)?.write_all(text.as_bytes())
}

fn say_what_now(dir: &Path, files: usize) {
    let whole = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let dir_value = toml_edit::Value::from(whole.display().to_string());
    talk(&format!("{files} files and {CUSTOM_STYLE} are in {}. Put into config.toml:\n", dir.display()));
    talk(&format!("[pages]\ndir = {dir_value}\nreload = true  # while you work on them\n"));
    talk(
        "Keep the templates you change and delete the others: those then come with each new version of Doorward.\n\
         style.css is there to be read; your own rules go into custom.css.",
    );
}
