//! Passphrases from the terminal, without echo. Data may stand on stdin and stdout meanwhile, so the terminal itself is opened.
//!
//! A signal that ends the process switches the echo on again first (`interrupt`).

use anyhow::{Result, bail};
use lmic_age::{ExposeSecret, SecretString};

/// Asks for a passphrase once.
///
/// # Errors
/// If there is no terminal, or the answer is empty.
pub fn ask(prompt: &str) -> Result<SecretString> {
    let answer = prompted(prompt)?;
    if answer.expose_secret().is_empty() {
        bail!("no passphrase was given");
    }
    Ok(answer)
}

/// Asks for a new passphrase, and again to find mistakes.
pub fn ask_twice() -> Result<SecretString> {
    let passphrase = ask("New passphrase: ")?;
    if ask("The same again: ")?.expose_secret() != passphrase.expose_secret() {
        bail!("the passphrases differ");
    }
    Ok(passphrase)
}

#[cfg(unix)]
fn prompted(prompt: &str) -> Result<SecretString> {
    use std::fs::File;
    use std::io::Write;

    use anyhow::anyhow;

    use crate::interrupt;
    use crate::keys::line_of;

    // What the system says of it is of no help.
    let missing = |_| {
        anyhow!(
            "there is no terminal to ask for a passphrase (give it with --passphrase-file FILE)"
        )
    };
    let terminal = File::options().read(true).write(true).open("/dev/tty").map_err(missing)?;
    (&terminal).write_all(prompt.as_bytes()).map_err(missing)?;
    let line = {
        let _silent = interrupt::silence(&terminal).map_err(missing)?;
        line_of(&mut &terminal)
    };
    let _ = (&terminal).write_all(b"\n"); // instead of the one that was not echoed
    line
}

#[cfg(not(unix))]
fn prompted(_prompt: &str) -> Result<SecretString> {
    bail!("here passphrases are not asked for (give it with --passphrase-file FILE)")
}
