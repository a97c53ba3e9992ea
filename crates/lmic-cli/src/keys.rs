//! Who opens what: options to keys, and passphrases that a terminal or a file gives (`-` is stdin). Nothing is asked before an archive
//! needs it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use lmic_age::{ExposeSecret, Identities, Padding, Reader, Recipients, SecretString, Writer};
use zeroize::Zeroizing;

use crate::args::{EncryptArgs, KeyArgs, usage_error};
use crate::needed::Needed;
use crate::sink::Sink;
use crate::source::{Policy, Source};
use crate::terminal;

/// Most bytes of a file of keys, and of a passphrase.
const MAX_KEY_FILE_LEN: u64 = 1 << 20;
const MAX_PASSPHRASE_LEN: usize = 4096;

/// What opens encrypted archives. Plain ones need none of it.
#[derive(Debug, Default)]
pub struct Keys(Identities);

impl Keys {
    /// Reads the identities that the options name, to open `files`.
    pub fn of(args: &KeyArgs, files: &[PathBuf]) -> Result<Self> {
        check_stdin(args, &[], files);
        let mut identities = match &args.passphrase_file {
            Some(path) => Identities::with_passphrase(passphrase_of(path)?),
            None => Identities::asking(Arc::new(|name: Option<&str>| {
                let what = name.map_or_else(|| "the archive".into(), |name| name.to_owned());
                terminal::ask(&format!("Passphrase of {what}: ")).ok()
            })),
        };
        for path in &args.identity {
            if path.to_str().is_some_and(lmic_age::is_identity) {
                // Its text is not repeated.
                bail!(
                    "-i takes the name of a file, not the identity in it, which other users would see (-i - reads it from stdin)"
                );
            }
            let name = name_of(path);
            let wrong = || format!("identity {name}");
            let file = read(path).with_context(wrong)?;
            identities.add(&name, &file).with_context(wrong)?;
        }
        Ok(Self(identities))
    }

    /// An archive as it stands in a file, decrypted if it is encrypted.
    pub fn open<R: Read>(&self, file: R) -> Result<Reader<R>> {
        Ok(Reader::new(file, &self.0)?)
    }
}

/// How archives are encrypted.
#[derive(Debug)]
pub struct Encryption {
    recipients: Recipients,
    padding: Padding,
}

impl Encryption {
    /// What the options ask for `files`; `None` if that is no encryption. A passphrase on the terminal is asked for here, twice.
    pub fn of(args: &EncryptArgs, keys: &KeyArgs, files: &[PathBuf]) -> Result<Option<Self>> {
        if !args.encrypt {
            // Whoever names a key wants no archive that all can read.
            if keys.passphrase || keys.passphrase_file.is_some() {
                usage_error("to compress with a passphrase, add --encrypt");
            }
            if !keys.identity.is_empty() {
                usage_error("-i opens archives; to encrypt, use --encrypt -R RECIPIENT");
            }
            return Ok(None);
        }
        if !keys.identity.is_empty() {
            usage_error(
                "-i opens archives; to encrypt, name the public key of the identity with -R",
            );
        }
        check_stdin(keys, &args.recipients_file, files);
        let has_keys = !args.recipient.is_empty() || !args.recipients_file.is_empty();
        let has_passphrase = keys.passphrase || keys.passphrase_file.is_some();
        let recipients = match (has_keys, has_passphrase) {
            (true, true) => {
                usage_error("an archive is encrypted to recipients or with a passphrase, not both")
            }
            (false, false) => usage_error(
                "--encrypt needs to know for whom: -R RECIPIENT, --recipients-file FILE, --passphrase or --passphrase-file FILE",
            ),
            (false, true) => Recipients::with_passphrase(match &keys.passphrase_file {
                Some(path) => passphrase_of(path)?,
                None => terminal::ask_twice()?,
            })?,
            (true, false) => recipients(args)?,
        };
        let padding = if args.no_pad { Padding::None } else { Padding::Padme };
        Ok(Some(Self { recipients, padding }))
    }
}

/// What archives are written to on their way to a sink; with `encryption`, that gets them encrypted.
pub fn writer(sink: Sink, encryption: Option<&Encryption>) -> Result<Writer<Sink>> {
    Ok(match encryption {
        None => Writer::plain(sink),
        Some(Encryption { recipients, padding }) => Writer::new(sink, recipients, *padding)?,
    })
}

fn recipients(args: &EncryptArgs) -> Result<Recipients> {
    let mut recipients = Recipients::default();
    for (text, number) in args.recipient.iter().zip(1..) {
        // The text is not repeated: it may be a secret key, by mistake.
        let wrong = || format!("-R number {number}");
        match recipients.add(text) {
            Err(_) if Path::new(text).is_file() => {
                bail!("{} is the name of a file (name it with --recipients-file)", wrong())
            }
            added => added.with_context(wrong)?,
        }
    }
    for path in &args.recipients_file {
        let wrong = || format!("recipients file {}", name_of(path));
        let file = read(path).with_context(wrong)?;
        let text = std::str::from_utf8(&file).context("is not UTF-8").with_context(wrong)?;
        recipients.add_file(text).with_context(wrong)?;
    }
    Ok(recipients)
}

/// Adds the files of keys to what must not be removed or written over.
pub fn add_needed(keys: &KeyArgs, encrypt: Option<&EncryptArgs>, needed: &mut Needed) {
    for path in &keys.identity {
        needed.add(path, "the identity of -i");
    }
    if let Some(path) = &keys.passphrase_file {
        needed.add(path, "the file of the passphrase");
    }
    for path in encrypt.iter().flat_map(|args| &args.recipients_file) {
        needed.add(path, "a file of recipients");
    }
}

/// Refuses stdin as a key and something else: whichever is read first would leave nothing of it.
fn check_stdin(keys: &KeyArgs, recipients: &[PathBuf], files: &[PathBuf]) {
    let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
    let named = keys.identity.iter().chain(&keys.passphrase_file).chain(recipients);
    let is_input = files.is_empty() || files.iter().any(|path| is_stdin(&path));
    match named.filter(is_stdin).count() {
        0 => {}
        1 if !is_input => {}
        1 => usage_error(
            "stdin (-) cannot be a key or passphrase and the input as well (name a file for one of them)",
        ),
        _ => usage_error("stdin (-) can be read once only"),
    }
}

fn name_of(path: &Path) -> String {
    Source::new(path.into()).name()
}

fn open(path: &Path) -> Result<File> {
    match Source::new(path.into()) {
        Source::Stdin => Ok(Source::Stdin.open(Policy::ANY)?.file),
        Source::File(path) => File::open(path).context("cannot open"),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let file = open(path)?;
    let mut content = Zeroizing::new(Vec::with_capacity(1 << 14));
    file.take(MAX_KEY_FILE_LEN + 1).read_to_end(&mut content).context("cannot read")?;
    if content.len() as u64 > MAX_KEY_FILE_LEN {
        bail!("has more than {MAX_KEY_FILE_LEN} bytes, which is no file of keys");
    }
    Ok(content)
}

/// The first line of a file, which may be a descriptor (`/dev/fd/3`). What follows the line is not read.
fn passphrase_of(path: &Path) -> Result<SecretString> {
    let wrong = || format!("passphrase file {}", name_of(path));
    let mut file = open(path).with_context(wrong)?;
    let line = line_of(&mut file).with_context(wrong)?;
    if line.expose_secret().is_empty() {
        bail!("{}: its first line is empty", wrong());
    }
    Ok(line)
}

/// Bytes up to a line feed or the end.
pub fn line_of(input: &mut impl Read) -> Result<SecretString> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_LEN)); // never moved, so that no copy stays behind
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if line.len() == MAX_PASSPHRASE_LEN => {
                bail!("the passphrase has more than {MAX_PASSPHRASE_LEN} bytes")
            }
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read"),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    let text = std::str::from_utf8(&line).ok().context("the passphrase is not UTF-8")?;
    Ok(SecretString::from(text.to_owned()))
}
