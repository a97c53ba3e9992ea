//! The networks that come with the library, each with the start of its mix.
//!
//! A number stands in archives for one of them and means it for ever: a better network gets a new number.

use std::sync::{Arc, OnceLock};

use super::start::Start;
use crate::nn::{Recurrent, RecurrentWeights};

/// A network and what its mix begins with.
#[derive(Debug)]
pub struct BuiltIn {
    /// The network.
    pub network: Arc<Recurrent>,
    /// The start.
    pub start: Start,
}

/// Number, model file, start.
static FILES: [(u8, &[u8], &[u8]); 2] = [
    (
        6,
        include_bytes!("../../../models/recurrent-small.safetensors"),
        include_bytes!("../../../models/mix-6.start"),
    ),
    (
        7,
        include_bytes!("../../../models/recurrent-default.safetensors"),
        include_bytes!("../../../models/mix-7.start"),
    ),
];

/// What has been unpacked: some milliseconds each, so only what is used is.
static UNPACKED: [OnceLock<BuiltIn>; FILES.len()] = [const { OnceLock::new() }; FILES.len()];

/// The network of this number, if there is one.
pub fn built_in(number: u8) -> Option<&'static BuiltIn> {
    let at = FILES.iter().position(|file| file.0 == number)?;
    Some(UNPACKED[at].get_or_init(|| {
        let (_, model, start) = FILES[at];
        let weights = RecurrentWeights::from_bytes(model).expect("a test reads this file");
        BuiltIn {
            network: Arc::new(Recurrent::new(&weights).expect("a test builds this network")),
            start: Start::from_bytes(start).expect("a test reads this file"),
        }
    }))
}

/// Network and start of this number as they are embedded.
pub fn files(number: u8) -> Option<[&'static [u8]; 2]> {
    FILES.iter().find(|file| file.0 == number).map(|&(_, model, start)| [model, start])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_mean_these_networks_and_starts_for_ever() {
        let hashes = |number| {
            let built_in = built_in(number).unwrap();
            let start = blake3::hash(&built_in.start.to_bytes());
            let hex: String =
                built_in.network.identity()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            (hex, start.to_hex()[..16].to_string())
        };
        assert_eq!(hashes(6), ("d05e815a70b9b4f7".into(), "31e5b3a2431d6d31".into()));
        assert_eq!(hashes(7), ("1dc8d407bf2a568f".into(), "156579a9583a4585".into()));
        assert!(built_in(5).is_none() && built_in(8).is_none());
    }
}
