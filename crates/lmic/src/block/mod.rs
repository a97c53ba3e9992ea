//! One block of bytes to its code and back, between the container and the models.
//!
//! The container stores a [`StreamModel`](crate::block::StreamModel) with each stream and a [`Kind`](crate::block::Kind)
//! with each block, and knows nothing of what the models do. `ways` has a file for each way to code a block, and an encoder
//! lets `choose` take the shortest code. What an input holds is said by the user ([`Content`](crate::block::Content)) or
//! found out: by `recognise` from the headers of files, by `guess` without them.

mod choose;
mod guess;
mod kind;
mod models;
mod numbers;
mod recognise;
mod repeats;
mod stream;
mod ways;

pub use guess::guesses;
pub use kind::{Content, Kind};
pub use models::Models;
pub use numbers::{DEFAULT_LEVEL, LevelNetwork, MAX_LEVEL};
pub use recognise::{HEAD_LEN, Segment, segments};
pub use stream::{MAX_MODEL_NAME, NamedNetwork, NamedPrimed, StreamModel};
pub use ways::Plain;

pub(crate) use choose::Choice;
pub(crate) use numbers::{MIXED_BLOCK_SIZE, Number, number, of_level};
pub(crate) use ways::{Codes, Lines, Way, kind_of, line};

pub use crate::predict::samples::SampleFormat;

use crate::predict::samples::Samples;

/// The trained files inside the library that a block of `content` needs in a stream of the model `number` (see
/// [`Preset::model`](crate::Preset::model)): what counts as the model in an adjusted rate.
pub fn built_in_files(number: u8, content: Content) -> Vec<&'static [u8]> {
    let Some(network) = numbers::number(number).and_then(|row| row.network) else {
        return Vec::new();
    };
    let of_samples = match content {
        Content::Samples(format) => Samples::file(format),
        Content::Bytes | Content::Binary => None,
    };
    of_samples.map_or_else(|| network.files().to_vec(), |file| vec![file])
}
