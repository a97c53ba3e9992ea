//! Encrypted archives: a `.lmic` archive, padded, inside of a file of the [age] format. `age -d` opens it, and what comes out is an
//! archive that any lmic reads, because zeros behind an archive mean nothing. Nothing of the archive's own format is outside: its
//! checks are hashes of the content and would tell what it is.
//!
//! In the flow: [`Writer`] stands between an encoder and its output, [`Reader`] between an input and a decoder. A `Reader` tells
//! by the first bytes whether its input is encrypted, and hands on what is not as it is.
//!
//! Invariants
//! - No byte of a chunk (64 KiB) is given out before the chunk's tag has been compared.
//! - Nothing is allocated, and no work is done, by an unchecked number of the input: headers are bounded, and so is the work that
//!   a passphrase may cost.
//! - Keys and passphrases are wiped from memory when they are dropped, and no message has any of them.
//!
//! ```
//! use std::io::{Read, Write};
//! use lmic_age::{Identities, Padding, Reader, Recipients, Writer};
//!
//! # let (secret, public) = lmic_age::generate();
//! let mut recipients = Recipients::default();
//! recipients.add(&public)?;
//! let mut file = Writer::new(Vec::new(), &recipients, Padding::Padme)?;
//! file.write_all(&lmic::compress(b"to be or not to be", 1)?)?;
//! let file = file.finish()?;
//!
//! let mut identities = Identities::default();
//! identities.add("key.txt", secret.as_bytes())?;
//! let mut text = String::new();
//! lmic::Decoder::new(Reader::new(file.as_slice(), &identities)?).read_to_string(&mut text)?;
//! assert_eq!(text, "to be or not to be");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [age]: https://age-encryption.org/v1

/// Whom an archive is encrypted to.
mod recipients;

/// What opens archives.
mod identities;

/// How far an archive is padded.
mod padding;

mod reader;
mod writer;

pub use age::secrecy::{ExposeSecret, SecretString};
pub use identities::{Ask, Identities, is_identity};
pub use padding::{Padding, padme};
pub use reader::{MAX_HEADER_LEN, MAX_WORK_FACTOR, Reader};
pub use recipients::{MAX_RECIPIENTS, Recipients, WORK_FACTOR};
pub use writer::Writer;

/// A new identity and its recipient, as `age-keygen` makes them: `AGE-SECRET-KEY-1...` and `age1...`.
pub fn generate() -> (zeroize::Zeroizing<String>, String) {
    let identity = age::x25519::Identity::generate();
    (identity.to_string().expose_secret().to_owned().into(), identity.to_public().to_string())
}
