//! Interleaved audio of any width, byte order and sign, and of 32-bit floats.
//!
//! What [`super::audio`] does for 8 and 16 bits, with more exact numbers: filters that fit their weights to inputs of 20 bits
//! and predict from all bits, means of 64 bits, and measures of errors that grow with the width. Low bits that are zero in all
//! samples of a block (those of 16 bits in 24, or floats made from integers) are taken off before; where they are not zero,
//! they are coded one by one, so nothing depends on the encoder's word.
//!
//! A float is coded as the integer that it is at a fixed point, and then, bit by bit, what lies below that point.

use super::distribution::FRACTION;
use super::least_squares::{Learning, LeastSquares, Precision, Window};
use super::lms::{Lms, WIDE_VALUE_MAX};
use super::number::Number;
use super::rare_bit::RareBit;
use super::value::{ERROR_STEPS, Forecast, MAX_CONTEXTS, ValueCoder};
use super::{Effort, audio::code_stray, quantize};
use crate::coder::Coder;
use crate::quantize::BitProb;

/// The bells: two at the best mean, whose scales come from errors of all paces and from the last errors alone; one at the blend;
/// one for each filter.
const BELLS: usize = FILTER + Effort::MAX_FILTERS; // frozen
/// Index of the first filter among the bells.
const FILTER: usize = 3; // frozen
const CONTEXTS: usize = 8; // frozen
/// Samples that each channel keeps; the longest filter looks at all of them.
const HISTORY: usize = 32; // frozen
/// The loudest sample of the history fills this many bits of what the filters learn from.
const INPUT_BITS: u32 = 20; // frozen
/// (own samples, samples of the channel before if there is one, window, period) of the filters.
const FILTERS: [(usize, usize, u32, u32); Effort::MAX_FILTERS] =
    [(32, 8, 11, 8), (16, 16, 9, 8), (24, 16, 10, 8)]; // frozen
/// (order, rate) of the filters of the cascade.
const CASCADE: [(usize, u32); 3] = [(256, 5), (32, 5), (16, 4)]; // frozen
/// Rates at which errors are averaged: over 8, 32 and 128 samples.
const PACES: [u32; 3] = [3, 5, 7]; // frozen
/// Weight of a sample for the filters: inputs of 20 bits allow no more.
const TRUST: i32 = 1; // frozen
/// Bits below a value that may be left of a float.
const REST_BITS: usize = 24; // frozen

/// Model of wide audio.
#[derive(Debug)]
pub struct Wide {
    number: Number,
    /// Low bits that are expected to be zero.
    shift: u32,
    /// Largest magnitude of a mean.
    mean_max: i64,
    values: ValueCoder,
    voices: Vec<Voice>,
    /// The last samples of each channel, newest first.
    histories: Vec<[i32; HISTORY]>,
    forecast: Forecast,
    escaped: RareBit,
    /// Bits that were shifted out.
    low: [RareBit; 32],
    /// Bits below a float's value, by whether the last float had any.
    rest: [[RareBit; REST_BITS]; 2],
    had_rest: bool,
}

/// One channel.
#[derive(Debug)]
struct Voice {
    filters: Vec<LeastSquares>,
    cascade: [Lms; CASCADE.len()],
    /// Mean error of each bell at each of the [`PACES`].
    errors: [[u64; PACES.len()]; BELLS],
    /// The last two samples minus their centres, newest first.
    residues: [i64; 2],
    /// Samples so far.
    seen: u32,
}

/// Everything predicted for one sample, with [`FRACTION`] bits.
struct Guess {
    means: [i64; BELLS],
    stages: [i64; CASCADE.len()],
    centre: i64,
}

impl Wide {
    /// A fresh model of `channels` interleaved channels.
    pub(super) fn new(effort: Effort, channels: u8, number: Number, shift: u8, len: usize) -> Self {
        let channels = usize::from(channels);
        let shift = u32::from(shift);
        let range = number.range().map(|bound| i64::from(bound >> shift));
        let plans = plans(effort, channels);
        let contexts = effort.contexts.min(CONTEXTS);
        let bells = FILTER + plans.len();
        let voice = || Voice {
            filters: plans.iter().map(|&plan| LeastSquares::new(plan)).collect(),
            cascade: CASCADE.map(|(order, rate)| Lms::new(order, rate, WIDE_VALUE_MAX)),
            // A 64th of the range.
            errors: [[(range[1] as u64) << FRACTION >> 6; PACES.len()]; BELLS],
            residues: [0; 2],
            seen: 0,
        };
        Self {
            number,
            shift,
            mean_max: range[1] << FRACTION,
            values: ValueCoder::new(range, bells, contexts, effort.table_bits(len), false),
            voices: (0..channels).map(|_| voice()).collect(),
            histories: vec![[0; HISTORY]; channels],
            forecast: Forecast { bell_count: bells, ..Forecast::default() },
            escaped: RareBit::NEW,
            low: [RareBit::NEW; 32],
            rest: [RareBit::NEW, RareBit::EVEN].map(|bit| [bit; REST_BITS]),
            had_rest: false,
        }
    }

    /// Bytes that [`Wide::new`] takes, at most.
    pub(super) fn memory(effort: Effort, channels: u8, len: usize) -> u64 {
        let plans = plans(effort, usize::from(channels));
        let filters: u64 = plans.into_iter().map(LeastSquares::memory).sum();
        let cascade: u64 = CASCADE.iter().map(|&(order, _)| Lms::memory(order)).sum();
        ValueCoder::memory(effort.contexts.min(CONTEXTS), effort.table_bits(len))
            + u64::from(channels) * (filters + cascade)
    }

    /// Codes one sample, or a byte that is left over at the end.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let width = usize::from(self.number.width);
        if next.len() < width {
            next[0] = code_stray(coder, next[0]);
            return 1;
        }
        let channel = past.len() / width % self.voices.len();
        let bits = self.number.bits(next);
        let bits = self.code_number(coder, channel, bits);
        self.number.write(bits, next);
        width
    }

    fn code_number<C: Coder>(&mut self, coder: &mut C, channel: usize, bits: u32) -> u32 {
        let known = self.number.split(bits);
        let value = if self.number.escapes() && self.escaped.code(coder, known.is_none()) {
            self.remember(channel, 0);
            return (0..32)
                .rev()
                .fold(0, |b, i| b << 1 | u32::from(coder.bit(BitProb::HALF, bits >> i & 1 == 1)));
        } else {
            known.unwrap_or_default()
        };
        let (value, rest) = value;
        let top = self.code_sample(coder, channel, value >> self.shift);
        let value = RareBit::code_low(&mut self.low, coder, self.shift, top, value);
        let rest = self.code_rest(coder, self.number.rest_len(value), rest);
        self.number.join(value, rest)
    }

    fn code_rest<C: Coder>(&mut self, coder: &mut C, len: u32, rest: u32) -> u32 {
        if len == 0 {
            return 0;
        }
        let bits = &mut self.rest[usize::from(self.had_rest)];
        let rest = (0..len).rev().fold(0, |all, i| {
            all << 1 | u32::from(bits[i as usize].code(coder, rest >> i & 1 == 1))
        });
        self.had_rest = rest != 0;
        rest
    }

    fn code_sample<C: Coder>(&mut self, coder: &mut C, channel: usize, target: i32) -> i32 {
        let gain = Gain::new(&self.histories[channel]);
        let guess = self.predict(channel, gain);
        self.set_forecast(channel, &guess);
        let value = self.values.code(coder, &self.forecast, target.into());
        self.voices[channel].learn(&guess, value, gain.apply(value as i32));
        self.remember(channel, value as i32);
        value as i32
    }

    fn remember(&mut self, channel: usize, value: i32) {
        let history = &mut self.histories[channel];
        history.rotate_right(1);
        history[0] = value;
    }

    fn before(&self, channel: usize) -> Option<usize> {
        let channels = self.voices.len();
        (channels > 1).then(|| (channel + channels - 1) % channels)
    }

    fn predict(&mut self, channel: usize, gain: Gain) -> Guess {
        let partner = self.before(channel).map(|before| &self.histories[before]);
        let own = &self.histories[channel];
        let voice = &mut self.voices[channel];
        let mut means = [0; BELLS];
        let plans = means[FILTER..].iter_mut().zip(&FILTERS);
        for ((mean, &(own_count, others, ..)), filter) in plans.zip(&mut voice.filters) {
            let partner = partner.map_or(&[][..], |partner| &partner[..others]);
            let inputs = partner.iter().chain(&own[..own_count]);
            let exact = filter.predict_exactly(inputs.map(|&x| (gain.apply(x), x)));
            *mean = exact.clamp(-self.mean_max, self.mean_max);
        }
        let used = FILTER + voice.filters.len();
        means[2] = blend(&means[FILTER..used], &voice.errors[FILTER..used]);
        let stages = voice.cascade.each_ref().map(Lms::predict);
        let best = means[2] + stages.iter().sum::<i64>();
        means[0] = best.clamp(-self.mean_max, self.mean_max);
        means[1] = means[0];
        Guess { means, stages, centre: (means[0] + (1 << (FRACTION - 1))) >> FRACTION }
    }

    fn set_forecast(&mut self, channel: usize, guess: &Guess) {
        let contexts = self.context_values(channel, guess);
        let voice = &self.voices[channel];
        let forecast = &mut self.forecast;
        for (i, bell) in forecast.bells[..forecast.bell_count].iter_mut().enumerate() {
            let [fast, middle, slow] = voice.errors[i];
            let spread = if i == 1 { fast } else { (3 * fast + 2 * middle + slow) / 6 };
            *bell = (guess.means[i], spread * 11 / 16);
        }
        let [fast, middle, slow] = voice.errors[0].map(half_octaves);
        forecast.activity = (middle as usize / 2).min(ERROR_STEPS - 1);
        let near = |a: u32, b: u32| (a + 4).saturating_sub(b).min(7) as usize;
        forecast.gate = near(fast, middle) + 8 * near(middle, slow);
        forecast.contexts = contexts;
    }

    fn context_values(&self, channel: usize, guess: &Guess) -> [u32; MAX_CONTEXTS] {
        let voice = &self.voices[channel];
        let history = &self.histories[channel];
        let [fast, middle, slow] = voice.errors[0].map(half_octaves);
        let of_unit = |a: i64, unit: u64| {
            // Differences in units of an eighth or so of the usual error.
            let unit = (unit * 3 / 8).max(1) as i64;
            quantize((a / unit).clamp(-(1 << 16), 1 << 16) as i32)
        };
        let own = |a: i64| of_unit(a, voice.errors[0][1]);
        let pair = |a: i64, b: i64| own(a) * 15 + own(b);
        let best = guess.means[0];
        let [one, two] = [history[0].into(), 2 * i64::from(history[0]) - i64::from(history[1])]
            .map(|x: i64| (x << FRACTION) - best);
        let last = voice.residues.map(|residue| residue << FRACTION);
        let partner = self.before(channel).map_or(0, |before| {
            let voice = &self.voices[before];
            of_unit(voice.residues[0] << FRACTION, voice.errors[0][1])
        });
        let mut contexts = [0; MAX_CONTEXTS];
        contexts[..CONTEXTS].copy_from_slice(&[
            fast * 128 + middle,
            pair(last[0], last[1]),
            middle * 128 + slow,
            pair(guess.stages[0], guess.stages[1]),
            pair(guess.means[FILTER] - best, guess.means[2] - best),
            pair(one, two),
            middle * 8 + (best as u32 >> (FRACTION - 3) & 7),
            (partner * 15 + own(last[0])) * 128 + fast,
        ]);
        contexts
    }
}

impl Voice {
    /// Learns the sample `value`; `input` is the same as the filters see it.
    fn learn(&mut self, guess: &Guess, value: i64, input: i32) {
        let exact = value << FRACTION;
        // The first errors are plain means of all.
        let most = u32::BITS - self.seen.leading_zeros();
        for (means, errors) in guess.means.iter().zip(&mut self.errors) {
            let error = (exact - means).unsigned_abs();
            for (mean, pace) in errors.iter_mut().zip(PACES.map(|pace| pace.min(most))) {
                *mean = mean.wrapping_add_signed((error as i64 - *mean as i64) >> pace);
            }
        }
        self.filters.iter_mut().for_each(|filter| filter.update(input, TRUST));
        let mut rest = exact - guess.means[2];
        for (stage, &part) in self.cascade.iter_mut().zip(&guess.stages) {
            stage.update(rest >> FRACTION, rest - part);
            rest -= part;
        }
        self.residues = [value - guess.centre, self.residues[0]];
        self.seen = self.seen.saturating_add(1);
    }
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
            // Of another channel or a later sample it may be more than fits: then it is the most that fits.
            let wide = i64::from(x) << (INPUT_BITS - self.bits);
            wide.clamp(i32::MIN.into(), i32::MAX.into()) as i32
        }
    }
}

/// How the filters learn.
fn plans(effort: Effort, channels: usize) -> Vec<Learning> {
    let plan = |&(own, others, memory, period): &(usize, usize, u32, u32)| Learning {
        order: own + if channels > 1 { others } else { 0 },
        window: Window::Recent { memory },
        period: period * effort.patience,
        ridge: 1,
        precision: Precision::Fine,
    };
    FILTERS[..effort.filters].iter().map(plan).collect()
}

/// Mean of the filters, each weighed by its inverse squared recent error.
fn blend(means: &[i64], errors: &[[u64; PACES.len()]]) -> i64 {
    let errors = errors.iter().map(|error| error[1] + 32);
    let least = errors.clone().min().expect("a filter");
    let (mut total, mut sum) = (0, 0);
    for (&mean, error) in means.iter().zip(errors) {
        // At most 2^10, squared 2^20, and means are below 2^40.
        let share = ((least << 10) / error).max(1) as i64;
        total += share * share;
        sum += share * share * mean;
    }
    sum / total
}

/// An error ([`FRACTION`] bits) on a logarithmic scale of two steps an octave, below 128.
fn half_octaves(error: u64) -> u32 {
    let v = error.saturating_add(32);
    let octave = 63 - v.leading_zeros(); // 5..
    (octave - 5) * 2 + (v >> (octave - 1) & 1) as u32
}
