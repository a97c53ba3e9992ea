//! Interleaved audio of integers of one or two bytes.
//!
//! Least-squares filters over windows of different lengths predict each sample from the last ones of its channel and of the
//! channel before. A blend weighs them by their recent errors, and a cascade of longer, slower filters predicts what the
//! blend left over. After F. Ghido, "An asymptotically optimal predictor for stereo lossless audio compression" (2003), and
//! T. Liebchen, Y. A. Reznik, "MPEG-4 ALS: an emerging standard for lossless audio coding" (2004).

use super::distribution::FRACTION;
use super::least_squares::{INPUT_MAX, Learning, LeastSquares, Precision, TRUST_MAX, Window};
use super::lms::{Lms, VALUE_MAX};
use super::network::SampleNetwork;
use super::number::Number;
use super::value::{Forecast, MAX_CONTEXTS, ValueCoder};
use super::view::{INPUT_FRACTION, View, logarithm};
use super::{Effort, error_step, quantize};
use crate::coder::Coder;
use crate::quantize::BitProb;
use crate::simd::Level;

/// The bells: two at the best mean, whose scales come from errors of all paces and from the last errors alone; one at the blend;
/// one for each filter.
const BELLS: usize = FILTER + Effort::MAX_FILTERS; // frozen
/// Index of the first filter among the bells.
const FILTER: usize = 3; // frozen
const CONTEXTS: usize = 8; // frozen
/// Residues that each channel keeps.
const RESIDUES: usize = 256; // frozen
/// Residues that the network sees one by one. Of all of them it sees the mean magnitude in runs of [`RUN`].
const RESIDUES_SEEN: usize = 16; // frozen
const RUN: usize = 8; // frozen
/// Samples that each channel keeps; the longest filter looks at all of them.
const HISTORY: usize = 32; // frozen
/// Samples of the channel before that a filter looks at.
const PARTNER: usize = 8; // frozen
/// The loudest sample of the history fills this many bits of the filters' inputs.
const INPUT_BITS: u32 = 13; // frozen
/// (order, rate) of the filters of the cascade.
const CASCADE: [(usize, u32); 3] = [(256, 5), (32, 5), (16, 4)]; // frozen
/// Rates at which errors are averaged: over 8, 32 and 128 samples.
const PACES: [u32; 3] = [3, 5, 7]; // frozen
/// Mean autocorrelations of speech over 2^16 at lags 0 to 32, each stretch of 512 samples brought to the same
/// loudness (train, `recipes/train_samples_torch.py correlations`).
const SPEECH_8_BITS: [i32; HISTORY + 1] = [
    65536, 53458, 47403, 45523, 42321, 39152, 36370, 33501, 30547, 27671, 24852, 21838, 19106,
    16754, 14752, 13289, 12113, 11010, 10236, 9520, 8852, 8301, 7935, 7735, 7591, 7537, 7379, 7020,
    6740, 6518, 6331, 6202, 6019,
]; // frozen
const SPEECH_16_BITS: [i32; HISTORY + 1] = [
    65536, 52880, 46111, 43740, 40155, 36712, 33741, 30791, 27735, 24562, 21529, 18352, 15252,
    12667, 10643, 9158, 8028, 6903, 5995, 5216, 4578, 3939, 3466, 3277, 3057, 2936, 2712, 2247,
    1890, 1551, 1399, 1318, 1121,
]; // frozen
/// Least unit of the network's inputs, an eighth of a sample.
const UNIT_MIN: u32 = 1 << (FRACTION - 3); // frozen
/// Means are clamped to this and its negative: the range of samples of 16 bits.
const MEAN_MAX: i32 = 32767 << FRACTION; // frozen

/// Model of audio.
#[derive(Debug)]
pub struct Audio {
    /// How a sample lies in its bytes.
    number: Number,
    width: usize,
    values: ValueCoder,
    voices: Vec<Voice>,
    /// The last samples of each channel, newest first.
    histories: Vec<[i32; HISTORY]>,
    forecast: Forecast,
    /// The pretrained network, in profile 6.
    network: Option<&'static SampleNetwork>,
    /// The SIMD level that the network is computed with.
    pub(super) simd: Level,
}

/// One channel.
#[derive(Debug)]
struct Voice {
    filters: Vec<LeastSquares>,
    cascade: [Lms; CASCADE.len()],
    /// Mean error of each bell at each of the [`PACES`].
    errors: [[u32; PACES.len()]; BELLS],
    /// The last samples minus their centres, newest first.
    residues: [i32; RESIDUES],
    /// Samples so far.
    seen: u32,
}

/// Everything predicted for one sample, with [`FRACTION`] bits.
struct Guess {
    means: [i32; BELLS],
    stages: [i32; CASCADE.len()],
    centre: i32,
}

/// Brings the inputs of a filter to [`INPUT_BITS`], whatever the loudness: so no loud passage dominates the moments, and
/// nothing overflows.
#[derive(Clone, Copy)]
struct Gain {
    bits: u32,
}

impl Gain {
    fn new(history: &[i32]) -> Self {
        let loudest = history.iter().fold(1, |loudest, x| loudest.max(x.unsigned_abs()));
        Self { bits: u32::BITS - loudest.leading_zeros() }
    }

    fn apply(self, x: i32) -> i32 {
        if self.bits > INPUT_BITS {
            x >> (self.bits - INPUT_BITS)
        } else {
            x << (INPUT_BITS - self.bits)
        }
    }

    fn undo(self, x: i32) -> i32 {
        if self.bits > INPUT_BITS {
            x.saturating_mul(1 << (self.bits - INPUT_BITS))
        } else {
            x >> (INPUT_BITS - self.bits)
        }
    }
}

/// How the filters learn, the most useful first.
fn plans(effort: Effort, channels: usize) -> Vec<Learning> {
    let partner = if channels > 1 { PARTNER } else { 0 };
    let all = [(20, 7, 8), (32, 9, 8), (12, 6, 4)];
    let plan = |&(own, memory, period): &(usize, u32, u32)| Learning {
        order: own + partner,
        window: Window::Recent { memory },
        period: period * effort.patience,
        ridge: 1,
        precision: Precision::Coarse,
    };
    all[..effort.filters].iter().map(plan).collect()
}

impl Audio {
    /// A fresh model of `number`s, integers of one or two bytes, in `channels` interleaved channels.
    pub(super) fn new(
        effort: Effort,
        channels: u8,
        number: Number,
        len: usize,
        network: Option<&'static SampleNetwork>,
    ) -> Self {
        let width = usize::from(number.width);
        let channels = usize::from(channels);
        let range = if width == 1 { [-128, 127] } else { [-32768, 32767] };
        let plans = plans(effort, channels);
        let contexts = effort.contexts.min(CONTEXTS);
        let bells = FILTER + plans.len();
        let filter = |plan: Learning| {
            let mut filter = LeastSquares::new(plan);
            if effort.pretrained {
                let speech = if width == 1 { &SPEECH_8_BITS } else { &SPEECH_16_BITS };
                let partner = if channels > 1 { PARTNER } else { 0 };
                filter.expect(partner, speech, if width == 1 { 32 } else { 16 });
            }
            filter
        };
        let voice = || Voice {
            filters: plans.iter().map(|&plan| filter(plan)).collect(),
            cascade: CASCADE.map(|(order, rate)| Lms::new(order, rate, VALUE_MAX)),
            // A 16-bit signal is louder by far.
            errors: [[if width == 1 { 2 } else { 32 } << FRACTION; PACES.len()]; BELLS],
            residues: [0; RESIDUES],
            seen: 0,
        };
        Self {
            number,
            width,
            values: ValueCoder::new(
                range,
                bells,
                contexts,
                effort.table_bits(len),
                network.is_some(),
            ),
            voices: (0..channels).map(|_| voice()).collect(),
            histories: vec![[0; HISTORY]; channels],
            forecast: Forecast { bell_count: bells, ..Forecast::default() },
            network,
            simd: Level::detect(),
        }
    }

    /// Bytes that [`Audio::new`] takes, at most.
    pub(super) fn memory(effort: Effort, channels: u8, len: usize) -> u64 {
        let plans = plans(effort, usize::from(channels));
        let filters: u64 = plans.into_iter().map(LeastSquares::memory).sum();
        let cascade: u64 = CASCADE.iter().map(|&(order, _)| Lms::memory(order)).sum();
        ValueCoder::memory(effort.contexts.min(CONTEXTS), effort.table_bits(len))
            + u64::from(channels) * (filters + cascade)
    }

    /// Bytes of a sample.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Codes one sample, or a byte that is left over at the end.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        if next.len() < self.width {
            next[0] = code_stray(coder, next[0]);
            return 1;
        }
        let channel = past.len() / self.width % self.voices.len();
        let target = self.value(next);
        let value = self.code_sample(coder, channel, target);
        self.number.write(self.number.join(value, 0), next);
        self.width
    }

    /// The sample at the start of `bytes`.
    fn value(&self, bytes: &[u8]) -> i32 {
        self.number.split(self.number.bits(bytes)).map_or(0, |(value, _)| value)
    }

    /// Goes over a sample without coding it; returns what the network would see before it, and the sample.
    pub(super) fn observe(&mut self, past: &[u8], next: &[u8]) -> (View, i32) {
        let channel = past.len() / self.width % self.voices.len();
        let value = self.value(next);
        let history = self.histories[channel];
        let gain = Gain::new(&history);
        let guess = self.predict(channel, gain);
        let voice = &mut self.voices[channel];
        let view = voice.view(&guess, &history, self.width);
        voice.learn(&guess, value, gain.apply(value), lift(self.width));
        self.histories[channel].rotate_right(1);
        self.histories[channel][0] = value;
        (view, value)
    }

    fn code_sample<C: Coder>(&mut self, coder: &mut C, channel: usize, target: i32) -> i32 {
        let history = self.histories[channel];
        let gain = Gain::new(&history);
        let guess = self.predict(channel, gain);
        let voice = &mut self.voices[channel];
        voice.set_forecast(&mut self.forecast, &guess, &history, self.width);
        if let Some(network) = self.network {
            let view = voice.view(&guess, &history, self.width);
            self.forecast.mixture = Some(network.forecast(self.simd, &view));
        }
        let value = self.values.code(coder, &self.forecast, target.into()) as i32;
        voice.learn(&guess, value, gain.apply(value), lift(self.width));
        self.histories[channel].rotate_right(1);
        self.histories[channel][0] = value;
        value
    }

    fn predict(&mut self, channel: usize, gain: Gain) -> Guess {
        let partner: &[i32] = match (self.voices.len(), channel) {
            (1, _) => &[],
            (channels, 0) => &self.histories[channels - 1][..PARTNER],
            _ => &self.histories[channel - 1][..PARTNER],
        };
        let inputs = partner.iter().chain(&self.histories[channel]).map(|&x| gain.apply(x));
        let voice = &mut self.voices[channel];
        let mut means = [0; BELLS];
        for (mean, filter) in means[FILTER..].iter_mut().zip(&mut voice.filters) {
            *mean = limit(gain.undo(filter.predict(inputs.clone())));
        }
        let used = FILTER + voice.filters.len();
        means[2] = blend(&means[FILTER..used], &voice.errors[FILTER..used]);
        let stages =
            voice.cascade.each_ref().map(|stage| stage.predict() as i32 >> lift(self.width));
        means[0] = limit(means[2] + stages.iter().sum::<i32>());
        means[1] = means[0];
        Guess { means, stages, centre: (means[0] + (1 << (FRACTION - 1))) >> FRACTION }
    }
}

impl Voice {
    /// What the network sees before a sample.
    fn view(&self, guess: &Guess, history: &[i32; HISTORY], width: usize) -> View {
        let [fast, middle, slow] = self.errors[0];
        let unit = ((3 * fast + 2 * middle + slow) / 6).max(UNIT_MIN);
        let mut view = View::new(0, guess.means[0], unit);
        view.add_differences(unit, self.residues[..RESIDUES_SEEN].iter().copied());
        let runs = self.residues.chunks_exact(RUN);
        view.add_errors(
            runs.map(|run| run.iter().map(|x| x.unsigned_abs()).sum::<u32>() << (FRACTION - 3)),
        );
        let loudness = history.iter().map(|x| x.unsigned_abs()).sum::<u32>() * 8 + 64; // 8 bits
        view.add_differences(loudness, *history);
        view.add_differences(loudness, [guess.centre]);
        view.add_means(guess.means[2..].iter().copied());
        let base = guess.means[2];
        view.add_means(guess.stages.iter().map(|stage| base + stage));
        let [a, b, c] = [history[0], history[1], history[2]];
        view.add_samples([a, 2 * a - b, 3 * (a - b) + c]);
        for errors in &self.errors {
            view.add_errors(*errors);
        }
        view.add(logarithm(unit) / 2 - (6 << INPUT_FRACTION));
        view.add(logarithm(loudness) / 2 - (6 << INPUT_FRACTION));
        view.add(logarithm(self.seen + 1) / 4);
        view.add(((guess.means[0] & 255) - 128) >> 2);
        let second = |i: usize| history[i] - 2 * history[i + 1] + history[i + 2];
        view.add_differences(unit, std::array::from_fn::<i32, 16, _>(second));
        if width == 1 {
            view.add_differences(2 << FRACTION, history[..16].iter().copied());
        }
        view
    }

    fn set_forecast(
        &self,
        forecast: &mut Forecast,
        guess: &Guess,
        history: &[i32; HISTORY],
        width: usize,
    ) {
        for (i, bell) in forecast.bells[..forecast.bell_count].iter_mut().enumerate() {
            let [fast, middle, slow] = self.errors[i];
            let spread = if i == 1 { fast } else { (3 * fast + 2 * middle + slow) / 6 };
            *bell = (guess.means[i].into(), (spread * 11 / 16).into());
        }
        let [fast, middle, slow] = self.errors[0].map(error_step);
        forecast.contexts = self.context_values(guess, history, width);
        forecast.activity = middle;
        forecast.gate = fast * 2 / 3 + 16 * (slow / 6);
    }

    fn context_values(
        &self,
        guess: &Guess,
        history: &[i32; HISTORY],
        width: usize,
    ) -> [u32; MAX_CONTEXTS] {
        let [fast, middle, slow] = self.errors[0].map(|error| error_step(error) as u32);
        // Differences in units of an eighth or so of the usual error.
        let unit = (self.errors[0][1] * 3 / 8).max(1) as i32;
        let pair = |a: i32, b: i32| quantize(a / unit) * 15 + quantize(b / unit);
        let best = guess.means[0];
        let [one, two] = [history[0], 2 * history[0] - history[1]].map(|x| x << FRACTION);
        let mut contexts = [0; MAX_CONTEXTS];
        contexts[..CONTEXTS].copy_from_slice(&[
            fast * 32 + middle,
            pair(self.residues[0] << FRACTION, self.residues[1] << FRACTION),
            middle * 32 + slow,
            if width == 1 {
                guess.centre as u32 & 255
            } else {
                pair(guess.stages[0], guess.stages[1])
            },
            pair(guess.means[FILTER] - best, guess.means[2] - best),
            pair(one - best, two - best),
            middle * 8 + (best as u32 >> (FRACTION - 3) & 7),
            fast * 32 + slow,
        ]);
        contexts
    }

    /// Learns the sample `value`; `input` is the same as the filters see it.
    fn learn(&mut self, guess: &Guess, value: i32, input: i32, lift: u32) {
        let exact = value << FRACTION;
        for (means, errors) in guess.means.iter().zip(&mut self.errors) {
            let error = (exact - means).unsigned_abs();
            for (mean, pace) in errors.iter_mut().zip(PACES) {
                *mean = mean.wrapping_add_signed((error as i32 - *mean as i32) >> pace);
            }
        }
        for filter in &mut self.filters {
            filter.update(input.clamp(-INPUT_MAX, INPUT_MAX), TRUST_MAX / 2);
        }
        let mut rest = exact - guess.means[2];
        for (stage, &part) in self.cascade.iter_mut().zip(&guess.stages) {
            stage.update((rest >> (FRACTION - lift)).into(), ((rest - part) << lift).into());
            rest -= part;
        }
        self.residues.rotate_right(1);
        self.residues[0] = value - guess.centre;
        self.seen = self.seen.saturating_add(1);
    }
}

/// Bits by which the cascade's signal is raised above the samples: 8-bit residues are small numbers.
fn lift(width: usize) -> u32 {
    if width == 1 { 6 } else { 0 }
}

fn limit(mean: i32) -> i32 {
    mean.clamp(-MEAN_MAX, MEAN_MAX)
}

/// Mean of the filters, each weighed by its inverse squared recent error.
fn blend(means: &[i32], errors: &[[u32; PACES.len()]]) -> i32 {
    let (mut total, mut sum) = (0u64, 0i128);
    for (&mean, error) in means.iter().zip(errors) {
        let error = u64::from(error[1]) + 32;
        // Errors are below 2^25: a share is at least 4.
        let share = (1 << 52) / (error * error);
        total += share;
        sum += i128::from(share) * i128::from(mean);
    }
    (sum / i128::from(total)) as i32
}

/// A byte that is not a whole sample.
pub(super) fn code_stray<C: Coder>(coder: &mut C, byte: u8) -> u8 {
    (0..8).rev().fold(0, |b, i| b << 1 | u8::from(coder.bit(BitProb::HALF, byte >> i & 1 == 1)))
}
