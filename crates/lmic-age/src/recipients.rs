//! Keys and passphrases for writing.

use std::io;

use age::secrecy::{ExposeSecret, SecretString};
use lmic::{Error, ErrorKind, Result};

use crate::identities::is_identity;

/// Most recipients of an archive. With the longest keys their header has less than [`MAX_HEADER_LEN`](crate::MAX_HEADER_LEN) bytes.
pub const MAX_RECIPIENTS: usize = 100;

/// The work of a passphrase: scrypt with `N = 2^18`, which takes 256 MiB of memory and about a second, for each archive. It is that of
/// the program `age`.
pub const WORK_FACTOR: u8 = 18;

/// Whom an archive is encrypted to: keys, of which each opens it, or a passphrase.
#[derive(Default)]
pub struct Recipients {
    keys: Vec<Key>,
    passphrase: Option<SecretString>,
}

enum Key {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipients {
    /// A passphrase, and no keys beside it: the format does not have both.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is empty.
    pub fn with_passphrase(passphrase: SecretString) -> Result<Self> {
        if passphrase.expose_secret().is_empty() {
            return Err(invalid("the passphrase is empty"));
        }
        Ok(Self { keys: Vec::new(), passphrase: Some(passphrase) })
    }

    /// Adds a key: `age1...`, `ssh-ed25519 ...` or `ssh-rsa ...`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], in words that do not repeat the text, as it may have been a secret key.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let text = text.trim();
        let key = if text.starts_with("ssh-") {
            let key = text.parse().map_err(|error| {
                use age::ssh::ParseRecipientKeyError as E;
                invalid(match error {
                    E::RsaModulusTooLarge => "an ssh-rsa key of more than 4096 bits",
                    E::RsaModulusTooSmall => "an ssh-rsa key of less than 2048 bits",
                    E::Unsupported(_) | E::Ignore => "no ssh-ed25519 or ssh-rsa key",
                    _ => "no valid public key of ssh",
                })
            })?;
            Key::Ssh(key)
        } else if is_identity(text) {
            return Err(invalid(
                "an identity, which is secret, in the place of a recipient, which begins with age1",
            ));
        } else {
            Key::X25519(text.parse().map_err(|_| {
                invalid("no valid recipient: these begin with age1, ssh-ed25519 or ssh-rsa")
            })?)
        };
        if self.passphrase.is_some() {
            return Err(invalid("an archive has recipients or a passphrase, not both"));
        }
        if self.keys.len() == MAX_RECIPIENTS {
            return Err(invalid(format!("an archive has at most {MAX_RECIPIENTS} recipients")));
        }
        self.keys.push(key);
        Ok(())
    }

    /// Adds the recipients of a file: one a line, between empty lines and those that begin with `#`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] with the number of the line, or if the file has none.
    pub fn add_file(&mut self, text: &str) -> Result<()> {
        let before = self.keys.len();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.add(line).map_err(|error| error.at(format_args!("line {number}")))?;
            }
        }
        if self.keys.len() == before {
            return Err(invalid("no recipient in it"));
        }
        Ok(())
    }

    /// What encrypts one archive.
    pub(crate) fn encryptor(&self) -> Result<age::Encryptor> {
        let wrong = |error: age::EncryptError| match error {
            age::EncryptError::Io(error) => Error::from(error),
            age::EncryptError::MissingRecipients => invalid("no recipient and no passphrase"),
            _ => invalid("recipients that do not go together"),
        };
        if let Some(passphrase) = &self.passphrase {
            lmic::memory::check_available(1024 << WORK_FACTOR)?;
            let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
            recipient.set_work_factor(WORK_FACTOR);
            return age::Encryptor::with_recipients(std::iter::once(&recipient as _))
                .map_err(wrong);
        }
        let keys = self.keys.iter().map(|key| match key {
            Key::X25519(key) => key as &dyn age::Recipient,
            Key::Ssh(key) => key,
        });
        age::Encryptor::with_recipients(keys).map_err(wrong)
    }
}

impl std::fmt::Debug for Recipients {
    /// Says what they are, not who.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let passphrase = self.passphrase.is_some();
        write!(f, "Recipients {{ keys: {}, passphrase: {passphrase} }}", self.keys.len())
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// An [`Error`] inside of an I/O error.
pub(crate) fn io_error(kind: ErrorKind, message: impl Into<String>) -> io::Error {
    Error::new(kind, message).into()
}
