//! One block of bytes to its code and back, between the container and the models.
//!
//! The container stores a [`StreamModel`](crate::block::StreamModel) with each stream and a [`Kind`](crate::block::Kind)
//! with each block, and knows nothing of what the models do. `ways` has a file for each way to code a block, and an encoder
//! lets `choose` take the shortest code. What an input holds is said by the user ([`Content`](crate::block::Content)) or
//! found out: by `recognise` from the headers of files, by `guess` without them.

mod choose;
mod copies;
mod deflate;
mod guess;
mod kind;
mod models;
mod noise;
mod numbers;
mod recognise;
mod repeats;
mod stream;
mod ways;
mod words;

pub use guess::guesses;
pub use kind::{Content, Kind};
pub use models::Models;
pub use numbers::{ApartNetwork, BEST_LEVEL, DEFAULT_LEVEL, MAX_LEVEL, apart_network};
pub use recognise::{HEAD_LEN, Segment, segments};
pub(crate) use recognise::{PIECE_HEAD, piece};
pub use stream::{MAX_MODEL_NAME, NamedNetwork, NamedPrimed, StreamModel};
pub use ways::Plain;
pub use words::content_of;

pub(crate) use choose::{Choice, are_bytes};
pub(crate) use copies::{Copies, MAX_REACH, assemble, write as write_copies};
pub(crate) use deflate::{Undone, undo};
pub(crate) use numbers::{MIXED_BLOCK_SIZE, Numbered, number};
pub(crate) use repeats::{Finder, Found};
pub(crate) use ways::{Codes, Lines, Way, kind_of, line};

pub use crate::predict::programs::Machine;
pub use crate::predict::samples::{Class, Number, SampleFormat};

use std::sync::Arc;

use crate::error::Result;
use crate::nn::Recurrent;
use crate::predict::samples::Samples;

/// The network that a level mixes with context mixing; `None` if there is none at that level. One that does not come with the program
/// is found among `models`.
///
/// # Errors
/// [`ErrorKind::WrongModel`](crate::ErrorKind::WrongModel) if it was left out of this build, or is not found.
pub fn level_network(level: u8, models: &Models) -> Result<Option<Arc<Recurrent>>> {
    let network = numbers::number(level).and_then(|row| row.network);
    network.map(|network| network.network(models)).transpose()
}

/// The trained files inside the library that a block of `content` needs in a stream of a level's model: what
/// counts as the model in an adjusted rate, beside the file of an [`ApartNetwork`].
pub fn built_in_files(level: u8, content: Content) -> Vec<&'static [u8]> {
    let Some(network) = numbers::number(level).and_then(|row| row.network) else {
        return Vec::new();
    };
    let of_samples = match content {
        Content::Samples(format) => Samples::file(format),
        Content::Bytes | Content::Binary => None,
        // Context mixing alone.
        Content::Program(_) => return Vec::new(),
    };
    of_samples.map_or_else(|| network.files(), |file| vec![file])
}
