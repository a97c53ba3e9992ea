//! Rows of 8-bit gray or colour samples.

use super::distribution::FRACTION;
use super::engine::{Engine, Forecast, LEVELS};
use super::least_squares::{LeastSquares, Learning, Window};
use super::{tune, level, quantize};
use crate::coder::Coder;

/// Predictors whose errors are followed.
const PREDICTORS: usize = 8;
const CONTEXTS: usize = 12;
/// Most samples that the history of errors reaches back.
const HISTORY_MAX: usize = 1 << 18;

/// Neighbours as (columns back, rows up).
const NEIGHBOURS: [(i32, i32); 14] = [
    (1, 0),
    (0, 1),
    (1, 1),
    (-1, 1),
    (2, 0),
    (0, 2),
    (-1, 2),
    (1, 2),
    (2, 1),
    (-2, 1),
    (3, 0),
    (0, 3),
    (-2, 2),
    (2, 2),
];
const W: usize = 0;
const N: usize = 1;
const NW: usize = 2;
const NE: usize = 3;
const WW: usize = 4;
const NN: usize = 5;
const NNE: usize = 6;

/// Model of an image.
#[derive(Debug)]
pub struct Image {
    row: usize,
    step: usize,
    engine: Engine,
    channels: Vec<Channel>,
    /// Errors of each predictor ([`FRACTION`] bits, cut to 16 bits), and of the centre, by position.
    errors: Vec<[u16; PREDICTORS]>,
    residues: Vec<i16>,
    forecast: Forecast,
}

#[derive(Debug)]
struct Channel {
    filters: [LeastSquares; 2],
    plane: LeastSquares,
    /// Mean error of each predictor at each level of activity.
    spread: [[u32; LEVELS]; PREDICTORS],
    bias: Vec<i32>,
}

impl Image {
    /// `row` bytes from row to row, `step` bytes from pixel to pixel.
    pub fn new(_profile: u8, row: usize, step: usize, len: usize) -> Self {
        let history = (2 * row.min(len) + 16).next_power_of_two().clamp(1 << 10, HISTORY_MAX);
        let channels = (0..step)
            .map(|c| {
                let (small, large) = if step == 1 { (tune(24,6) as usize, 14) } else { (8 + c, 18 + c) };
                Channel {
                    filters: [
                        LeastSquares::new(Learning {
                            order: small,
                            window: Window::Near { block: tune(22,4) as usize, blocks: (row/step).div_ceil(tune(22,4) as usize).min(4096), fade: tune(23,5) },
                            period: tune(2,4) as u32,
                            ridge: tune(3,2) as i32,
                        }),
                        LeastSquares::new(Learning {
                            order: large,
                            window: Window::Recent { memory: tune(4,10) as u32 },
                            period: tune(5,8) as u32,
                            ridge: tune(6,2) as i32,
                        }),
                    ],
                    plane: LeastSquares::new(Learning {
                        order: if step == 1 { tune(15,14) as usize } else { tune(20,6) as usize+2*4 +c },
                        window: Window::Near { block: tune(16,8) as usize, blocks: (row/step).div_ceil(tune(16,8) as usize).min(4096), fade: tune(17,5) },
                        period: tune(18,4) as u32,
                        ridge: tune(19,2) as i32 }),
                    spread: std::array::from_fn(|_| {
                        std::array::from_fn(|l| {
                            (24 << (l / 2)) + if l % 2 == 1 { 12 << (l / 2) } else { 0 }
                        })
                    }),
                    bias: vec![0; 1 << 12],
                }
            })
            .collect();
        Self {
            row,
            step,
            engine: Engine::new(0, 255, PREDICTORS, CONTEXTS, tune(21,13) as u32),
            channels,
            errors: vec![[0; PREDICTORS]; history],
            residues: vec![0; history],
            forecast: Forecast {
                bell_count: PREDICTORS,
                context_count: CONTEXTS,
                ..Forecast::default()
            },
        }
    }

    /// Bytes that [`Image::new`] takes.
    pub fn memory(_profile: u8, row: usize, len: usize) -> u64 {
        let history = (2 * row.min(len) + 16).next_power_of_two().clamp(1 << 10, HISTORY_MAX);
        Engine::memory(CONTEXTS, 10) + history as u64 * 16 + (1 << 18)
    }

    /// Codes one sample.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let at = past.len();
        let place = Place { at, row: self.row, step: self.step, column: at % self.row };
        let mask = self.errors.len() - 1;
        let c = place.column % self.step;
        // --- neighbours
        let own: [i32; 14] = NEIGHBOURS.map(|(dx, dy)| place.sample(past, dx, dy, 0));
        let base = (own[W] + own[N] + 1) >> 1;
        let mut others = [0i32; 12];
        let mut same = [[own[W] + own[N] - own[NW], own[W] + own[NE] - own[N], own[NW], own[NE], own[WW], own[NN]], [own[N] + own[NE] - own[NNE], own[W]-own[NW]+own[NE], own[WW], own[NN], own[NW], own[NE]]];
        let mut extra = 0; // colour difference carried from the left and above
        if self.step == 3 {
            let mut k = 0;
            for back in 1..3usize {
                let shift = if back <= c { back as isize } else { back as isize - 3 };
                // Channels before this one in the pixel are known there; the others only around it.
                let (w, n) = (place.sample(past, 1, 0, shift), place.sample(past, 0, 1, shift));
                let (nw, ne) = (place.sample(past, 1, 1, shift), place.sample(past, -1, 1, shift));
                let middle = (w + n + 1) >> 1;
                if back <= c {
                    let here = i32::from(past[at - back]);
                    others[k] = here - middle;
                    k += 1;
                    same[back - 1] = [own[W] + here - w, own[N] + here - n, own[NW] + here - nw, own[NE] + here - ne, own[WW] + here - place.sample(past, 2, 0, shift), own[NN] + here - place.sample(past, 0, 2, shift)];
                    if back == 1 {
                        extra = here - middle;
                    }
                }
                others[k] = w - middle;
                others[k + 1] = nw - middle;
                others[k + 2] = ne - middle;
                others[k + 3] = place.sample(past, 2, 0, shift) - middle;
                k += 4;
            }
        }
        let channel = &mut self.channels[c];
        let small = channel.filters[0].predict({
            let own = own;
            let head = if self.step == 1 { tune(24,6) as usize } else { 4 };
            own.into_iter().take(head).map(move |v| v - base).chain(others)
        });
        let large = channel.filters[1].predict({
            let own = own;
            let head = if self.step == 1 { 14 } else { 10 };
            own.into_iter().take(head).map(move |v| v - base).chain(others)
        });
        let plane = channel.plane.predict({
            let own = own;
            let head = if self.step == 1 { 14 } else { tune(20,6) as usize };
            own.into_iter().take(head).map(move |v| v - base).chain(others)
        });
        let clamp = |v: i32| v.clamp(-(1 << FRACTION), 256 << FRACTION);
        let base_fixed = base << FRACTION;
        let (small, large) = (clamp(base_fixed + small), clamp(base_fixed + large));
        let (w, n, nw, ne) = (own[W], own[N], own[NW], own[NE]);
        let med = if nw >= w.max(n) {
            w.min(n)
        } else if nw <= w.min(n) {
            w.max(n)
        } else {
            w + n - nw
        };
        let simple = [
            clamp(med << FRACTION),
            clamp((2 * (w + n) + ne - nw + 2 * extra) << (FRACTION - 2)),
            clamp((base + extra) << FRACTION),
        ];
        let mut means = [0, small, large, clamp(base_fixed+plane), simple[0], simple[1], simple[2], 0];
        // --- local errors
        let around = [
            self.step,
            self.row,
            self.row + self.step,
            self.row.saturating_sub(self.step),
            2 * self.step,
            2 * self.row,
        ]
        .map(|back| if back <= at { (at - back) & mask } else { at & mask });
        let mut local = [0u32; PREDICTORS];
        let weights = [3, 3, 2, 2, 1, 1];
        for (&i, weight) in around.iter().zip(weights) {
            for (sum, &e) in local.iter_mut().zip(&self.errors[i]) {
                *sum += u32::from(e) * weight;
            }
        }
        local.iter_mut().for_each(|sum| *sum /= 12);
        if c > 0 {
            for (sum, &e) in local.iter_mut().zip(&self.errors[(at - 1) & mask]) {
                *sum = (*sum * 2 + u32::from(e)) / 3;
            }
        }
        // --- blend by inverse square of local errors
        let mut total = 0u64;
        let mut sum = 0i64;
        for i in 1..PREDICTORS - 1 {
            let e = u64::from(local[i]) + 64;
            let share = (1u64 << 40) / (e * e * if i < 4 { 1 } else { tune(8,8) as u64 });
            total += share;
            sum += share as i64 * i64::from(means[i]);
        }
        let blended = (sum / total as i64) as i32;
        let gradient = (w - nw).abs() + (n - nw).abs() + (n - ne).abs();
        let activity = local[2].min(local[3]) + ((gradient as u32) << FRACTION) / 16;
        let lvl = level(activity);
        let texture = (0..6).fold(0, |t, i| t << 1 | usize::from((own[i] << FRACTION) > blended));
        let bias_at = texture * 32 + lvl;
        means[0] = clamp(blended + (channel.bias[bias_at] >> 6));
        let mean = means[0];
        means[7] = mean;
        let centre = ((mean + 128) >> FRACTION).clamp(0, 255);
        // --- forecast
        let f = &mut self.forecast;
        for i in 0..PREDICTORS {
            let l = level(if i == 0 { activity } else { local[i] });
            f.bells[i] = (means[i], channel.spread[i][l] * tune(9,11) as u32 / 16);
        }
        let residue = |i: usize| i32::from(self.residues[around[i]]);
        let lv = lvl as u32;
        let ch = c as u32;
        let near = |v: i32| quantize(v - centre);
        let line = |v: i32| ((v - centre).clamp(-7, 7) + 7) as u32;
        let fixed = |v: i32| quantize((v - mean) >> (FRACTION - 1));
        let last = if c > 0 { i32::from(self.residues[(at - 1) & mask]) } else { 0 };
        let last2 = if c > 1 { i32::from(self.residues[(at - 2) & mask]) } else { 0 };
        
        let list = [
            (quantize(residue(0)) * 15 + quantize(residue(1))) * 3 + ch,
            (quantize(residue(2)) * 15 + quantize(residue(3))) * 4 + lv / 6,
            near(w) * 15 + near(n),
            (near(med) * 15 + near(base + extra)) * 4 + lv / 6,
            centre as u32 * 4 + lv / 6,
            texture as u32 * 8 + lv / 3,
            hash(&[w, n, nw, ne, centre]),
            (line(same[0][0]) * 15 + line(same[0][1])) * 3 + ch,
            (line(same[0][0]) * 225 + line(same[1][0])*15 + line((large+128)>>FRACTION)) * 3 + ch,
            (line(same[0][1]) * 225 + line(same[1][1])*15 + line((plane+128)>>FRACTION)) * 3 + ch,
            ((line(same[0][0]) * 225 + line(same[0][1])*15 + line(same[1][0]))*15 + line(same[1][1])) * 3 + ch,
            ((line(same[0][0]) * 225 + line(same[0][1])*15 + line(same[0][2]))*15 + line(same[0][3])) * 3 + ch,
        ];
        f.contexts[..list.len()].copy_from_slice(&list);
        f.level = lvl;
        f.gate = (c * 16 + (quantize(last) as usize)).min(63);
        if self.step == 1 {
            f.gate = (quantize(n - w) as usize) + 16 * (quantize(own[NNE] - ne) as usize / 4);
        }
        // --- code
        let value = self.engine.code(coder, f, i32::from(next[0]));
        next[0] = value as u8;
        // --- learn
        let slot = at & mask;
        let exact = value << FRACTION;
        for i in 0..PREDICTORS {
            let error = (exact - means[i]).unsigned_abs();
            self.errors[slot][i] = error.min(65535) as u16;
            let l = level(if i == 0 { activity } else { local[i] });
            let spread = &mut channel.spread[i][l];
            *spread = (*spread as i32 + ((error as i32 - *spread as i32) >> 5)) as u32;
        }
        self.residues[slot] = (value - centre) as i16;
        let trust = (128 * tune(7,8) as i32 / (tune(7,8) as i32 + (activity >> FRACTION) as i32)).max(1);
        channel.filters.iter_mut().for_each(|filter| filter.update(value - base, trust));
        channel.plane.update(value-base, trust);
        let bias = &mut channel.bias[bias_at];
        *bias += (exact - blended - (*bias >> 6)).clamp(-4096, 4096);
        1
    }
}

fn hash(values: &[i32]) -> u32 {
    values.iter().fold(0, |h: u32, &v| {
        (h.wrapping_add(v as u32 + 1)).wrapping_mul(0x2c1b_3c6d).rotate_left(13)
    })
}

/// Where a sample stands.
struct Place {
    at: usize,
    row: usize,
    step: usize,
    column: usize,
}

impl Place {
    /// The sample `left` columns left, `up` rows up and `back` bytes back; outside of the block or the
    /// row, the nearest one that is known.
    #[inline]
    fn sample(&self, past: &[u8], left: i32, up: i32, back: isize) -> i32 {
        let _ = (self.column, self.step);
        let offset =
            up as isize * self.row as isize + left as isize * self.step as isize + back;
        let at = self.at as isize - offset;
        if offset > 0 && at >= 0 {
            return i32::from(past[at as usize]);
        }
        if self.at >= self.row {
            i32::from(past[self.at - self.row])
        } else if self.at >= self.step {
            i32::from(past[self.at - self.step])
        } else {
            128
        }
    }
}
