//! Keys for reading, and the passphrases that unlock some of them.

use std::fmt;
use std::io::{BufReader, Read};
use std::sync::{Arc, OnceLock};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{Callbacks, DecryptError, Decryptor, Identity, IdentityFile};
use age_core::format::{FileKey, Stanza};
use lmic::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::reader::{MAGIC, MAX_WORK_FACTOR};
use crate::recipients::invalid;

/// Asks a person for a passphrase: of the identity file that the argument names, or without one that of an archive. `None` if there
/// is nobody to ask.
pub type Ask = Arc<dyn Fn(Option<&str>) -> Option<SecretString> + Send + Sync>;

/// Most bytes of an identity file.
const MAX_IDENTITY_FILE_LEN: u64 = 1 << 20;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const PEM: &[u8] = b"-----BEGIN ";

type Key = Box<dyn Identity + Send + Sync>;

/// What opens archives: identities (secret keys), and a passphrase.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Key>,
    /// Those that may ask for a passphrase. They are tried last.
    locked: Vec<Key>,
    passphrase: OnceLock<Option<SecretString>>,
    ask: Option<Ask>,
    /// Answers for private keys of OpenSSH that are locked.
    answers: Vec<Answer>,
}

/// A passphrase, once it was asked for; `None` if there was none.
type Answer = Arc<OnceLock<Option<SecretString>>>;

impl Identities {
    /// No keys yet, and somebody to ask for passphrases when one is needed; for that of archives, once.
    pub fn asking(ask: Ask) -> Self {
        Self { ask: Some(ask), ..Self::default() }
    }

    /// No keys yet, and a passphrase for whatever needs one: archives and identity files.
    pub fn with_passphrase(passphrase: SecretString) -> Self {
        Self::asking(Arc::new(move |_| Some(passphrase.clone())))
    }

    /// Adds the identities of a file: those of `age-keygen`, one a line; the same, encrypted with a passphrase (in letters or not),
    /// which is asked for when an archive needs it; or a private key of OpenSSH. `name` is what messages call it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for anything else. No message has a part of the file.
    pub fn add(&mut self, name: &str, file: &[u8]) -> Result<()> {
        if file.len() as u64 > MAX_IDENTITY_FILE_LEN {
            return Err(invalid(format!(
                "an identity file of more than {MAX_IDENTITY_FILE_LEN} bytes"
            )));
        }
        if file.starts_with(MAGIC) || file.starts_with(ARMOR) {
            let (name, file) = (name.to_owned(), file.to_vec());
            let decryptor =
                decryptor(&file).map_err(|_| invalid("an encrypted file that is damaged"))?;
            if !decryptor.is_scrypt() {
                return Err(invalid("an encrypted file, but not with a passphrase"));
            }
            let locked = Locked { name, file, ask: self.ask.clone(), keys: OnceLock::new() };
            self.locked.push(Box::new(locked));
        } else if file.starts_with(PEM) {
            use age::ssh::Identity as Ssh;
            let key = Ssh::from_buffer(file, Some(name.to_owned()));
            match key.map_err(|_| invalid("no private key of OpenSSH that is understood"))? {
                Ssh::Unsupported(_) => {
                    return Err(invalid(
                        "a private key of a kind that cannot be used (ssh-ed25519 and ssh-rsa can)",
                    ));
                }
                key => {
                    let answer = Answer::default();
                    let is_locked = matches!(key, Ssh::Encrypted(_));
                    let keys = if is_locked { &mut self.locked } else { &mut self.keys };
                    let (name, ask) = (name.to_owned(), self.ask.clone());
                    let asker = Asker { name, ask, answer: answer.clone() };
                    keys.push(Box::new(key.with_callbacks(asker)));
                    self.answers.push(answer);
                }
            }
        } else {
            self.keys.extend(plain(file)?);
        }
        Ok(())
    }

    /// The passphrase of archives.
    pub(crate) fn passphrase(&self) -> Option<&SecretString> {
        self.passphrase.get_or_init(|| self.ask.as_ref().and_then(|ask| ask(None))).as_ref()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &dyn Identity> {
        self.keys.iter().chain(&self.locked).map(|key| key.as_ref() as &dyn Identity)
    }

    /// Whether a key stayed locked, as there was no passphrase for it.
    pub(crate) fn has_locked(&self) -> bool {
        self.answers.iter().any(|answer| matches!(answer.get(), Some(None)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.locked.is_empty()
    }
}

/// Whether a text is a secret key, though a name or a public key was asked for: no message may repeat it.
pub fn is_identity(text: &str) -> bool {
    let start = text.trim_start().get(..15);
    start.is_some_and(|start| start.eq_ignore_ascii_case("AGE-SECRET-KEY-"))
        || text.contains("PRIVATE KEY-----")
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities {{ keys: {} }}", self.keys.len() + self.locked.len())
    }
}

/// Identities in the clear.
fn plain(file: &[u8]) -> Result<Vec<Key>> {
    if [&b"age1"[..], b"ssh-"].iter().any(|start| file.starts_with(start)) {
        return Err(invalid("a public key, in the place of the identity, which is the secret one"));
    }
    let wrong = |_| invalid("no identity file: its lines begin with AGE-SECRET-KEY-1 or #");
    let keys = IdentityFile::from_buffer(file).map_err(wrong)?.into_identities();
    let keys = keys.map_err(|_| invalid("an identity that cannot be used"))?;
    if keys.is_empty() {
        return Err(invalid("no identity in it"));
    }
    Ok(keys)
}

fn decryptor(
    file: &[u8],
) -> std::result::Result<Decryptor<ArmoredReader<BufReader<&[u8]>>>, DecryptError> {
    Decryptor::new_buffered(ArmoredReader::new(file))
}

/// What decrypts with a passphrase, within bounds.
pub(crate) struct Scrypt(age::scrypt::Identity);

impl Scrypt {
    pub(crate) fn new(passphrase: &SecretString) -> Self {
        let mut identity = age::scrypt::Identity::new(passphrase.clone());
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        Self(identity)
    }
}

impl Identity for Scrypt {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<FileKey, DecryptError>> {
        // Its memory goes by the work, which is the second argument. Without it, the process would end.
        let work = stanza.args.get(1).and_then(|work| work.parse().ok());
        if let Some(work) = work.filter(|&work: &u8| work <= MAX_WORK_FACTOR)
            && let Err(error) = lmic::memory::check_available(1024 << work)
        {
            return Some(Err(DecryptError::Io(error.into())));
        }
        self.0.unwrap_stanza(stanza)
    }
}

/// An identity file that is encrypted with a passphrase, and decrypted when an archive needs it.
struct Locked {
    name: String,
    file: Vec<u8>,
    ask: Option<Ask>,
    keys: OnceLock<std::result::Result<Vec<Key>, DecryptError>>,
}

impl Locked {
    fn unlock(&self) -> std::result::Result<Vec<Key>, DecryptError> {
        let locked = || DecryptError::KeyDecryptionFailed;
        let passphrase =
            self.ask.as_ref().and_then(|ask| ask(Some(&self.name))).ok_or_else(locked)?;
        let identity = Scrypt::new(&passphrase);
        let keys = decryptor(&self.file)?.decrypt(std::iter::once(&identity as &dyn Identity));
        let keys = keys.map_err(|error| match error {
            DecryptError::Io(_) | DecryptError::ExcessiveWork { .. } => error,
            _ => locked(),
        })?;
        let mut text = Zeroizing::new(Vec::with_capacity(self.file.len()));
        keys.take(MAX_IDENTITY_FILE_LEN).read_to_end(&mut text)?;
        plain(&text).map_err(|_| locked())
    }
}

impl Identity for Locked {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<FileKey, DecryptError>> {
        match self.keys.get_or_init(|| self.unlock()) {
            Ok(keys) => keys.iter().find_map(|key| key.unwrap_stanza(stanza)),
            Err(error) => Some(Err(error.clone())),
        }
    }
}

/// Gives the passphrase of one private key to age, and asks for it once.
#[derive(Clone)]
struct Asker {
    name: String,
    ask: Option<Ask>,
    answer: Answer,
}

impl Callbacks for Asker {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<SecretString> {
        let ask = || self.ask.as_ref().and_then(|ask| ask(Some(&self.name)));
        self.answer.get_or_init(ask).clone()
    }
}

/// The error of this crate for one of age.
pub(crate) fn error_of(error: DecryptError, by_passphrase: bool) -> Error {
    let (kind, message) = match error {
        DecryptError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            (ErrorKind::Truncated, "the header of the encrypted file ends early")
        }
        DecryptError::Io(error) => return error.into(),
        DecryptError::NoMatchingKeys => {
            (ErrorKind::WrongKey, "is encrypted for other keys: none of the identities opens it")
        }
        DecryptError::DecryptionFailed if by_passphrase => {
            (ErrorKind::WrongKey, "is encrypted, and the passphrase is wrong")
        }
        DecryptError::KeyDecryptionFailed => (
            ErrorKind::WrongKey,
            "is encrypted, and the identity file is locked: no or a wrong passphrase for it",
        ),
        DecryptError::ExcessiveWork { required, .. } => {
            let message = format!(
                "asks for 2^{required} steps of work to try a passphrase, above the limit of 2^{MAX_WORK_FACTOR}"
            );
            return Error::new(ErrorKind::MemoryLimit, message);
        }
        DecryptError::InvalidMac => {
            (ErrorKind::Corrupt, "the header of the encrypted file was changed")
        }
        DecryptError::UnknownFormat => {
            (ErrorKind::NeedsNewer, "is encrypted in a newer version of the age format")
        }
        _ => (ErrorKind::Corrupt, "the header of the encrypted file is damaged"),
    };
    Error::new(kind, message)
}
