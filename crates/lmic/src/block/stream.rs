//! Which model a stream names in its header.

use std::sync::Arc;

use super::kind::Kind;
use super::numbers::number;
use crate::hex;
use crate::nn::Windows;

pub use crate::nn::format::MAX_MODEL_NAME;

/// The model of a stream, as its header names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamModel {
    /// Context mixing: the profile, 1 to 5.
    Profile(u8),
    /// A transformer alone. Its weights are not in the archive.
    Network(Arc<NamedNetwork>),
    /// A network of the library, together with context mixing: its number, 6 to 9. That of 9 is a file of its own.
    BuiltIn(u8),
    /// A network together with context mixing. Its weights are not in the archive.
    Mixed(Arc<NamedNetwork>),
    /// A primed state. It is not in the archive.
    Primed(Arc<NamedPrimed>),
    /// A model of tokens. Its weights are not in the archive, and its windows count tokens instead of bytes.
    Tokens(Arc<NamedNetwork>),
    /// A model that only a newer lmic has: its number.
    Unknown(u8),
}

/// A network as a stream names it, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedNetwork {
    /// What the model is called: for people, and to look for it. At most [`MAX_MODEL_NAME`] bytes.
    pub name: String,
    /// What it is: [`Weights::identity`](crate::nn::Weights::identity).
    pub identity: [u8; 32],
    /// How blocks are walked. In a mix, a recurrent network has a context and an overlap of 0.
    pub windows: Windows,
}

/// A primed state as a stream names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedPrimed {
    /// What the state is called: for people, and to look for it. At most [`MAX_MODEL_NAME`] bytes.
    pub name: String,
    /// What it is: [`Primed::identity`](crate::records::Primed::identity).
    pub identity: [u8; 32],
}

impl StreamModel {
    /// The model of a number: a network that comes with the library, or a profile.
    pub(crate) fn of_number(n: u8) -> Self {
        match number(n) {
            Some(row) if row.network.is_some() => Self::BuiltIn(n),
            Some(_) => Self::Profile(n),
            None => Self::Unknown(n),
        }
    }

    /// Whether only a newer lmic can decode a block of `kind` in such a stream. All others can be decoded here.
    pub fn needs_newer(&self, kind: Kind) -> bool {
        match kind {
            Kind::Stored => false,
            Kind::Unknown { .. } => true,
            _ => matches!(self, Self::Unknown(_)),
        }
    }

    /// Whether bytes are coded with a network and context mixing together.
    pub fn is_mixed(&self) -> bool {
        matches!(self, Self::BuiltIn(_) | Self::Mixed(_))
    }
}

impl NamedNetwork {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}

impl NamedPrimed {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}
