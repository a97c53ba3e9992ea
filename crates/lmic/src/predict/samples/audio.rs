//! Interleaved 8-bit unsigned or 16-bit signed little-endian audio.

use super::distribution::FRACTION;
use super::engine::{Engine, Forecast};
use super::least_squares::{INPUT_MAX, Learning, LeastSquares, Window};
use super::lms::Lms;
use super::{level, quantize};
use crate::coder::Coder;
use crate::quantize::BitProb;

const BELLS: usize = 6;
const CONTEXTS: usize = 8;
const NORM: u32 = 13;
const FILTERS: usize = 3;
const PARTNER: usize = 8;
const ORDER: usize = 32;

/// Model of audio.
#[derive(Debug)]
pub struct Audio {
    width: usize,
    channels: usize,
    engine: Engine,
    voices: Vec<Voice>,
    frames: Vec<[i32; ORDER]>,
    forecast: Forecast,
}

/// One channel.
#[derive(Debug)]
struct Voice {
    filters: [LeastSquares; FILTERS],
    cascade: [Lms; 3],
    errors: [[u32; 3]; BELLS],
    residues: [i32; 4],
}

impl Audio {
    /// Samples of `width` bytes in `channels` interleaved channels.
    pub fn new(_profile: u8, channels: u8, width: usize) -> Self {
        let channels = usize::from(channels);
        let (least, most) = if width == 1 { (-128, 127) } else { (-32768, 32767) };
        let order = if channels == 1 { super::tune(49,32) as usize } else { ORDER };
        let filter = |order, memory, period| {
            LeastSquares::new(Learning { order, window: Window::Recent { memory }, period, ridge: 1 })
        };
        let t = |i, d| super::tune(i, d) as u32;
        let voice = || Voice {
            filters: [filter(order, t(40, 9), t(42, 8)), filter(t(43, 20) as usize, t(41, 7), t(50, 8)), filter(t(51, 12) as usize, t(52, 6), t(53, 4))],
            cascade: [Lms::new(super::tune(45,256) as usize, super::tune(46,6) as u32), Lms::new(32, super::tune(47,6) as u32), Lms::new(16, super::tune(48,5) as u32)],
            errors: [[64 << FRACTION; 3]; BELLS],
            residues: [0; 4],
        };
        Self {
            width,
            channels,
            engine: Engine::new(least, most, BELLS, CONTEXTS, super::tune(21,14) as u32),
            voices: (0..channels).map(|_| voice()).collect(),
            frames: vec![[0; ORDER]; channels],
            forecast: Forecast {
                bell_count: BELLS,
                context_count: CONTEXTS,
                ..Forecast::default()
            },
        }
    }

    /// Bytes that [`Audio::new`] takes.
    pub fn memory(_profile: u8, channels: u8) -> u64 {
        Engine::memory(CONTEXTS, 10) + (u64::from(channels) << 17)
    }

    /// Codes one sample, or the byte that is left over at the end.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        if next.len() < self.width {
            next[0] = code_stray(coder, next[0]);
            return 1;
        }
        let channel = past.len() / self.width % self.channels;
        let target = match self.width {
            1 => i32::from(next[0]) - 128,
            _ => i32::from(i16::from_le_bytes([next[0], next[1]])),
        };
        let value = self.code_sample(coder, channel, target);
        match self.width {
            1 => next[0] = (value + 128) as u8,
            _ => next[..2].copy_from_slice(&(value as i16).to_le_bytes()),
        }
        self.width
    }

    fn code_sample<C: Coder>(&mut self, coder: &mut C, channel: usize, target: i32) -> i32 {
        let history = self.frames[channel];
        let partner: &[i32] = match (self.channels, channel) {
            (1, _) => &[],
            (_, 0) => &self.frames[self.channels - 1][..PARTNER],
            _ => &self.frames[channel - 1][..PARTNER],
        };
        let voice = &mut self.voices[channel];
        // Block floating point: the loudest recent sample fills 11 bits.
        let loudest = history.iter().fold(1, |m, x| m.max(x.abs())) as u32;
        let bits = 32 - loudest.leading_zeros();
        let scale = |x: i32| if bits > NORM { x >> (bits - NORM) } else { x << (NORM - bits) };
        let unscale =
            |x: i32| if bits > NORM { x.saturating_mul(1 << (bits - NORM)) } else { x >> (NORM - bits) };
        let limit = |x: i32| x.clamp(-32768 << FRACTION, 32767 << FRACTION);
        let inputs = partner.iter().chain(&history).map(|&x| scale(x));
        let mut guesses = [0; FILTERS];
        let (mut total, mut sum) = (0, 0);
        for (i, filter) in voice.filters.iter_mut().enumerate() {
            guesses[i] = limit(unscale(filter.predict(inputs.clone())));
            let error = u64::from(voice.errors[3 + i][super::tune(54,1) as usize]) + 32;
            let share = (1u64 << 52) / (error * error);
            total += share;
            sum += i128::from(share) * i128::from(guesses[i]);
        }
        let blend = (sum / i128::from(total)) as i32;
        let lift = if self.width == 1 { 6 } else { 0 };
        let mut stages = [0; 3];
        let mut best = blend;
        for (guess, stage) in stages.iter_mut().zip(&voice.cascade) {
            *guess = stage.predict() >> lift;
            best += *guess;
        }
        let best = limit(best);
        let means = [best, best, blend, guesses[0], guesses[1], guesses[2]];
        let f = &mut self.forecast;
        for (i, &mean) in means.iter().enumerate() {
            let e = &voice.errors[i];
            let spread = if i == 1 { e[0] } else { (e[0] * super::tune(56,1) as u32 + 2 * e[1] + e[2]) / (3 + super::tune(56,1) as u32) };
            f.bells[i] = (mean, spread * super::tune(55,11) as u32 / 16);
        }
        let e = voice.errors[0];
        let (fast, middle, slow) = (level(e[0]) as u32, level(e[1]) as u32, level(e[2]) as u32);
        let unit = (e[1] * 3 / 8).max(1) as i32;
        let norm = |x: i32| quantize(x / unit);
        let centre = (best + 128) >> FRACTION;
        let list = [
            fast * 32 + middle,
            middle * 32 + slow,
            fast * 32 + slow,
            norm(voice.residues[0] << FRACTION) * 15 + norm(voice.residues[1] << FRACTION),
            norm(guesses[2] - best) * 15 + norm(guesses[0] - best),
            norm((history[0] << FRACTION) - best) * 15
                + norm((2 * history[0] - history[1]) * (1 << FRACTION) - best),
            middle * 8 + (best as u32 >> 5 & 7),
            if self.width == 1 {
                centre as u32 & 255
            } else {
                norm(stages[0]) * 15 + norm(stages[1])
            },
        ];
        f.contexts[..list.len()].copy_from_slice(&list);
        f.level = middle as usize;
        f.gate = (fast as usize * 2 / 3) + 16 * (slow as usize / 6);
        let value = self.engine.code(coder, f, target);
        let exact = value << FRACTION;
        for (i, &mean) in means.iter().enumerate() {
            let error = (exact - mean).unsigned_abs();
            for (e, rate) in voice.errors[i].iter_mut().zip([3, 5, 7]) {
                *e = (i64::from(*e) + ((i64::from(error) - i64::from(*e)) >> rate)) as u32;
            }
        }
        let target = scale(value).clamp(-INPUT_MAX, INPUT_MAX);
        voice.filters.iter_mut().for_each(|filter| filter.update(target, 64));
        let mut rest = exact - blend;
        for (stage, &guess) in voice.cascade.iter_mut().zip(&stages) {
            stage.update(rest >> (FRACTION - lift), (rest - guess) << lift);
            rest -= guess;
        }
        voice.residues.rotate_right(1);
        voice.residues[0] = value - centre;
        self.frames[channel].rotate_right(1);
        self.frames[channel][0] = value;
        value
    }
}

/// A byte that is not a whole sample.
fn code_stray<C: Coder>(coder: &mut C, byte: u8) -> u8 {
    (0..8).rev().fold(0, |b, i| b << 1 | u8::from(coder.bit(BitProb::HALF, byte >> i & 1 == 1)))
}
