//! Rows of gray or colour samples, of 8 bits or of 16 ([`Depth`]).
//!
//! Each sample is predicted by adaptive filters over its [`Neighbours`] and by three fixed rules. A blend weighs these by how
//! well each did on the samples around. That also says how wide the bell of each must be: a table learns the mean error
//! at each step of local error.
//!
//! The filters learn over windows in the plane (see [`Window::Near`]), after X. Wu, K. U. Barthel, W. Zhang,
//! "Piecewise 2D autoregression for predictive image coding" (1998); the blend follows B. Meyer, P. Tischer,
//! "Glicbawls - grey level image compression by adaptive weighted least squares" (2001).

use super::distribution::{FRACTION, Mixture};
use super::least_squares::{Learning, LeastSquares, Precision, TRUST_MAX, Window};
use super::neighbours::{DeepPast, N, NE, NNE, NW, Neighbours, Past, W, wide};
use super::network::SampleNetwork;
use super::number::Number;
use super::rare_bit::RareBit;
use super::value::{ERROR_STEPS, Forecast, MAX_CONTEXTS, ValueCoder};
use super::view::{INPUT_FRACTION, View, logarithm};
use super::{Effort, audio::code_stray, error_step, quantize};
use crate::coder::Coder;
use crate::simd::Level;
use std::fmt;

/// Bells: the blend by activity, the blend by its own errors, three fixed rules, the filters.
const BELLS: usize = FILTER + Effort::MAX_FILTERS; // frozen
/// Index of the first fixed rule among the bells.
const RULE: usize = 2; // frozen
/// Index of the first filter among the bells.
const FILTER: usize = 5; // frozen
/// Contexts that have counters. Gray images have the first of them only.
const GRAY_CONTEXTS: usize = 9; // frozen
const CONTEXTS: usize = 12; // frozen
/// The most samples whose errors are remembered. In images with longer rows, the errors of other places are found instead of
/// those above; that makes the code longer and nothing else.
const HISTORY_MAX: usize = 1 << 18; // frozen
/// Most blocks across a row that a filter tells apart.
const BLOCKS_MAX: usize = 1 << 12; // frozen
/// Least unit of the network's inputs, a quarter of a sample.
const UNIT_MIN: u32 = 1 << (FRACTION - 2); // frozen

/// What 8 and 16 bits do not have in common.
pub trait Depth: fmt::Debug {
    /// An error, [`FRACTION`] bits.
    type Error: Copy + fmt::Debug + Into<u32> + TryFrom<u32>;
    /// The largest.
    const ERROR_MAX: Self::Error; // frozen
    /// The least error.
    const NO_ERROR: Self::Error; // frozen
    /// A sample less what was predicted for it.
    type Residue: Copy + fmt::Debug + Into<i32> + TryFrom<i32> + Default;
    /// Bits by which errors are larger than those of 8-bit samples usually are.
    const COARSER: u32; // frozen

    /// Least and most sample.
    fn range(&self) -> [i32; 2];

    /// Mean of rules and filters, each weighed by its inverse squared local error; rules by an eighth of that.
    fn blend(means: &[i32], local: &[u32]) -> i32;

    /// How much differences count for, at this activity: contexts and gates see them in this unit.
    fn unit(activity: u32) -> i32;
}

/// 8 bits.
#[derive(Debug)]
pub struct Bytes;

impl Depth for Bytes {
    type Error = u16;
    const ERROR_MAX: u16 = u16::MAX; // frozen
    const NO_ERROR: u16 = 0; // frozen
    type Residue = i16;
    const COARSER: u32 = 0; // frozen

    fn range(&self) -> [i32; 2] {
        [0, 255]
    }

    fn blend(means: &[i32], local: &[u32]) -> i32 {
        let mut total = 0;
        let mut sum = 0;
        for i in RULE..means.len() {
            let error = u64::from(local[i]) + 64;
            let share = (1 << 40) / (error * error * if i < FILTER { 8 } else { 1 });
            // Errors are below 2^16, so a share is at least 31 and at most 2^28.
            total += share as i64;
            sum += share as i64 * i64::from(means[i]);
        }
        (sum / total) as i32
    }

    #[inline]
    fn unit(_activity: u32) -> i32 {
        1
    }
}

/// 16 bits, of which the lowest may be zero in all samples.
#[derive(Debug)]
pub struct Deep {
    number: Number,
    shift: u32,
    /// Bits that were shifted out.
    low: [RareBit; 16],
}

impl Depth for Deep {
    type Error = u32;
    const ERROR_MAX: u32 = 1 << 25; // frozen
    const NO_ERROR: u32 = 0; // frozen
    type Residue = i32;
    const COARSER: u32 = 2; // frozen

    fn range(&self) -> [i32; 2] {
        [i32::from(i16::MIN) >> self.shift, i32::from(i16::MAX) >> self.shift]
    }

    fn blend(means: &[i32], local: &[u32]) -> i32 {
        let least = local[RULE..].iter().min().map_or(0, |&error| u64::from(error) + 64);
        let (mut total, mut sum) = (0, 0);
        for i in RULE..means.len() {
            // At most 2^23, and means are below 2^25.
            let share = ((least << 10) / (u64::from(local[i]) + 64)).max(1);
            let share = (share * share * if i < FILTER { 1 } else { 8 }) as i64;
            total += share;
            sum += share * i64::from(means[i]);
        }
        (sum / total) as i32
    }

    #[inline]
    fn unit(activity: u32) -> i32 {
        (activity >> (FRACTION + 1)).max(1) as i32
    }
}

/// Model of an image.
#[derive(Debug)]
pub struct Image<D: Depth> {
    depth: D,
    range: [i32; 2],
    row: usize,
    step: usize,
    values: ValueCoder,
    channels: Vec<Channel>,
    /// Errors of each bell's mean ([`FRACTION`] bits) by position, in a ring.
    errors: Vec<[D::Error; BELLS]>,
    /// Sample minus centre by position, in a ring.
    residues: Vec<D::Residue>,
    forecast: Forecast,
    grid: Grid,
    /// The pretrained network: of gray images, in profile 6.
    network: Option<&'static SampleNetwork>,
    /// The SIMD level that the network is computed with.
    pub(super) simd: Level,
}

/// Mean absolute residue of each column and each row of blocks of 8 x 8, [`FRACTION`] bits: uneven where the
/// image came out of JPEG.
#[derive(Debug)]
struct Grid {
    errors: [[u32; 8]; 2],
}

impl Grid {
    fn learn(&mut self, x: usize, y: usize, error: u32) {
        for (errors, place) in self.errors.iter_mut().zip([x, y]) {
            let mean = &mut errors[place & 7];
            *mean = mean.wrapping_add_signed((error as i32 - *mean as i32) >> 6);
        }
    }
}

/// One colour.
#[derive(Debug)]
struct Channel {
    filters: Vec<Filter>,
    /// Mean error of each bell at each step of local error.
    spread: [[u32; ERROR_STEPS]; BELLS],
    /// Mean error of the blend with 6 more bits, by texture and activity.
    bias: Vec<i32>,
}

/// A filter and how many of the own channel's neighbours it looks at; then it looks at the others.
#[derive(Debug)]
struct Filter {
    squares: LeastSquares,
    own: usize,
}

/// What is known of the errors around a sample.
struct Around {
    /// Ring positions of W, N, NW, NE, WW, NN.
    at: [usize; 6],
    /// Mean errors of each bell there.
    local: [u32; BELLS],
}

/// Everything predicted for one sample.
struct Guess {
    means: [i32; BELLS],
    /// The blend before its usual error (the bias) was taken off.
    blend: i32,
    bias_at: usize,
    /// The local error of each bell as an [`error_step`]: its spread is looked up by it.
    error_steps: [usize; BELLS],
    /// Local error and gradient.
    activity: u32,
    centre: i32,
}

/// The filters, the most useful first: how many own neighbours each looks at, and how it learns.
fn plans(effort: Effort, row: usize, step: usize, channel: usize) -> Vec<(usize, Learning)> {
    // Samples of this channel in a row: padding may cut the last pixel short.
    let pixels = (row - channel).div_ceil(step);
    let near = |block: usize| {
        let blocks = pixels.div_ceil(block).min(BLOCKS_MAX);
        Window::Near { row: pixels, block, blocks, fade: 5 }
    };
    let wide = Window::Recent { memory: 10 };
    // Own neighbours of gray and of colour, inputs from other channels, window, period.
    let all = [(14, 6, 8, near(8), 4), (6, 4, 4, near(4), 4), (14, 10, 8, wide, 8)];
    let plan = |&(gray, colour, others, window, period): &(usize, usize, usize, Window, u32)| {
        let (own, order) =
            if step == 1 { (gray, gray) } else { (colour, colour + others + channel) };
        (
            own,
            Learning {
                order,
                window,
                period: period * effort.patience,
                ridge: 2,
                precision: Precision::Coarse,
            },
        )
    };
    all[..effort.filters].iter().map(plan).collect()
}

impl Channel {
    fn new(plans: &[(usize, Learning)], coarser: u32) -> Self {
        let filter = |&(own, learning): &_| Filter { squares: LeastSquares::new(learning), own };
        // Before anything is known, errors are taken to be as large as their step says: 24, 36, 48, 72, ... (see `error_step`).
        let typical =
            std::array::from_fn(|l| (24 + 12 * (l as u32 & 1)) << (l as u32 / 2 + coarser));
        Self {
            filters: plans.iter().map(filter).collect(),
            spread: [typical; BELLS],
            bias: vec![0; 64 * ERROR_STEPS],
        }
    }
}

impl<D: Depth> Image<D> {
    /// A fresh model of an image with `row` samples from row to row and `step` samples from pixel to pixel. `len` counts samples.
    fn of_depth(
        depth: D,
        effort: Effort,
        row: usize,
        step: usize,
        len: usize,
        network: Option<&'static SampleNetwork>,
    ) -> Self {
        let history = history_len(row, len);
        let row_in_block = row.min(len.max(step));
        let contexts = contexts(effort, step);
        let bells = FILTER + effort.filters;
        let range = depth.range();
        Self {
            depth,
            range,
            row,
            step,
            values: ValueCoder::new(
                range.map(i64::from),
                bells,
                contexts,
                effort.table_bits(len),
                network.is_some(),
            ),
            channels: (0..step)
                .map(|c| Channel::new(&plans(effort, row_in_block, step, c), D::COARSER))
                .collect(),
            errors: vec![[D::NO_ERROR; BELLS]; history],
            residues: vec![D::Residue::default(); history],
            forecast: Forecast { bell_count: bells, ..Forecast::default() },
            grid: Grid { errors: [[4 << FRACTION; 8]; 2] },
            network,
            simd: Level::detect(),
        }
    }

    /// Bytes that [`Image::of_depth`] takes, at most.
    pub(super) fn memory(effort: Effort, row: usize, step: usize, len: usize) -> u64 {
        let row_in_block = row.min(len.max(step));
        let filters: u64 = (0..step)
            .flat_map(|c| plans(effort, row_in_block, step, c))
            .map(|(_, learning)| LeastSquares::memory(learning))
            .sum();
        let history =
            history_len(row, len) * (BELLS * size_of::<D::Error>() + size_of::<D::Residue>());
        ValueCoder::memory(contexts(effort, step), effort.table_bits(len))
            + history as u64
            + filters
    }

    /// Codes the next sample of `past`, which is `known`, in a row of questions.
    fn code_sample<C: Coder>(
        &mut self,
        coder: &mut C,
        past: impl Past,
        known: i32,
        view: impl Fn(&Self, &Around, &Guess) -> Option<Mixture>,
    ) -> i32 {
        let at = past.len();
        let seen = Neighbours::new(past, self.row, self.step);
        let channel = at % self.row % self.step;
        let around = self.look_around(at, channel);
        let guess = self.predict(&seen, &around, channel);
        self.set_forecast(&seen, &around, &guess, at, channel);
        self.forecast.mixture = view(self, &around, &guess);
        let value = self.values.code(coder, &self.forecast, known.into()) as i32;
        self.learn(&seen, &guess, at, channel, value);
        value
    }

    fn look_around(&self, at: usize, channel: usize) -> Around {
        let mask = self.errors.len() - 1;
        let (row, step) = (self.row, self.step);
        let back = [step, row, row + step, row.saturating_sub(step), 2 * step, 2 * row];
        let at_most = |back: usize| (if back <= at { at - back } else { at }) & mask;
        let ring = back.map(at_most);
        let mut local = [0; BELLS];
        for (&i, weight) in ring.iter().zip([3, 3, 2, 2, 1, 1]) {
            for (sum, &error) in local.iter_mut().zip(&self.errors[i]) {
                *sum += error.into() * weight;
            }
        }
        local.iter_mut().for_each(|sum| *sum /= 12);
        if channel > 0 {
            // How large the errors of the channel before were on this very pixel says a lot.
            for (sum, &error) in local.iter_mut().zip(&self.errors[(at - 1) & mask]) {
                *sum = (*sum * 2 + error.into()) / 3;
            }
        }
        Around { at: ring, local }
    }

    fn predict(&mut self, seen: &Neighbours, around: &Around, channel: usize) -> Guess {
        let channel = &mut self.channels[channel];
        let mut means = [0; BELLS];
        means[RULE..FILTER].copy_from_slice(&fixed_rules(seen, self.range));
        for (mean, filter) in means[FILTER..].iter_mut().zip(&mut channel.filters) {
            let own = seen.own[..filter.own].iter().map(|v| v - seen.base);
            let others = seen.others.iter().copied();
            let rise = filter.squares.predict(own.chain(others));
            *mean = clamp((seen.base << FRACTION) + rise, self.range);
        }
        let used = FILTER + channel.filters.len();
        let blend = D::blend(&means[..used], &around.local[..used]);
        let [w, n, nw, ne] = [W, N, NW, NE].map(|i| seen.own[i]);
        let gradient = (w - nw).unsigned_abs() + (n - nw).unsigned_abs() + (n - ne).unsigned_abs();
        let best = around.local[FILTER..used].iter().min().copied().unwrap_or(0);
        let activity = best + (gradient << FRACTION) / 16;
        let step = |error: u32| error_step(error >> D::COARSER);
        let bias_at = texture(seen, blend) * ERROR_STEPS + step(activity);
        means[0] = clamp(blend + (channel.bias[bias_at] >> 6), self.range);
        means[1] = means[0];
        let mut error_steps = around.local.map(step);
        error_steps[0] = step(activity);
        let [least, most] = self.range;
        let centre = ((means[0] + (1 << (FRACTION - 1))) >> FRACTION).clamp(least, most);
        Guess { means, blend, bias_at, error_steps, activity, centre }
    }

    fn set_forecast(
        &mut self,
        seen: &Neighbours,
        around: &Around,
        guess: &Guess,
        at: usize,
        channel: usize,
    ) {
        let residue = |at: usize| self.residues[at & (self.residues.len() - 1)].into();
        let before = if channel > 0 { residue(at - 1) } else { 0 };
        let residues = [0, 1, 2, 3].map(|i| residue(around.at[i]));
        let forecast = &mut self.forecast;
        let spread = &self.channels[channel].spread;
        for (i, bell) in forecast.bells[..forecast.bell_count].iter_mut().enumerate() {
            let spread = spread[i][guess.error_steps[i]] * 11 / 16;
            *bell = (guess.means[i].into(), spread.into());
        }
        let unit = D::unit(guess.activity);
        forecast.contexts = context_values::<D>(seen, guess, residues, channel as u32);
        forecast.activity = guess.error_steps[0];
        let [w, n, ne, nne] = [W, N, NE, NNE].map(|i| seen.own[i]);
        forecast.gate = if self.step == 1 {
            quantize((n - w) / unit) as usize + 16 * (quantize((nne - ne) / unit) as usize / 4)
        } else {
            channel * 16 + quantize(before / unit) as usize
        };
    }

    fn learn(&mut self, seen: &Neighbours, guess: &Guess, at: usize, channel: usize, value: i32) {
        let ring = at & (self.errors.len() - 1);
        let channel = &mut self.channels[channel];
        let exact = value << FRACTION;
        for (i, &mean) in guess.means.iter().enumerate() {
            let kept = D::Error::try_from((exact - mean).unsigned_abs()).unwrap_or(D::ERROR_MAX);
            let error: u32 = kept.into();
            self.errors[ring][i] = kept;
            let spread = &mut channel.spread[i][guess.error_steps[i]];
            *spread = spread.wrapping_add_signed((error as i32 - *spread as i32) >> 5);
        }
        self.residues[ring] = D::Residue::try_from(value - guess.centre).unwrap_or_default();
        if self.step == 1 {
            let error = (exact - guess.means[0]).unsigned_abs();
            self.grid.learn(at % self.row, at / self.row, error);
        }
        // Quiet surroundings tell more about structure than noisy ones. Activity is below 2^17: at least 2.
        let calm = 8 << D::COARSER;
        let trust = TRUST_MAX * calm / (calm + (guess.activity >> FRACTION) as i32);
        for filter in &mut channel.filters {
            filter.squares.update(value - seen.base, trust.max(1));
        }
        let bias = &mut channel.bias[guess.bias_at];
        let most = 4096.max(D::unit(guess.activity) << 12);
        *bias += (exact - guess.blend - (*bias >> 6)).clamp(-most, most);
    }
}

impl Image<Bytes> {
    /// A fresh model of an image with `row` bytes from row to row and `step` bytes from pixel to pixel.
    pub(super) fn new(
        effort: Effort,
        row: usize,
        step: usize,
        len: usize,
        network: Option<&'static SampleNetwork>,
    ) -> Self {
        Self::of_depth(Bytes, effort, row, step, len, network)
    }

    /// Codes one sample.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        let expect = |image: &Self, around: &Around, guess: &Guess| {
            let network = image.network?;
            Some(network.forecast(image.simd, &image.view(past, around, guess)))
        };
        next[0] = self.code_sample(coder, past, next[0].into(), expect) as u8;
        1
    }

    /// Goes over a sample without coding it; returns what the network would see before it.
    pub(super) fn observe(&mut self, past: &[u8], value: u8) -> View {
        let at = past.len();
        let seen = Neighbours::new(past, self.row, self.step);
        let around = self.look_around(at, 0);
        let guess = self.predict(&seen, &around, 0);
        let view = self.view(past, &around, &guess);
        self.learn(&seen, &guess, at, 0, i32::from(value));
        view
    }

    /// What the network sees before a gray sample.
    fn view(&self, past: &[u8], around: &Around, guess: &Guess) -> View {
        let (x, y) = (past.len() % self.row, past.len() / self.row);
        let unit = self.channels[0].spread[0][guess.error_steps[0]].max(UNIT_MIN);
        let mut view = View::new((y & 7) * 8 + (x & 7), guess.means[0], unit);
        view.add_samples(wide(past, self.row));
        view.add_means(guess.means[RULE..].iter().copied().chain([guess.blend]));
        view.add_errors(around.local);
        view.add(logarithm(unit) - (8 << INPUT_FRACTION));
        view.add(logarithm(guess.activity) - (8 << INPUT_FRACTION));
        let residues = around.at.map(|at| i32::from(self.residues[at]));
        view.add_differences(unit, residues);
        view.add(((guess.means[0] & 255) - 128) >> 2);
        view.add((guess.means[0] >> 7) - 256);
        let far = |distance: usize| (distance.min(16) as i32) << (INPUT_FRACTION - 3);
        view.add(far(x));
        view.add(far(self.row - x));
        view.add(far(y));
        view.add(logarithm(past.len() as u32 + 1) / 4);
        view.add_errors(self.grid.errors.into_iter().flatten());
        view
    }
}

impl Image<Deep> {
    /// A fresh model of an image with `row` samples from row to row and `step` samples from pixel to pixel, of `len` bytes.
    pub(super) fn deep(
        effort: Effort,
        row: usize,
        step: usize,
        number: Number,
        shift: u8,
        len: usize,
    ) -> Self {
        let depth = Deep { number, shift: shift.into(), low: [RareBit::NEW; 16] };
        Self::of_depth(depth, effort, row, step, len / 2, None)
    }

    /// Codes one sample, or a byte that is left over at the end.
    pub fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        if next.len() < 2 {
            next[0] = code_stray(coder, next[0]);
            return 1;
        }
        let Deep { number, shift, .. } = self.depth;
        let known = number.short([next[0], next[1]]);
        let bytes = DeepPast { bytes: past, number, shift };
        let top = self.code_sample(coder, bytes, known >> shift, |_, _, _| None);
        let value = RareBit::code_low(&mut self.depth.low, coder, shift, top, known);
        number.write(number.join(value, 0), next);
        2
    }
}

fn history_len(row: usize, len: usize) -> usize {
    (2 * row.min(len) + 16).next_power_of_two().clamp(1 << 10, HISTORY_MAX)
}

fn contexts(effort: Effort, step: usize) -> usize {
    if step == 1 { effort.contexts.min(GRAY_CONTEXTS) } else { effort.contexts.min(CONTEXTS) }
}

/// Limits a mean to the range of samples and one more on each side.
fn clamp(mean: i32, [least, most]: [i32; 2]) -> i32 {
    mean.clamp((least - 1) << FRACTION, (most + 1) << FRACTION)
}

/// The median edge detector of JPEG-LS, a gradient, and the mean of W and N moved like the channel before.
fn fixed_rules(seen: &Neighbours, range: [i32; 2]) -> [i32; FILTER - RULE] {
    let [w, n, nw, ne] = [W, N, NW, NE].map(|i| seen.own[i]);
    let median = (w + n - nw).clamp(w.min(n), w.max(n));
    [
        median << FRACTION,
        clamp((2 * (w + n) + ne - nw + 2 * seen.rise) << (FRACTION - 2), range),
        clamp((seen.base + seen.rise) << FRACTION, range),
    ]
}

/// Which of six neighbours lie above the blend.
fn texture(seen: &Neighbours, blend: i32) -> usize {
    seen.own[..6].iter().fold(0, |bits, &v| bits << 1 | usize::from((v << FRACTION) > blend))
}

fn context_values<D: Depth>(
    seen: &Neighbours,
    guess: &Guess,
    residues: [i32; 4],
    channel: u32,
) -> [u32; MAX_CONTEXTS] {
    let [w, n, nw, ne] = [W, N, NW, NE].map(|i| seen.own[i]);
    let activity = guess.error_steps[0] as u32;
    let unit = D::unit(guess.activity); // known when this is compiled for bytes: dividing by it would take long
    let quantize = |difference: i32| quantize(difference / unit);
    let near = |v: i32| quantize(v - guess.centre);
    let exact = |v: i32| ((v - guess.centre).clamp(-7, 7) + 7) as u32;
    let filter = |i: usize| exact((guess.means[FILTER + i] + (1 << (FRACTION - 1))) >> FRACTION);
    let mix = |values: &[u32]| {
        values.iter().fold(channel, |all, &v| all.wrapping_mul(15).wrapping_add(v))
    };
    let [one, two] = seen.repeats.map(|values| values.map(exact));
    let mut contexts = [0; MAX_CONTEXTS];
    contexts[..CONTEXTS].copy_from_slice(&[
        mix(&[quantize(residues[0]), quantize(residues[1])]),
        mix(&[one[0], one[1]]),
        hash(&[w, n, nw, ne, guess.centre]),
        mix(&[one[0], one[1], two[0], two[1]]),
        near(w) * 15 + near(n),
        texture(seen, guess.blend) as u32 * 8 + activity / 3,
        mix(&[quantize(residues[2]), quantize(residues[3]), activity / 6]),
        mix(&[near(guess.means[RULE] >> FRACTION), near(seen.base + seen.rise), activity / 6]),
        (guess.centre as u32).wrapping_mul(4).wrapping_add(activity / 6),
        mix(&[one[0], one[1], one[2], one[3]]),
        mix(&[one[1], two[1], filter(0)]),
        mix(&[one[0], two[0], filter(2)]),
    ]);
    contexts
}

fn hash(values: &[i32]) -> u32 {
    let step = |h: u32, &v: &i32| {
        h.wrapping_add(v as u32).wrapping_add(1).wrapping_mul(0x2c1b_3c6d).rotate_left(13)
    };
    values.iter().fold(0, step)
}
