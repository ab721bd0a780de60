//! `doorward doctor`: looks at everything that a site depends on, while it runs, and says of each thing how it stands. Ends
//! with 1 where anything does not work, whatever it is.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::check::{CHECKS, Depth, Finding, Outcome, Seen};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table;

/// `doorward doctor`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints JSON: of each check its name, its outcome (ok, warning, failure, skipped), what was found, and a hint
    #[arg(long)]
    json: bool,
    /// A PEM file with the authority that signed the site's own certificate, where browsers know one that is not public
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Runs `doorward doctor`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let findings = match context.load_for_serving() {
        Ok(loaded) => Seen::gather(loaded, Depth::All, args.ca_file).await.judge(Depth::All),
        Err(failure) => without_configuration(failure),
    };
    if args.json {
        print(&table::json(&findings.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
        for finding in &findings {
            print(&told(finding, width))?;
        }
    }
    let count = |wanted: fn(&Outcome) -> bool| findings.iter().filter(|finding| wanted(&finding.outcome)).count();
    let failures = count(|outcome| matches!(outcome, Outcome::Failure(_)));
    let warnings = count(|outcome| *outcome == Outcome::Warning);
    let warned = match warnings {
        0 => String::new(),
        1 => "; one warning".to_owned(),
        several => format!("; {several} warnings"),
    };
    match failures {
        0 if warnings == 0 => talk("all is well"),
        0 => talk(&format!("it works{warned}")),
        1 => return Err(Failure::not_so(format!("one thing does not work{warned}"))),
        several => return Err(Failure::not_so(format!("{several} things do not work{warned}"))),
    }
    Ok(())
}

/// A configuration that does not hold is one failure, and the end of it: nobody knows whom to ask.
fn without_configuration(failure: Failure) -> Vec<Finding> {
    let skipped = |name| Finding {
        name,
        outcome: Outcome::Skipped,
        found: "the configuration does not hold".to_owned(),
        hint: None,
    };
    CHECKS
        .iter()
        .enumerate()
        .map(|(place, check)| match place {
            0 => Finding { name: check.name, ..Finding::from(failure.clone()) },
            _ => skipped(check.name),
        })
        .collect()
}

/// `warning  users-id  …`, further lines and the hint below.
fn told(finding: &Finding, width: usize) -> String {
    let indent = format!("\n{:1$}", "", 9 + width + 2);
    let hint = finding.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let text = format!("{}{hint}", finding.found).replace('\n', &indent);
    format!("{:9}{:width$}  {text}\n", finding.outcome.word(), finding.name)
}

fn described(finding: &Finding) -> Value {
    json!({
        "name": finding.name,
        "outcome": finding.outcome.word(),
        "found": finding.found,
        "hint": finding.hint,
    })
}
