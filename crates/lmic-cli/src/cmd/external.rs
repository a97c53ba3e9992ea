//! `lmic eval`, `lmic generate`, `lmic inspect --html`: the program `lmic-eval` does them, found beside this one or on the path.
//!
//! It is a program of its own because it needs hundreds of crates that are of no use for compressing files.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, bail};

use crate::args::InspectArgs;
use crate::console::{Console, display_name};
use crate::file_id::FileId;

const PROGRAM: &str = "lmic-eval";

/// Runs the program with these arguments.
pub fn run(args: Vec<OsString>, console: &Console) -> ExitCode {
    match call(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => console.exit_code(Err(error)),
    }
}

/// `lmic inspect --html`.
pub fn inspect(args: &InspectArgs, console: &Console) -> ExitCode {
    let mut words: Vec<OsString> = vec!["inspect".into()];
    if let Some(page) = &args.html {
        let written = FileId::at(page);
        if written.is_some() && args.files.iter().any(|file| FileId::at(file) == written) {
            let page = display_name(page);
            return console.exit_code(Err(anyhow!("{page}: is an input, too (name another page)")));
        }
        words.extend(["--html".into(), page.into()]);
    }
    words.extend(args.by.iter().flat_map(|codec| ["--by".into(), codec.into()]));
    words.push("--".into());
    words.extend(args.files.iter().map(OsString::from));
    run(words, console)
}

fn call(args: Vec<OsString>) -> Result<u8> {
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name(name()));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(PROGRAM));
    let status = match Command::new(&program).args(args).status() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "{PROGRAM} is not installed (cargo install --path crates/lmic-eval, or put it beside lmic)"
        ),
        status => status.with_context(|| format!("cannot start {PROGRAM}"))?,
    };
    // Ended by a signal: no status.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn name() -> String {
    format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)
}
