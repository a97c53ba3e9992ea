//! For an encoder: which way makes a block shortest.

use std::sync::Arc;

use super::guess::{GUESS_LEN, LARGEST_GUESSES, guesses};
use super::kind::Kind;
use super::models::Models;
use super::repeats::repeated_share;
use super::stream::StreamModel;
use super::ways::{self, Guided, Lines, Mix, Plain, Primed, Way};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::primed;
use crate::predict::samples::SampleFormat;
use crate::progress::Progress;

/// Blocks up to this are coded with and without the network and as what they may be, and the shortest code is taken.
const BOTH_WAYS: usize = 16 << 10;

/// What a row or the channels take in the header of a block, at most for what is guessed.
const PARAMETER_LEN: usize = 2;

/// Of longer ones a part of this length is, in this many pieces.
const PROBE: usize = 16 << 10;
const PROBES: usize = 4;

/// The network has to save this part of the probe's code, as it costs ten times the time: 1/32.
const WORTH_IT: usize = 32;

/// From this share on, a long block is coded both ways: context mixing alone follows what repeats through all of a block, in a
/// mix each lane meets it in a place of its own. Prose has a share of up to .05, programs .14, logs and JSON .6 and .7.
const REPEATS: f64 = 0.25;

/// The way that a block was asked to be coded, and whether another may be better.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    kind: Kind,
    way: Way,
    may_choose: bool,
}

impl Choice {
    /// For a block that is asked to be of `kind` in a stream of `model`. If it `may_choose`, bytes of a mix may be coded
    /// otherwise.
    ///
    /// # Errors
    /// As [`Way::new`].
    pub(crate) fn new(
        model: &StreamModel,
        kind: Kind,
        models: &Models,
        may_choose: bool,
    ) -> Result<Self> {
        let way = Way::new(model, kind, models)?;
        let way = way.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "a stored block is nothing to ask for")
        })?;
        Ok(Self { kind, way, may_choose })
    }

    /// For lines, each coded alone.
    pub(crate) fn lines(primed: Arc<primed::Primed>) -> Self {
        Self { kind: Kind::Bytes, way: Way::Lines(Lines::uncounted(primed)), may_choose: false }
    }

    /// Lets a block use so many threads.
    pub(crate) fn set_threads(&mut self, most: usize) {
        self.way.set_threads(most);
    }

    /// As [`Plain::memory`], of the way that takes most.
    pub(crate) fn memory(&self, len: usize) -> u64 {
        let own = self.way.memory(len);
        let Way::Mix(mix) = &self.way else { return own };
        let mut others = without_network(mix, len);
        if self.may_choose && GUESS_LEN.contains(&len) {
            others.extend(LARGEST_GUESSES.map(|format| as_samples(mix, format)));
        }
        others.iter().map(|(_, way)| way.memory(len)).fold(own, u64::max)
    }

    /// The code of a block, raw and without length or check, and what its header has to say of it. `data` is left as it was.
    pub(crate) fn encode(&self, data: &mut [u8], progress: &Progress) -> (Kind, Vec<u8>) {
        let own = |data: &mut [u8]| (self.kind, self.way.encode(data, progress));
        match &self.way {
            Way::Lines(_) => (ways::kind_of(data), self.way.encode(data, progress)),
            Way::Mix(mix) if self.may_choose => {
                if data.len() <= BOTH_WAYS {
                    return self.shortest(mix, data, progress);
                }
                let (gap, piece) = (data.len() / PROBES, PROBE / PROBES);
                let mut probe: Vec<u8> =
                    (0..PROBES).flat_map(|i| data[i * gap..][..piece].iter().copied()).collect();
                let unseen = progress.unseen();
                let mixed = self.way.encode(&mut probe, &unseen).len();
                let (kind, without) = without_network(mix, data.len()).swap_remove(0);
                let plain = without.encode(&mut probe, &unseen).len();
                if mixed + plain / WORTH_IT > plain {
                    return (kind, without.encode(data, progress));
                }
                if repeated_share(data) >= REPEATS {
                    return self.shortest(mix, data, progress);
                }
                own(data)
            }
            _ => own(data),
        }
    }

    /// The shortest of the codes with and without the network and, where they may be samples, as these.
    fn shortest(&self, mix: &Mix, data: &mut [u8], progress: &Progress) -> (Kind, Vec<u8>) {
        let header_len = |kind| match kind {
            Kind::Guided { .. } => 1,
            Kind::Samples(_) => PARAMETER_LEN,
            _ => 0,
        };
        let (mut best, mut code) = (self.kind, self.way.encode(data, progress));
        let mut others = without_network(mix, data.len());
        others.extend(guesses(data).into_iter().map(|format| as_samples(mix, format)));
        for (kind, way) in others {
            let other = way.encode(data, &progress.unseen());
            if other.len() + header_len(kind) < code.len() + header_len(best) {
                (best, code) = (kind, other);
            }
        }
        (best, code)
    }
}

/// How else a block of `len` bytes may be coded in a mix's stream, with less than all models; first what does best without
/// the network.
fn without_network(mix: &Mix, len: usize) -> Vec<(Kind, Way)> {
    let Some(primed) = &mix.primed else { return vec![(Kind::Unmixed, Way::unmixed())] };
    let mut ways = vec![(Kind::Guided { network: 5 }, Way::Guided(Guided(Arc::clone(primed))))];
    if len <= BOTH_WAYS {
        ways.push((Kind::Bytes, Way::Primed(Primed(Arc::clone(primed)))));
    }
    ways
}

/// A block of samples in a mix's stream.
fn as_samples(mix: &Mix, format: SampleFormat) -> (Kind, Way) {
    let profile = match mix.primed {
        Some(_) => ways::PROFILE_BESIDE_NETWORK,
        None => ways::SAMPLES_BESIDE_MIX,
    };
    (Kind::Samples(format), Way::Plain(Plain { profile, content: format.into() }))
}
