//! For an encoder: tries several ways to code a block and keeps the shortest code.

use std::iter;
use std::sync::Arc;

use super::deflate::Undone;
use super::guess::{GUESS_LEN, LARGEST_GUESSES, guesses};
use super::kind::{Content, Kind};
use super::models::Models;
use super::noise::is_noise;
use super::repeats::{Found, repeated_share};
use super::stream::StreamModel;
use super::ways::{self, Guided, Lines, Mix, Plain, Primed, Way};
use crate::coder::{Coder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::primed;
use crate::predict::samples::SampleFormat;
use crate::progress::Progress;
use crate::quantize::{BitProb, Distribution};

/// Blocks up to this length are coded with the network, without it, and as each format of samples that they might hold; the
/// shortest code is taken.
const BOTH_WAYS: usize = 16 << 10;

/// Bytes that the parameter of samples (row or channels) takes in the header of a block, at most, for the formats that are
/// guessed.
const PARAMETER_LEN: usize = 2;

/// Of longer blocks, two samples are coded with and without the network to decide for all of it: at the start one of the block's
/// length divided by this, within these limits, and in the middle one of half that. A network takes four times the time, or more.
const SAMPLE_SHARE: usize = 12;
const SAMPLE: std::ops::RangeInclusive<usize> = (16 << 10)..=(64 << 10);

/// In the second half of a sample, where counting has learned something, the network must save at least 1/50 of the code.
const WORTH_IT: u64 = 50;

/// If it saves less than 1/5 of all samples, or loses in one of them, all of the block is coded both ways.
const SURE: u64 = 5;

/// If at least this share of a block has occurred in it before, a team has a quarter of its lanes, as each of them learns for
/// itself what comes again and again. Prose has a share of up to .04, programs .2, logs .25 to .45.
const REPEATS: f64 = 0.25;
const FEWER_LANES: u8 = 4;

/// The lanes of a team that is the only one of its block. One thread codes it, which then has the caches for itself and needs fewer
/// rows for each time that it reads the weights.
const LANES_ALONE: u8 = 4;

/// Bytes that are coded to see whether samples are shorter as bytes, and in how many stretches; what a copy takes; and how much
/// shorter they must be.
const MOST_OF_SAMPLES: usize = 512 << 10; // tunable
const MOST_OF_BYTES: usize = 4 << 20; // tunable
const STRETCHES: usize = 8; // tunable
const BITS_OF_COPY: f64 = 40.0; // tunable
const CLEARLY: f64 = 0.875; // tunable

/// A sample that counting leaves nearly as long as it was, by 1/8 or less, is nothing for a network either.
const NOISE: u64 = 8;

/// The way that a block was asked to be coded, and whether another may be better.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    kind: Kind,
    way: Way,
    may_choose: bool,
    threads: usize,
    /// What undone streams need: the model of the stream, and where others are found.
    stream: Option<(StreamModel, Models)>,
}

impl Choice {
    /// A choice for a block of `kind` in a stream of `model`. With `may_choose`, the bytes of a mix may be coded in another way
    /// if that is shorter.
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
        let stream = Some((model.clone(), models.clone()));
        Ok(Self { kind, way, may_choose, threads: 1, stream })
    }

    /// A choice for blocks of lines, each of which is coded alone.
    pub(crate) fn lines(primed: Arc<primed::Primed>) -> Self {
        let way = Way::Lines(Lines::uncounted(primed));
        Self { kind: Kind::Bytes, way, may_choose: false, threads: 1, stream: None }
    }

    /// Gives a block of `len` bytes as many of `most` threads as it keeps busy, and returns as how many they count. The last block of
    /// an input may have `idle` threads for what would otherwise be worth one.
    pub(crate) fn take_threads(&mut self, len: usize, most: usize, idle: usize) -> usize {
        self.way.set_threads(idle);
        self.threads = self.way.most_threads(len, true).clamp(1, most.max(1));
        self.way.busy(self.threads)
    }

    /// Memory as [`Plain::memory`] counts it, for whichever of the ways that may be tried takes most.
    pub(crate) fn memory(&self, len: usize) -> u64 {
        let own = self.way.memory(len);
        if let Way::Plain(Plain { profile, content: Content::Samples(format) }) = self.way
            && self.may_choose
        {
            let memory = |other: SampleFormat| Plain { profile, content: other.into() }.memory(len);
            return format.others().into_iter().map(memory).fold(own, u64::max);
        }
        let Way::Mix(mix) = &self.way else { return own };
        let mut others = without_network(mix, len);
        if self.may_choose && GUESS_LEN.contains(&len) {
            others.extend(LARGEST_GUESSES.map(|format| as_samples(mix, format)));
        }
        others.iter().map(|(_, way)| way.memory(len)).fold(own, u64::max)
    }

    /// Memory of a block of `len` bytes that is undone.
    pub(crate) fn undone_memory(&self, undone: &Undone, len: usize) -> u64 {
        let parts = undone.len() as u64;
        let images = undone.images.iter().map(|(format, pixels)| {
            self.other(Kind::Samples(*format)).map_or(0, |image| image.memory(pixels.len()))
        });
        let part = images.fold(self.memory(undone.bytes.len()), u64::max);
        2 * parts + part + len as u64
    }

    /// The choice for a part of this block.
    fn other(&self, kind: Kind) -> Option<Self> {
        let (model, models) = self.stream.as_ref()?;
        Self::new(model, kind, models, true).ok()
    }

    /// The code of a block of which streams are undone; `None` if they cannot be coded so.
    pub(crate) fn encode_undone(
        &self,
        undone: Undone,
        progress: &Progress,
    ) -> Option<(Kind, Vec<u8>)> {
        let len = u32::try_from(undone.len()).ok()?;
        let (model, models) = self.stream.as_ref()?;
        let way = ways::Undone::new(len, model, models).ok()?;
        let mut parts = Vec::new();
        let mut add = |choice: &Self, mut bytes: Vec<u8>| {
            let (kind, code) = choice.encode_or_store(&mut bytes, progress);
            let part = (kind, bytes.len(), code.unwrap_or(bytes));
            let is_known = way.may_have(part.0, part.1);
            parts.push(part);
            is_known.then_some(())
        };
        add(self, undone.bytes)?;
        for (format, pixels) in undone.images {
            add(&self.other(Kind::Samples(format))?, pixels)?;
        }
        Some((Kind::Undone { len }, ways::Undone::payload(&undone.recipe, &parts)))
    }

    /// The code of bytes; `None` if they are to be stored.
    pub(crate) fn encode_or_store(
        &self,
        bytes: &mut [u8],
        progress: &Progress,
    ) -> (Kind, Option<Vec<u8>>) {
        if bytes.is_empty() || self.stores(bytes, progress) {
            progress.add(bytes.len() as u64);
            return (Kind::Stored, None);
        }
        let (kind, code) = self.encode(bytes, progress);
        if code.len() < bytes.len() { (kind, Some(code)) } else { (Kind::Stored, None) }
    }

    /// Whether a block is to be stored, as counting finds nothing in it. A primed state, or a network that was asked for alone, may
    /// have seen its content before.
    pub(crate) fn stores(&self, data: &mut [u8], progress: &Progress) -> bool {
        let counting = match &self.way {
            Way::Plain(Plain {
                content: Content::Bytes | Content::Binary | Content::Program(_),
                ..
            }) => &self.way,
            Way::Mix(mix) if self.may_choose && mix.primed.is_none() => &Way::unmixed(),
            _ => return false,
        };
        is_noise(data, |sample| halves(counting, sample, &progress.unseen()).iter().sum())
    }

    /// The code of a block, raw and without length or check, and what its header has to say of it. `data` is left as it was.
    pub(crate) fn encode(&self, data: &mut [u8], progress: &Progress) -> (Kind, Vec<u8>) {
        let own = |data: &mut [u8]| (self.kind, self.way.encode(data, self.threads, progress));
        match &self.way {
            Way::Plain(Plain { profile, content: Content::Samples(format) }) => {
                let format = match self.may_choose {
                    true => likeliest(*profile, *format, data, &progress.unseen()),
                    false => format.fitted(data),
                };
                let way = Way::Plain(Plain { profile: *profile, content: format.into() });
                (Kind::Samples(format), way.encode(data, self.threads, progress))
            }
            Way::Lines(_) => (ways::kind_of(data), self.way.encode(data, self.threads, progress)),
            Way::Mix(mix) if self.may_choose => {
                if data.len() <= BOTH_WAYS {
                    return self.shortest(mix, data, progress);
                }
                let (kind, without) = without_network(mix, data.len()).swap_remove(0);
                match self.trial(&without, data, &progress.unseen()) {
                    Trial::Network => {
                        let repetitive = repeated_share(data) >= REPEATS;
                        self.with_network(mix, data, repetitive, progress)
                    }
                    Trial::Counting => (kind, without.encode(data, self.threads, progress)),
                    Trial::Both => self.shortest(mix, data, progress),
                }
            }
            _ => own(data),
        }
    }

    /// Whether the network is worth its time, by samples of a block.
    fn trial(&self, without: &Way, data: &mut [u8], progress: &Progress) -> Trial {
        let len = (data.len() / SAMPLE_SHARE).clamp(*SAMPLE.start(), *SAMPLE.end());
        let middle = data.len() / 2;
        let second = (middle > len).then(|| middle..middle + len / 2);
        let count = 1 + usize::from(second.is_some());
        let (mut gains, mut all) = (0, [0, 0]);
        for range in iter::once(0..len).chain(second) {
            let sample = &mut data[range];
            let plain = halves(without, sample, progress);
            let bits = 8 * sample.len() as u64;
            let mixed = match plain[0] + plain[1] + bits / NOISE > bits {
                true => plain,
                false => halves(&self.way, sample, progress),
            };
            gains += usize::from(mixed[1] + plain[1] / WORTH_IT < plain[1]);
            all = [all[0] + mixed[0] + mixed[1], all[1] + plain[0] + plain[1]];
        }
        match gains {
            0 => Trial::Counting,
            _ if gains < count || all[0] + all[1] / SURE > all[1] => Trial::Both,
            _ => Trial::Network,
        }
    }

    /// The code with the network, in `fewer` lanes where that can be said.
    fn with_network(
        &self,
        mix: &Mix,
        data: &mut [u8],
        fewer: bool,
        progress: &Progress,
    ) -> (Kind, Vec<u8>) {
        let cut = mix.cut(data.len());
        let lanes = match fewer {
            true => mix.lanes().div_ceil(FEWER_LANES),
            false if cut.teams() == 1 => LANES_ALONE,
            false => mix.lanes(),
        };
        let may = self.kind == Kind::Bytes && mix.is_built_in();
        if !may || usize::from(lanes) >= cut.lanes {
            return (self.kind, self.way.encode(data, self.threads, progress));
        }
        let way = Way::Mix(mix.with_lanes(lanes));
        (Kind::Lanes { lanes }, way.encode(data, self.threads, progress))
    }

    /// The shortest of three kinds of code: with the network, without it, and as each format of samples that the bytes might be.
    /// What a network helps little with is learned from the block itself, and each lane learns alone.
    fn shortest(&self, mix: &Mix, data: &mut [u8], progress: &Progress) -> (Kind, Vec<u8>) {
        let header_len = |kind| match kind {
            Kind::Guided { .. } | Kind::Lanes { .. } => 1,
            Kind::Samples(_) => PARAMETER_LEN,
            _ => 0,
        };
        let (mut best, mut code) = self.with_network(mix, data, true, progress);
        let mut others = without_network(mix, data.len());
        others.extend(guesses(data).into_iter().map(|format| as_samples(mix, format)));
        for (kind, way) in others {
            let other = way.encode(data, self.threads, &progress.unseen());
            if other.len() + header_len(kind) < code.len() + header_len(best) {
                (best, code) = (kind, other);
            }
        }
        (best, code)
    }
}

/// What samples of a block say.
enum Trial {
    /// To code it with the network.
    Network,
    /// To code it by counting alone.
    Counting,
    /// To code it both ways and see.
    Both,
}

/// The format of samples that codes a piece of `data` best, of `format` and what else such samples may be.
fn likeliest(
    profile: u8,
    format: SampleFormat,
    data: &mut [u8],
    progress: &Progress,
) -> SampleFormat {
    let format = format.fitted(data);
    let others = format.likely_others(data);
    if others.is_empty() {
        return format;
    }
    // What a table is shows later than what a drawing is.
    let least = if let SampleFormat::Table { .. } = format { 32 } else { 4 } << 10;
    let len = (data.len() / SAMPLE_SHARE).clamp(least, *SAMPLE.end());
    let unit = format.unit();
    let candidates: Vec<_> =
        iter::once(format).chain(others.into_iter().map(|other| other.fitted(data))).collect();
    let bits = |&format: &SampleFormat| {
        let content = Content::Samples(format);
        bits_of_middle(&Way::Plain(Plain { profile, content }), data, len, unit, progress)
    };
    candidates.into_iter().min_by_key(bits).expect("there is one")
}

/// Bits of the code of `len` bytes in the midst of `data`, from the start of a unit on.
fn bits_of_middle(way: &Way, data: &mut [u8], len: usize, unit: usize, progress: &Progress) -> u64 {
    let len = len.min(data.len());
    let from = (data.len() - len) / 2 / unit * unit;
    halves(way, &mut data[from..from + len], progress).iter().sum()
}

/// Whether samples that repeat themselves are shorter as bytes, each with the copies that are found for them in `raw`. An estimate
/// by the weakest profile, and bytes must be so much shorter that it doesn't matter.
pub(crate) fn are_bytes(
    format: SampleFormat,
    raw: &[u8],
    as_samples: Option<&Found>,
    as_bytes: Option<&Found>,
) -> bool {
    const PROFILE: u8 = 1;
    let bits = |found: Option<&Found>, format: Option<SampleFormat>| {
        let literals = found.map_or(raw, |found| &found.literals);
        let (content, mut some) = match format {
            Some(format) => {
                let mut some = some_of(literals, MOST_OF_SAMPLES, format.unit());
                let format = likeliest(PROFILE, format, &mut some, &Progress::default());
                (format.into(), some)
            }
            // What is far off is most of what bytes can repeat.
            None => (Content::Bytes, literals[..literals.len().min(MOST_OF_BYTES)].to_vec()),
        };
        let way = Way::Plain(Plain { profile: PROFILE, content });
        let bits: u64 = halves(&way, &mut some, &Progress::default()).iter().sum();
        let copies = found.map_or(0, |found| found.copies.len());
        bits as f64 * literals.len() as f64 / some.len().max(1) as f64
            + BITS_OF_COPY * copies as f64
    };
    bits(as_bytes, None) < bits(as_samples, Some(format)) * CLEARLY
}

/// Some `most` bytes of `data`, in stretches of whole units from all over it.
fn some_of(data: &[u8], most: usize, unit: usize) -> Vec<u8> {
    let len = (most / STRETCHES).next_multiple_of(unit);
    if data.len() <= len * STRETCHES {
        return data.to_vec();
    }
    let apart = data.len() / STRETCHES / unit * unit;
    (0..STRETCHES).flat_map(|i| &data[i * apart..][..len]).copied().collect()
}

/// Bits of the code of each half of `data`. (They are compared, so they are counted as the range coder has them: a logarithm
/// may be another on another machine.)
fn halves(way: &Way, data: &mut [u8], progress: &Progress) -> [u64; 2] {
    let mut coder = Halves { coder: RangeEncoder::new(), from: data.len() / 2, first: None };
    // A way that is no walk is not asked.
    let _ = way.walk(&mut coder, data, progress);
    let all = coder.coder.bits();
    let first = coder.first.unwrap_or(all);
    [first, all - first]
}

/// Counts the bits of a code up to a place.
struct Halves {
    coder: RangeEncoder,
    from: usize,
    first: Option<u64>,
}

impl Coder for Halves {
    const TOLD: bool = true;

    #[inline(always)]
    fn begin(&mut self, at: usize) {
        if at == self.from {
            self.first = Some(self.coder.bits());
        }
    }

    #[inline(always)]
    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        self.coder.bit(p1, bit)
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        self.coder.symbol(distribution, symbol)
    }
}

/// The ways in which a block of `len` bytes in a mix's stream may be coded without the network. The first is the best of them
/// for long blocks.
fn without_network(mix: &Mix, len: usize) -> Vec<(Kind, Way)> {
    let Some(primed) = &mix.primed else { return vec![(Kind::Unmixed, Way::unmixed())] };
    let mut ways = vec![(Kind::Guided { network: 5 }, Way::Guided(Guided(Arc::clone(primed))))];
    if len <= BOTH_WAYS {
        ways.push((Kind::Bytes, Way::Primed(Primed(Arc::clone(primed)))));
    }
    ways
}

/// How a block of samples in a mix's stream is coded.
fn as_samples(mix: &Mix, format: SampleFormat) -> (Kind, Way) {
    let profile = match mix.primed {
        Some(_) => ways::PROFILE_BESIDE_NETWORK,
        None => ways::SAMPLES_BESIDE_MIX,
    };
    (Kind::Samples(format), Way::Plain(Plain { profile, content: format.into() }))
}
