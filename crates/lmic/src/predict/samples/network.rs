//! The pretrained networks of gray images and audio: from a [`View`] to a mixture of bells, in integers.
//!
//! Two hidden layers of clipped rectifiers with 8-bit weights and 16-bit numbers; every sum is exact in 32 bits,
//! so a forecast has the same bits on every machine. `recipes/train_samples_torch.py` trains them and writes the files
//! embedded here.

use std::sync::OnceLock;

use super::distribution::{Bell, MIXED, Mixture};
use super::format::SampleFormat;
use super::view::{INPUTS, PLACES, View};
use crate::predict::cm::logistic::exp;
use crate::simd::{Level, PackedI16};

/// Largest hidden number: 31 with 10 fractional bits.
const HIDDEN_MAX: i32 = 31 << 10; // frozen
/// Fractional bits of the multipliers, which bring sums to the scale of the next layer.
const MULTIPLIER_BITS: u32 = 24; // frozen
/// Fractional bits of the outputs.
const OUTPUT_FRACTION: u32 = 8; // frozen
/// Widest hidden layer.
const WIDTH_MAX: usize = 256; // frozen

/// One layer: `(sum * multiplier >> 24) + bias` for each output.
struct Layer {
    weights: PackedI16,
    multipliers: Vec<i32>,
    biases: Vec<i32>,
}

/// A network for one format of samples, and the weights with which the mixer starts if the network takes part.
pub struct SampleNetwork {
    /// Units that all places share: the biases are (places, outputs).
    first: Layer,
    /// The rest of the first layer: a layer for each place, or none.
    own: Vec<Layer>,
    second: Layer,
    last: Layer,
}

/// Reads the embedded files front to back. They are part of the program: a wrong length is a bug, not an input.
struct Reader(&'static [u8]);

impl Reader {
    fn take(&mut self, len: usize) -> &'static [u8] {
        let (head, tail) = self.0.split_at(len);
        self.0 = tail;
        head
    }

    fn numbers<const N: usize>(&mut self, count: usize) -> impl Iterator<Item = [u8; N]> {
        self.take(count * N).chunks_exact(N).map(|bytes| bytes.try_into().expect("N bytes"))
    }

    fn layer(&mut self, outputs: usize, inputs: usize) -> Layer {
        let rows: Vec<i8> = self.take(outputs * inputs).iter().map(|&w| w as i8).collect();
        Layer {
            weights: PackedI16::new(outputs, inputs, &rows),
            multipliers: self.numbers(outputs).map(i32::from_le_bytes).collect(),
            biases: self.numbers(outputs).map(i32::from_le_bytes).collect(),
        }
    }
}

impl SampleNetwork {
    /// Five u16 (places, units that all places share, units that each has of its own, width of the second layer, bells),
    /// then layers (weights i8 by outputs, multipliers i32, biases i32): the shared units, followed by what is added to
    /// their biases by place (i16), the own units of each place, the second layer, the last. Little-endian.
    fn read(file: &'static [u8]) -> Self {
        let mut reader = Reader(file);
        let shape: Vec<usize> =
            reader.numbers(5).map(|bytes| usize::from(u16::from_le_bytes(bytes))).collect();
        let [places, shared, own, narrow, bells] = shape[..] else { unreachable!("5 were read") };
        let wide = shared + own;
        assert!(wide <= WIDTH_MAX && narrow <= WIDTH_MAX && bells == MIXED && places <= PLACES);
        let mut first = reader.layer(shared, INPUTS);
        let offsets = reader.numbers(places * shared).map(i16::from_le_bytes);
        let biases = first.biases.iter().cycle();
        first.biases = offsets.zip(biases).map(|(offset, bias)| bias + i32::from(offset)).collect();
        let network = Self {
            first,
            own: (0..if own > 0 { places } else { 0 }).map(|_| reader.layer(own, INPUTS)).collect(),
            second: reader.layer(narrow, wide),
            last: reader.layer(3 * bells, narrow),
        };
        assert!(reader.0.is_empty(), "bytes left behind a network");
        network
    }

    /// The network for `format`, if there is one.
    pub fn of(format: SampleFormat) -> Option<&'static Self> {
        static NETWORKS: [OnceLock<SampleNetwork>; 3] = [const { OnceLock::new() }; 3]; // tunable
        let (i, file) = Self::file(format)?;
        Some(NETWORKS[i].get_or_init(|| Self::read(file)))
    }

    /// Its number and its file.
    pub fn file(format: SampleFormat) -> Option<(usize, &'static [u8])> {
        Some(match (format, format.narrow_audio()) {
            (SampleFormat::Gray { .. }, _) => (0, include_bytes!("pretrained/gray.network")),
            (_, Some((_, number))) if number.width == 1 => {
                (1, include_bytes!("pretrained/pcm8.network"))
            }
            (_, Some(_)) => (2, include_bytes!("pretrained/pcm16.network")),
            _ => return None,
        })
    }

    /// What the network expects of the sample before which `view` is seen.
    pub fn forecast(&self, level: Level, view: &View) -> Mixture {
        let (mut one, mut two) = ([0; WIDTH_MAX], [0; WIDTH_MAX]);
        let mut wide = self.first.rectify(level, &view.inputs, view.place, &mut one);
        if let Some(own) = self.own.get(view.place) {
            wide += own.rectify(level, &view.inputs, 0, &mut one[wide..]);
        }
        let narrow = self.second.rectify(level, &one[..wide], 0, &mut two);
        let mut out = [0; 3 * MIXED];
        level.gemm_i16(&self.last.weights, &two[..narrow], &mut out);
        let rows = self.last.multipliers.iter().zip(&self.last.biases);
        for (y, (&multiplier, &bias)) in out.iter_mut().zip(rows) {
            let scaled = (i64::from(*y) * i64::from(multiplier)) >> MULTIPLIER_BITS;
            *y = (scaled + i64::from(bias)).clamp(-(1 << 14), 1 << 14) as i32;
        }
        mixture(&out, view)
    }
}

impl std::fmt::Debug for SampleNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SampleNetwork").field("own", &self.own.len()).finish_non_exhaustive()
    }
}

impl Layer {
    /// The hidden numbers above `inputs` to the front of `out`; returns how many. `place` chooses the biases.
    fn rectify(&self, level: Level, inputs: &[i16], place: usize, out: &mut [i16]) -> usize {
        let n = self.weights.n();
        let mut sums = [0; WIDTH_MAX];
        level.gemm_i16(&self.weights, inputs, &mut sums[..n]);
        let biases = &self.biases[place * n % self.biases.len()..][..n];
        level.rectify(&sums[..n], &self.multipliers, biases, HIDDEN_MAX, &mut out[..n]);
        n
    }
}

/// The outputs are binary logarithms of the shares, offsets from the centre in units, and binary logarithms of the
/// scales in units; all within ±2^14 (64).
fn mixture(out: &[i32; 3 * MIXED], view: &View) -> Mixture {
    let (shares, rest) = out.split_at(MIXED);
    let (offsets, widths) = rest.split_at(MIXED);
    let most = *shares.iter().max().expect("some bells");
    let powers: [u64; MIXED] = std::array::from_fn(|k| power(shares[k] - most));
    let total: u64 = powers.iter().sum();
    let unit = i64::from(view.unit);
    let mut mixture = Mixture::default();
    let mut left = 1 << 16;
    for k in (0..MIXED).rev() {
        let share = if k == 0 { left } else { ((powers[k] << 16) / total) as u32 };
        left -= share;
        let mean = i64::from(view.centre) + ((i64::from(offsets[k]) * unit) >> OUTPUT_FRACTION);
        let mean = mean.clamp(-(1 << 24), 1 << 24);
        let scale = (u64::from(view.unit) * power(widths[k].clamp(-(8 << 8), 8 << 8))) >> 16;
        mixture.bells[k] = (Bell::new(mean, scale.min(1 << 24)), share);
    }
    mixture
}

/// `2^x` with 16 fractional bits, where `x` has [`OUTPUT_FRACTION`] and is below 16.
fn power(x: i32) -> u64 {
    let power = u64::from(POWERS[(x & 255) as usize]);
    let octaves = x >> OUTPUT_FRACTION;
    if octaves >= 0 { power << octaves } else { power >> (-octaves).min(63) }
}

/// `2^(i / 256)` with 16 fractional bits. Const evaluation rounds as IEEE says.
static POWERS: [u32; 256] = {
    const LN_2: f64 = std::f64::consts::LN_2;
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = (exp(i as f64 / 256.0 * LN_2) * 65536.0 + 0.5) as u32;
        i += 1;
    }
    table
}; // frozen
