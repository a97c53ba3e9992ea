//! One block of bytes to its code and back: which model, for which content, at what memory.
//!
//! The container stores a [`StreamModel`](crate::codec::StreamModel) with each stream and a [`Content`](crate::codec::Content)
//! with each block, and knows nothing of what the models do.

use std::fmt;
use std::sync::Arc;

use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::content::{GUESS_LEN, LARGEST_GUESSES, guesses};
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Lanes, Network, Recurrent, TokenModel, Transformer, Windowed, Windows};
use crate::predict::cm::primed::{Primed, PrimedBlock};
use crate::predict::cm::{Cm, PROFILES};
use crate::predict::mix::{self, BuiltIn, Guided, Mix, Start};
use crate::predict::samples::Samples;
use crate::progress::{Progress, Watched};
use crate::records::lines;
use crate::repeats::repeated_share;
use crate::walk;

/// What a block holds, which decides the contexts that the model looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Content {
    /// Text, records, programs, anything.
    #[default]
    Bytes,
    /// Bytes of which a network for text knows nothing: in a stream of a mix they are coded without it. An
    /// encoder finds out by itself; in other streams it takes them for [`Content::Bytes`].
    Binary,
    /// Bytes of which a stream's primed state is asked beside context mixing and, where `network` is 6 or 7, the network of
    /// that number; 5 is none. What an encoder with a primed state makes of [`Content::Bytes`] from level 5 on.
    Guided {
        /// 5 to 7.
        network: u8,
    },
    /// Lines, each coded alone with the stream's primed state: see [`EncodeOptions::records`](crate::EncodeOptions::records).
    Records {
        /// Lines that begin in the block or go on in it, 1 to its length.
        count: u32,
        /// The last one has no line feed: it goes on in the next block, if there is one.
        open: bool,
    },
    /// 8-bit samples in rows, one byte a pixel.
    Gray {
        /// Bytes from one row to the next, 1 to [`Content::MAX_ROW`].
        row: u32,
    },
    /// 8-bit colour in rows, three bytes a pixel.
    Rgb {
        /// Bytes from one row to the next (3 a pixel, and any padding), 3 to [`Content::MAX_ROW`].
        row: u32,
    },
    /// Unsigned 8-bit linear audio.
    Pcm8 {
        /// Interleaved channels, 1 to [`Content::MAX_CHANNELS`].
        channels: u8,
    },
    /// Signed 16-bit little-endian linear audio.
    Pcm16 {
        /// Interleaved channels, 1 to [`Content::MAX_CHANNELS`].
        channels: u8,
    },
}

impl Content {
    /// Longest row in bytes.
    pub const MAX_ROW: u32 = 1 << 24;
    /// Most audio channels.
    pub const MAX_CHANNELS: u8 = 8;

    /// Checks the parameters against their documented ranges.
    pub fn validate(self) -> Result<()> {
        let ok = match self {
            Self::Bytes | Self::Binary => true,
            Self::Guided { network } => (5..=7).contains(&network),
            Self::Records { count, .. } => count >= 1,
            Self::Gray { row } => (1..=Self::MAX_ROW).contains(&row),
            Self::Rgb { row } => (3..=Self::MAX_ROW).contains(&row),
            Self::Pcm8 { channels } | Self::Pcm16 { channels } => {
                (1..=Self::MAX_CHANNELS).contains(&channels)
            }
        };
        if ok {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{self:?} is out of range: a row is 1 (rgb: 3) to {} bytes, channels 1 to {}, a network 5 to 7",
                    Self::MAX_ROW,
                    Self::MAX_CHANNELS
                ),
            ))
        }
    }
}

/// The model of one block: all that a decoder must know to build it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockModel {
    /// Strength of the context-mixing model, 1 (fast) to 5 (strong); for images and audio also 6 (with pretrained networks).
    pub profile: u8,
    /// What the block holds.
    pub content: Content,
}

impl BlockModel {
    /// Bytes of memory that coding a block of `len` bytes takes in either direction, beside the block
    /// itself and its code. Computed without allocating, so that a decoder can refuse.
    pub fn memory(&self, len: usize) -> u64 {
        Samples::memory(self.profile, self.content, len)
            .unwrap_or_else(|| Cm::memory(self.profile, len))
    }

    /// Encodes a block. `data` is left as it was. The code is raw: no length, no checksum.
    ///
    /// # Panics
    /// If the profile or the content's parameters are out of range.
    pub fn encode(&self, data: &mut [u8]) -> Vec<u8> {
        self.encode_with(data, &Progress::default())
    }

    /// [`BlockModel::encode`] that can be watched and stopped.
    pub fn encode_with(&self, data: &mut [u8], progress: &Progress) -> Vec<u8> {
        let mut coder = RangeEncoder::new();
        self.walk(&mut coder, data, progress);
        coder.finish()
    }

    /// Fills `data` from `code`. A damaged code gives other bytes, never a panic.
    ///
    /// # Panics
    /// As [`BlockModel::encode`].
    pub fn decode(&self, code: &[u8], data: &mut [u8]) {
        self.decode_with(code, data, &Progress::default());
    }

    /// [`BlockModel::decode`] that can be watched and stopped.
    pub fn decode_with(&self, code: &[u8], data: &mut [u8], progress: &Progress) {
        self.walk(&mut RangeDecoder::new(code), data, progress);
    }

    /// Walks a block with any coder on the far side.
    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        match Samples::new(self.profile, self.content, data.len()) {
            Some(model) => walk::walk(&mut Watched::new(model, progress), coder, data),
            None => {
                let model = Cm::new(self.profile, data.len());
                walk::walk(&mut Watched::new(model, progress), coder, data);
            }
        }
    }
}

/// The model of a stream, as its header names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamModel {
    /// Context mixing: the profile, 1 to 5.
    Profile(u8),
    /// A transformer alone, whose weights are elsewhere.
    Neural(Arc<NeuralModel>),
    /// A network whose weights come with the program, mixed with context mixing: its number, 6 or 7.
    BuiltIn(u8),
    /// A network whose weights are elsewhere, mixed with context mixing.
    Mixed(Arc<NeuralModel>),
    /// A primed state, which is elsewhere.
    Primed(Arc<PrimedModel>),
    /// A model of tokens, whose weights are elsewhere; windows count in tokens.
    Tokens(Arc<NeuralModel>),
}

/// A primed state as a stream names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrimedModel {
    /// What the state is called: for people, and to look for it. At most 64 bytes.
    pub name: String,
    /// What it is: [`Primed::identity`](crate::records::Primed::identity).
    pub identity: [u8; 32],
}

impl PrimedModel {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl StreamModel {
    /// The model that a level's number stands for: a profile, or a network that comes with the library.
    pub(crate) fn of_number(number: u8) -> Self {
        if number <= PROFILES { Self::Profile(number) } else { Self::BuiltIn(number) }
    }

    /// Whether bytes are coded with a network and context mixing together.
    pub fn is_mixed(&self) -> bool {
        matches!(self, Self::BuiltIn(_) | Self::Mixed(_))
    }
}

/// A network and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NeuralModel {
    /// What the model is called: for people, and to look for it. At most 64 bytes.
    pub name: String,
    /// What it is: [`Weights::identity`](crate::nn::Weights::identity).
    pub identity: [u8; 32],
    /// How blocks are walked. In a mix, a recurrent network has a context and an overlap of 0.
    pub windows: Windows,
}

impl NeuralModel {
    /// The identity in hexadecimal.
    pub fn identity_hex(&self) -> String {
        hex(&self.identity)
    }
}

/// Images and audio in a stream with a neural model or a primed state, which are of text, are coded with this profile.
const PROFILE_BESIDE_NEURAL: u8 = 5;

/// In a stream of a mix, with this one: sample models with networks of their own.
const SAMPLES_BESIDE_MIX: u8 = 6;

/// Where a decoder finds the networks and primed states that streams name. The default has none.
#[derive(Clone, Default)]
pub struct Models {
    find: Option<Arc<Finder>>,
    find_primed: Option<Arc<PrimedFinder>>,
}

type PrimedFinder = dyn Fn(&PrimedModel) -> Result<Option<Arc<Primed>>> + Send + Sync;

type Finder = dyn Fn(&NeuralModel) -> Result<Option<Network>> + Send + Sync;

impl Models {
    /// These models.
    pub fn of<M: Into<Network>>(models: Vec<M>) -> Self {
        let models: Vec<Network> = models.into_iter().map(Into::into).collect();
        Self::found_by(move |wanted| {
            Ok(models.iter().find(|model| model.identity() == wanted.identity).cloned())
        })
    }

    /// Whatever `find` returns. It is called for each block, by one thread at a time for each decoder, and should remember what it loaded.
    /// A model of another identity counts as not found.
    pub fn found_by(
        find: impl Fn(&NeuralModel) -> Result<Option<Network>> + Send + Sync + 'static,
    ) -> Self {
        Self { find: Some(Arc::new(find)), ..Self::default() }
    }

    /// These, and primed states that `find` returns, as in [`Models::found_by`].
    #[must_use]
    pub fn with_primed(
        self,
        find: impl Fn(&PrimedModel) -> Result<Option<Arc<Primed>>> + Send + Sync + 'static,
    ) -> Self {
        Self { find_primed: Some(Arc::new(find)), ..self }
    }

    fn get_primed(&self, wanted: &PrimedModel) -> Result<Arc<Primed>> {
        let found = match &self.find_primed {
            Some(find) => find(wanted)?,
            None => None,
        };
        found.filter(|primed| primed.identity() == wanted.identity).ok_or_else(|| {
            Error::new(
                ErrorKind::WrongModel,
                format!(
                    "the archive is coded with the primed state {:?} of identity {}, which is not at hand",
                    wanted.name,
                    wanted.identity_hex()
                ),
            )
        })
    }

    fn get(&self, wanted: &NeuralModel) -> Result<Network> {
        let found = match &self.find {
            Some(find) => find(wanted)?,
            None => None,
        };
        found.filter(|model| model.identity() == wanted.identity).ok_or_else(|| {
            Error::new(
                ErrorKind::WrongModel,
                format!(
                    "the archive is coded with the model {:?} of identity {}, which is not at hand",
                    wanted.name,
                    wanted.identity_hex()
                ),
            )
        })
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models")
            .field("any", &(self.find.is_some() || self.find_primed.is_some()))
            .finish()
    }
}

/// Checks that windows fit the network that the archive names.
fn check_context(has: usize, windows: Windows) -> Result<()> {
    let asked = windows.context as usize;
    if (1..=has).contains(&asked) {
        return Ok(());
    }
    let message = format!("windows of {asked} positions; the model has {has}");
    Err(Error::new(ErrorKind::Corrupt, message))
}

/// A network that comes with the library.
fn built_in(number: u8) -> Result<&'static BuiltIn> {
    mix::built_in(number).ok_or_else(|| {
        let message = format!(
            "the archive is coded with the built-in model {number}, which this version lacks"
        );
        Error::new(ErrorKind::WrongModel, message)
    })
}

/// The trained files inside the library that a block of `content` needs in a stream of the model `number` (see
/// [`Preset::model`](crate::Preset::model)): what counts as the model in an adjusted rate.
pub fn built_in_files(number: u8, content: Content) -> Vec<&'static [u8]> {
    let Some(network) = mix::files(number) else { return Vec::new() };
    match Samples::file(content) {
        Some(file) => vec![file],
        None => network.to_vec(),
    }
}

/// A network as `mix` uses it.
#[derive(Debug, Clone)]
pub(crate) enum MixedNetwork {
    Transformer(Windowed),
    Recurrent(Arc<Recurrent>),
}

/// `$what` with the network inside, of whichever type.
macro_rules! with_network {
    ($network:expr, $model:ident => $what:expr) => {
        match $network {
            MixedNetwork::Transformer($model) => $what,
            MixedNetwork::Recurrent($model) => {
                let $model = &**$model;
                $what
            }
        }
    };
}

impl MixedNetwork {
    fn new(network: Network, windows: Windows) -> Result<Self> {
        match network {
            Network::Transformer(model) => {
                check_context(model.context(), windows)?;
                let (context, overlap) = (windows.context as usize, windows.overlap as usize);
                Ok(Self::Transformer(Windowed { model, context, overlap }))
            }
            Network::Tokens(_) => {
                let message = "a model of tokens in a mix; it can only be alone";
                Err(Error::new(ErrorKind::Corrupt, message))
            }
            Network::Recurrent(_) if windows.context != 0 => {
                let message = "windows of a recurrent network, which has none";
                Err(Error::new(ErrorKind::Corrupt, message))
            }
            Network::Recurrent(model) => Ok(Self::Recurrent(model)),
        }
    }
}

/// All that codes one block.
#[derive(Debug, Clone)]
pub(crate) enum BlockCoder {
    /// Context mixing alone.
    Mixing(BlockModel),
    /// A transformer alone.
    Neural(Arc<Transformer>, Windows),
    /// A model of tokens, on so many threads.
    Tokens(Arc<dyn TokenModel>, Windows, usize),
    /// A primed state alone.
    Primed(Arc<Primed>),
    /// A primed state and context mixing.
    Guided(Arc<Primed>),
    /// Records: a decoder knows how many, and whether the last one is open.
    Lines(Arc<Primed>, (u32, bool)),
    /// A network, perhaps a primed state, and context mixing.
    Mix {
        network: MixedNetwork,
        /// What the mix begins with.
        start: Option<&'static Start>,
        primed: Option<Arc<Primed>>,
        lanes: u8,
        threads: usize,
        /// Whether an encoder may find that the network does not help.
        choose: bool,
    },
}

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

impl BlockCoder {
    /// For a block of `content` in a stream of `model`.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if a network is needed and not found, [`ErrorKind::Corrupt`] for content that such a
    /// stream does not have.
    pub(crate) fn new(model: &StreamModel, content: Content, models: &Models) -> Result<Self> {
        let mix = |network, start, primed, lanes| Self::Mix {
            network,
            start,
            primed,
            lanes,
            threads: 1,
            choose: false,
        };
        let built_in_mix = |number, primed| -> Result<Self> {
            let BuiltIn { network, start } = built_in(number)?;
            let network = MixedNetwork::Recurrent(network.clone());
            Ok(mix(network, Some(start), primed, Windows::MIXED_LANES))
        };
        Ok(match (model, content) {
            (StreamModel::Neural(neural), Content::Bytes) => {
                let Network::Transformer(model) = models.get(neural)? else {
                    let message = "another network alone where a transformer of bytes must be";
                    return Err(Error::new(ErrorKind::Corrupt, message));
                };
                check_context(model.context(), neural.windows)?;
                Self::Neural(model, neural.windows)
            }
            (StreamModel::Tokens(neural), Content::Bytes) => {
                let Network::Tokens(model) = models.get(neural)? else {
                    let message = "another network where a model of tokens must be";
                    return Err(Error::new(ErrorKind::Corrupt, message));
                };
                check_context(model.context(), neural.windows)?;
                Self::Tokens(model, neural.windows, 1)
            }
            (StreamModel::Primed(primed), Content::Bytes) => {
                Self::Primed(models.get_primed(primed)?)
            }
            (StreamModel::Mixed(neural), Content::Bytes) => {
                let windows = neural.windows;
                mix(MixedNetwork::new(models.get(neural)?, windows)?, None, None, windows.lanes)
            }
            (StreamModel::BuiltIn(number), Content::Bytes) => built_in_mix(*number, None)?,
            (StreamModel::Primed(wanted), Content::Guided { network: 5 }) => {
                Self::Guided(models.get_primed(wanted)?)
            }
            (StreamModel::Primed(wanted), Content::Guided { network }) => {
                built_in_mix(network, Some(models.get_primed(wanted)?))?
            }
            (_, Content::Guided { .. }) => {
                let message = "a block of kind 8 in a stream without a primed state";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            (StreamModel::Primed(primed), Content::Records { count, open }) => {
                Self::Lines(models.get_primed(primed)?, (count, open))
            }
            (_, Content::Records { .. }) => {
                let message = "a block of records in a stream without a primed state";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            (_, Content::Binary) if !model.is_mixed() => {
                let message = "a block of kind 6 in a stream that is no mix";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            (StreamModel::Profile(profile), _) => {
                Self::Mixing(BlockModel { profile: *profile, content })
            }
            (StreamModel::Neural(_) | StreamModel::Primed(_) | StreamModel::Tokens(_), _) => {
                Self::Mixing(BlockModel { profile: PROFILE_BESIDE_NEURAL, content })
            }
            _ => Self::beside_mix(content),
        })
    }

    /// For a block of a mix that is coded without the mix's network.
    fn beside_mix(content: Content) -> Self {
        match content {
            Content::Bytes | Content::Binary => {
                Self::Mixing(BlockModel { profile: PROFILE_BESIDE_NEURAL, content: Content::Bytes })
            }
            samples => Self::Mixing(BlockModel { profile: SAMPLES_BESIDE_MIX, content: samples }),
        }
    }

    /// How else a block of `len` bytes may be coded in this one's stream, with less than all models; first what does best without
    /// the network.
    fn without_network(&self, len: usize) -> Vec<(Content, Self)> {
        let Self::Mix { primed: Some(primed), .. } = self else {
            return vec![(Content::Binary, Self::beside_mix(Content::Binary))];
        };
        let mut ways = vec![(Content::Guided { network: 5 }, Self::Guided(Arc::clone(primed)))];
        if len <= BOTH_WAYS {
            ways.push((Content::Bytes, Self::Primed(Arc::clone(primed))));
        }
        ways
    }

    /// For a block of samples in this one's stream.
    fn as_samples(&self, content: Content) -> Self {
        match self {
            Self::Mix { primed: Some(_), .. } => {
                Self::Mixing(BlockModel { profile: PROFILE_BESIDE_NEURAL, content })
            }
            _ => Self::beside_mix(content),
        }
    }

    /// Lets a block use `threads` threads.
    pub(crate) fn set_threads(&mut self, most: usize) {
        if let Self::Mix { threads, .. } | Self::Tokens(_, _, threads) = self {
            *threads = most.max(1);
        }
    }

    /// Lets an encoder find out whether the network helps.
    pub(crate) fn set_choice(&mut self, may_choose: bool) {
        if let Self::Mix { choose, .. } = self {
            *choose = may_choose;
        }
    }

    /// As [`BlockModel::memory`].
    pub(crate) fn memory(&self, len: usize) -> u64 {
        match self {
            Self::Mixing(model) => model.memory(len),
            Self::Neural(model, windows) => Lanes::memory(model, *windows, len),
            Self::Tokens(model, windows, _) => model.memory(*windows, len),
            Self::Primed(primed) => PrimedBlock::memory(primed, len),
            Self::Guided(primed) => Guided::memory(primed, len),
            Self::Lines(primed, _) => lines::memory(primed, len),
            Self::Mix { network, primed, lanes, threads, choose, .. } => {
                let mut ways = self.without_network(len);
                if *choose && GUESS_LEN.contains(&len) {
                    ways.extend(LARGEST_GUESSES.map(|way| (way, self.as_samples(way))));
                }
                let others = ways.iter().map(|(_, way)| way.memory(len)).max().unwrap_or(0);
                let mixed = with_network!(network, model => {
                    Mix::memory(model, primed.as_ref(), *lanes, *threads, len)
                });
                others.max(mixed)
            }
        }
    }

    /// As [`BlockModel::encode_with`]. What the block is said to hold may change from bytes to anything
    /// else that makes the code shorter; of records it says how many.
    pub(crate) fn encode(
        &self,
        data: &mut [u8],
        content: &mut Content,
        progress: &Progress,
    ) -> Vec<u8> {
        if let Self::Lines(..) = self {
            *content = lines::content_of(data);
        }
        let Self::Mix { choose: true, .. } = self else { return self.code_of(data, progress) };
        if data.len() <= BOTH_WAYS {
            return self.shortest(data, content, progress);
        }
        let (gap, piece) = (data.len() / PROBES, PROBE / PROBES);
        let mut probe: Vec<u8> =
            (0..PROBES).flat_map(|i| data[i * gap..][..piece].iter().copied()).collect();
        let unseen = progress.unseen();
        let mixed = self.code_of(&mut probe, &unseen).len();
        let (way, without) = self.without_network(data.len()).swap_remove(0);
        let plain = without.code_of(&mut probe, &unseen).len();
        if mixed + plain / WORTH_IT > plain {
            *content = way;
            return without.code_of(data, progress);
        }
        if repeated_share(data) >= REPEATS {
            return self.shortest(data, content, progress);
        }
        self.code_of(data, progress)
    }

    /// The shortest of the codes with and without the network and, where they may be samples, as these.
    fn shortest(&self, data: &mut [u8], content: &mut Content, progress: &Progress) -> Vec<u8> {
        let len = |code: &[u8], way| {
            code.len()
                + match way {
                    Content::Bytes | Content::Binary => 0,
                    Content::Guided { .. } => 1,
                    _ => PARAMETER_LEN,
                }
        };
        let mut best = self.code_of(data, progress);
        let mut ways = self.without_network(data.len());
        ways.extend(guesses(data).into_iter().map(|way| (way, self.as_samples(way))));
        for (way, coder) in ways {
            let code = coder.code_of(data, &progress.unseen());
            if len(&code, way) < len(&best, *content) {
                (best, *content) = (code, way);
            }
        }
        best
    }

    fn code_of(&self, data: &mut [u8], progress: &Progress) -> Vec<u8> {
        match self {
            Self::Lines(primed, _) => return lines::encode(primed, data, progress),
            Self::Tokens(model, windows, threads) => {
                return model.encode(*windows, *threads, data, progress);
            }
            _ => {}
        }
        let mut coder = RangeEncoder::new();
        self.walk(&mut coder, data, progress);
        coder.finish()
    }

    /// As [`BlockModel::decode_with`].
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a block of records is not as it should be.
    pub(crate) fn decode(&self, code: &[u8], data: &mut [u8], progress: &Progress) -> Result<()> {
        match self {
            Self::Lines(primed, said) => return lines::decode(primed, code, *said, data, progress),
            Self::Tokens(model, windows, threads) => {
                return model.decode(*windows, *threads, code, data, progress);
            }
            _ => {}
        }
        self.walk(&mut RangeDecoder::new(code), data, progress);
        Ok(())
    }

    /// Walks a block with any coder on the far side. Records have none: each is walked alone. Models of tokens have a coder
    /// of their own: [`EncodeOptions::walk`](crate::EncodeOptions::walk) refuses them.
    pub(crate) fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        match self {
            Self::Mixing(model) => model.walk(coder, data, progress),
            Self::Neural(model, windows) => {
                walk::walk(&mut Lanes::new(model, *windows, progress), coder, data);
            }
            Self::Tokens(..) => unreachable!("refused before"),
            Self::Primed(primed) | Self::Lines(primed, _) => {
                let model = PrimedBlock::new(primed, data.len());
                walk::walk(&mut Watched::new(model, progress), coder, data);
            }
            Self::Guided(primed) => {
                let model = Guided::new(Arc::clone(primed), data.len());
                walk::walk(&mut Watched::new(model, progress), coder, data);
            }
            Self::Mix { network, start, primed, lanes, threads, .. } => {
                with_network!(network, model => {
                    let state = primed.as_ref();
                    let mut mix = Mix::new(model, *start, state, *lanes, *threads, progress);
                    walk::walk(&mut mix, coder, data);
                });
            }
        }
    }
}
