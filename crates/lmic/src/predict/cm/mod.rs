//! `cm`: online context mixing. Predicts bit by bit, learns while it codes, integers only.
//!
//! For every bit, each of some contexts (`contexts`) looks up what was seen after it
//! (`table`, `history`) and what that was worth so far (`counter`); two match models
//! (`matcher`) add what followed the longest repeats; a gated two-layer mixer (`mixer`) weighs all of it
//! in the logistic domain (`logistic`), and adaptive maps (`apm`) correct the result. Everything learns from the
//! bit that comes, in encoder and decoder alike.
//!
//! The family is that of PAQ and ZPAQ: M. Mahoney, "Adaptive weighing of context models for lossless
//! data compression", Florida Tech. Technical Report CS-2005-16.

pub(crate) mod logistic;

pub(crate) mod apm;
pub(crate) mod byte;
pub(crate) mod columns;
pub(crate) mod context_mixer;
pub(crate) mod contexts;
pub(crate) mod counter;
pub(crate) mod fields;
mod history;
pub(crate) mod matcher;
pub(crate) mod mixer;
pub(crate) mod rows;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod text;

pub(crate) mod primed;

use crate::coder::Coder;
use crate::predict::programs::Machine;
use crate::predict::teams::{Cut, MOST_TEAMS, Run, Walk};
use crate::progress::Progress;
use crate::walk::Model;
use context_mixer::{ContextMixer, Shape};
use matcher::View;
use store::Whole;

/// The number of profiles. A profile is a number from 1, the fastest (two hashed contexts), to `PROFILES`, the strongest (sixteen).
pub const PROFILES: u8 = 5; // frozen

/// Bytes that are worth a team of their own.
const BYTES_PER_TEAM: usize = 2_000_000; // frozen

/// The context-mixing model for bytes of any kind, for a block of one team.
#[derive(Debug)]
pub struct Cm {
    profile: Profile,
    store: Whole,
}

/// The mixer of each profile. The number of its contexts, weight sets and inputs is known when it is compiled, for speed.
#[derive(Debug)]
enum Profile {
    One(Box<ContextMixer<2, 2, 16>>),
    Two(Box<ContextMixer<3, 2, 16>>),
    Three(Box<ContextMixer<4, 3, 16>>),
    Four(Box<ContextMixer<10, 6, 32>>),
    Five(Box<ContextMixer<16, 8, 48>>),
}

impl Cm {
    /// A fresh model for a block of `len` bytes of any kind.
    ///
    /// # Panics
    /// If `profile` is not in `1..=PROFILES`.
    pub fn new(profile: u8, len: usize) -> Self {
        Self::of(profile, None, len)
    }

    /// A fresh model for a block of `len` bytes, which may be a program whose distances are [absolute](absolute).
    pub(crate) fn of(profile: u8, machine: Option<Machine>, len: usize) -> Self {
        let shape = Shape::new(profile, machine, len);
        let mixer = match profile {
            1 => Profile::One(Box::new(ContextMixer::new(&shape))),
            2 => Profile::Two(Box::new(ContextMixer::new(&shape))),
            3 => Profile::Three(Box::new(ContextMixer::new(&shape))),
            4 => Profile::Four(Box::new(ContextMixer::new(&shape))),
            5 => Profile::Five(Box::new(ContextMixer::new(&shape))),
            _ => panic!("profile {profile} is not in 1..={PROFILES}"),
        };
        Self { profile: mixer, store: shape.store() }
    }

    /// Bytes that coding a block of `len` bytes allocates, at most.
    pub(crate) fn memory(profile: u8, len: usize) -> u64 {
        let (shape, cut) = (Shape::new(profile, None, len), Self::cut(profile, len));
        shape.store_memory()
            + match cut.teams() {
                0 | 1 => shape.memory(),
                teams => cut.memory() + teams as u64 * shape.memory(),
            }
    }

    /// How a block of `len` bytes is cut into teams.
    pub(crate) fn cut(profile: u8, len: usize) -> Cut {
        Self::cut_by(BYTES_PER_TEAM, profile, len)
    }

    fn cut_by(bytes_per_team: usize, profile: u8, len: usize) -> Cut {
        let teams = (len / bytes_per_team).clamp(1, MOST_TEAMS);
        let contexts = Shape::new(profile, None, len).contexts();
        Cut { len, lane_len: len.div_ceil(teams).max(1), lanes: 1, contexts }
    }

    /// Walks a block of several teams.
    pub(crate) fn walk(
        profile: u8,
        machine: Option<Machine>,
        data: &mut [u8],
        run: impl Run,
        progress: &Progress,
    ) {
        let shape = Shape::new(profile, machine, data.len());
        Self::walk_cut(profile, &shape, Self::cut(profile, data.len()), data, run, progress);
    }

    fn walk_cut(
        profile: u8,
        shape: &Shape,
        cut: Cut,
        data: &mut [u8],
        run: impl Run,
        progress: &Progress,
    ) {
        match profile {
            1 => walk::<2, 2, 16>(shape, cut, data, run, progress),
            2 => walk::<3, 2, 16>(shape, cut, data, run, progress),
            3 => walk::<4, 3, 16>(shape, cut, data, run, progress),
            4 => walk::<10, 6, 32>(shape, cut, data, run, progress),
            5 => walk::<16, 8, 48>(shape, cut, data, run, progress),
            _ => panic!("profile {profile} is not in 1..={PROFILES}"),
        }
    }
}

fn walk<const N: usize, const SETS: usize, const WIDTH: usize>(
    shape: &Shape,
    cut: Cut,
    data: &mut [u8],
    run: impl Run,
    progress: &Progress,
) {
    let mut store = shape.store();
    let team = || Box::new(ContextMixer::<N, SETS, WIDTH>::new(shape));
    run.run(&Walk::new(cut, &mut store, shape.match_models(), data, team, progress));
}

impl Model for Cm {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let (store, view) = (&mut self.store, View::whole(past));
        next[0] = match &mut self.profile {
            Profile::One(mixer) => mixer.code(store, coder, view, next[0]),
            Profile::Two(mixer) => mixer.code(store, coder, view, next[0]),
            Profile::Three(mixer) => mixer.code(store, coder, view, next[0]),
            Profile::Four(mixer) => mixer.code(store, coder, view, next[0]),
            Profile::Five(mixer) => mixer.code(store, coder, view, next[0]),
        };
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use crate::coder::{RangeDecoder, RangeEncoder};
    use crate::predict::teams::{Alone, Together};
    use crate::walk::{CodeLength, decode_model, encode_model, walk};

    /// Text with repeats, numbers and lines; and bytes without any order.
    fn samples() -> [Vec<u8>; 3] {
        let text: String = (0..400)
            .map(|i| {
                format!("{{\"id\": {i}, \"name\": \"n{}\", \"ok\": {}}}\n", i * 7 % 13, i % 3 == 0)
            })
            .collect();
        let mut x = 1u64;
        let noise = (0..3000)
            .map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (x >> 56) as u8
            })
            .collect();
        [text.into_bytes(), noise, vec![0; 5000]]
    }

    #[test]
    fn every_profile_restores_what_it_coded() {
        for data in samples() {
            for profile in 1..=PROFILES {
                let code = encode_model(&mut Cm::new(profile, data.len()), &mut data.clone());
                let mut restored = vec![0; data.len()];
                decode_model(&mut Cm::new(profile, data.len()), &code, &mut restored);
                assert!(restored == data, "profile {profile}");
            }
        }
    }

    #[test]
    fn stronger_profiles_make_structured_text_smaller() {
        let [mut text, ..] = samples();
        let mut bits = |profile| {
            let mut coder = CodeLength::default();
            walk(&mut Cm::new(profile, text.len()), &mut coder, &mut text);
            coder.bits()
        };
        let [fast, middle, strong] = [1, 3, 5].map(&mut bits);
        assert!(strong < middle && middle < fast, "{fast} {middle} {strong}");
        // Under one bit a byte: names and braces repeat, only the numbers move.
        assert!(strong < text.len() as f64);
    }

    #[test]
    fn noise_grows_by_less_than_two_percent() {
        let [_, mut noise, _] = samples();
        let len = encode_model(&mut Cm::new(5, noise.len()), &mut noise).len();
        assert!(len < noise.len() * 102 / 100, "{len}");
    }

    #[test]
    fn small_blocks_get_small_tables() {
        for profile in 1..=PROFILES {
            assert!(Cm::memory(profile, 100) < 3 << 20);
            // Of which as much as the block is for what teams have shown each other.
            assert!(Cm::memory(profile, 256 << 20) < (256 + 400) << 20);
        }
    }

    #[test]
    fn teams_restore_what_they_coded_on_any_number_of_threads() {
        let text = samples()[0].repeat(2);
        let progress = Progress::default();
        for profile in 1..=PROFILES {
            for len in [2000, 2001, 5000, 17_500, text.len()] {
                let data = &text[..len];
                let cut = Cm::cut_by(1000, profile, len);
                assert_eq!(cut.teams(), (len / 1000).min(MOST_TEAMS));
                let encode = |threads| {
                    let coders: Vec<_> =
                        (0..cut.teams()).map(|_| Mutex::new(RangeEncoder::new())).collect();
                    let run = Together { coders: &coders, threads };
                    Cm::walk_cut(
                        profile,
                        &Shape::new(profile, None, data.len()),
                        cut,
                        &mut data.to_vec(),
                        run,
                        &progress,
                    );
                    coders.into_iter().map(|c| c.into_inner().unwrap().finish()).collect()
                };
                let codes: Vec<Vec<u8>> = encode(1);
                for threads in [2, 3, 5, 16] {
                    assert!(encode(threads) == codes, "{len} bytes, {threads} threads");
                    let coders: Vec<_> =
                        codes.iter().map(|code| Mutex::new(RangeDecoder::new(code))).collect();
                    let mut restored = vec![0; len];
                    let run = Together { coders: &coders, threads };
                    Cm::walk_cut(
                        profile,
                        &Shape::new(profile, None, data.len()),
                        cut,
                        &mut restored,
                        run,
                        &progress,
                    );
                    assert!(restored == data, "profile {profile}, {len} bytes, {threads} threads");
                }
            }
        }
    }

    #[test]
    fn teams_learn_from_each_other() {
        // Noise that comes four times, twice in each of two teams. The second team stands elsewhere in it, so what it sees first the
        // first team has seen before.
        let [_, noise, _] = samples();
        let mut data = noise.repeat(4);
        data[6000..].rotate_left(1500);
        let bits = |cut: Cut, data: &mut [u8]| {
            let mut coder = CodeLength::default();
            Cm::walk_cut(
                5,
                &Shape::new(5, None, data.len()),
                cut,
                data,
                Alone(&mut coder),
                &Progress::default(),
            );
            coder.bits()
        };
        let together = bits(Cm::cut_by(6000, 5, 12_000), &mut data);
        let apart: f64 = data
            .chunks_mut(6000)
            .map(|part| {
                let mut coder = CodeLength::default();
                crate::walk::walk(&mut Cm::new(5, 6000), &mut coder, part);
                coder.bits()
            })
            .sum();
        assert!(together < 0.9 * apart, "{together} {apart}");
    }
}
