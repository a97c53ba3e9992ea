//! Any model as a generator: a coder that takes what is given, and draws the rest from the model's distributions.
//!
//! [`Sampler`](crate::walk::Sampler) draws from the distributions as they are, in integers; here they may be sharpened.

use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Network, Windows};
use crate::progress::Progress;
use crate::quantize::{BIT_BITS, BitProb, Distribution};
use crate::random::SplitMix64;
use crate::{EncodeOptions, preset};

/// What of a block is given; the rest is to be made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// So many first bytes.
    First(usize),
    /// Of each row of `row` bytes the first `left`.
    Left {
        /// Bytes of a row.
        row: usize,
        /// Bytes given of each.
        left: usize,
    },
}

impl Given {
    /// Whether the byte at `at` is.
    pub fn has(self, at: usize) -> bool {
        match self {
            Self::First(len) => at < len,
            Self::Left { row, left } => at % row < left,
        }
    }
}

/// How to choose among what is likely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// 1 is the model's own distribution; below, the likely becomes likelier. Where a model decides bit by bit, so is it applied.
    pub temperature: f64,
    /// Always the likeliest.
    pub greedy: bool,
    /// The same seed draws the same.
    pub seed: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { temperature: 1.0, greedy: false, seed: 1 }
    }
}

/// Most bytes of prompt and text with a network of the library: so many stand in one lane.
const MOST_OF_LIBRARY: usize = 64 << 10;
/// The same with anything else, which is one team.
const MOST: usize = 1_000_000 - 1;

/// `len` bytes behind `prompt` under the model of `options`. Of a long prompt only the end counts. After [`Progress::stop`] the
/// bytes mean nothing.
///
/// ```
/// use lmic::{EncodeOptions, draw::{Choice, generate}, progress::Progress};
///
/// let (options, prompt) = (EncodeOptions { level: 3, ..Default::default() }, b"to be or not ".repeat(8));
/// let greedy = Choice { greedy: true, ..Choice::default() };
/// assert_eq!(generate(&options, &prompt, 8, greedy, &Progress::default())?, b"to be or");
/// # Ok::<(), lmic::Error>(())
/// ```
///
/// # Errors
/// As [`Draw::new`] and [`EncodeOptions::walk`], and [`ErrorKind::InvalidArgument`] if `len` is more than 64 KiB with a network of
/// the library, or 1 MB otherwise.
pub fn generate(
    options: &EncodeOptions,
    prompt: &[u8],
    len: usize,
    choice: Choice,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let mut options = options.clone();
    // A lane would go on with nothing.
    if let Some(network) = &options.model {
        let windows = options.windows.unwrap_or_else(|| match network {
            Network::Transformer(model) if options.alone => Windows::sliding(model),
            _ => network.mixed_windows(),
        });
        options.windows = Some(Windows { lanes: 1, ..windows });
    }
    let of_library = options.model.is_none() && preset(options.level)?.network;
    let most = if of_library { MOST_OF_LIBRARY } else { MOST };
    if len > most {
        let message = format!("{len} bytes to generate; at most {most} allowed");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    let given = prompt.len().min(most - len);
    let mut text = prompt[prompt.len() - given..].to_vec();
    text.resize(given + len, 0);
    options.walk(&mut Draw::new(Given::First(given), choice)?, &mut text, progress)?;
    Ok(text.split_off(given))
}

/// The coder that draws. The same arguments draw the same on one machine; a temperature other than 1 asks the system for powers,
/// which another machine may round in another way.
///
/// ```
/// use lmic::draw::{Choice, Draw, Given};
///
/// let mut text = b"to be or not to be, ".repeat(8);
/// let given = text.len();
/// text.resize(given + 40, 0);
/// let mut draw = Draw::new(Given::First(given), Choice { greedy: true, ..Choice::default() })?;
/// lmic::EncodeOptions { level: 3, ..Default::default() }.walk(&mut draw, &mut text, &Default::default())?;
/// assert_eq!(text[given..], b"to be or not to be, ".repeat(2));
/// # Ok::<(), lmic::Error>(())
/// ```
#[derive(Debug)]
pub struct Draw {
    given: Given,
    choice: Choice,
    random: SplitMix64,
    /// Whether the byte being coded is given.
    is_given: bool,
}

impl Draw {
    /// For a block of which `given` is known.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the temperature is not above 0.
    pub fn new(given: Given, choice: Choice) -> Result<Self> {
        if !(choice.temperature > 0.0 && choice.temperature.is_finite()) {
            let message = format!("a temperature of {}; above 0, or greedy", choice.temperature);
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        Ok(Self { given, choice, random: SplitMix64::new(choice.seed), is_given: given.has(0) })
    }

    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A weight at this temperature. It is taken as a part of the `largest`, because at a low temperature the powers of all others
    /// are nearly 0.
    fn tempered(&self, weight: f64, largest: f64) -> f64 {
        if self.choice.temperature == 1.0 {
            weight
        } else {
            (weight / largest).powf(1.0 / self.choice.temperature)
        }
    }
}

impl Coder for Draw {
    const TOLD: bool = false;

    fn begin(&mut self, at: usize) {
        self.is_given = self.given.has(at);
    }

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        if self.is_given {
            return bit;
        }
        let p1 = f64::from(p1.get()) / f64::from(1u32 << BIT_BITS);
        if self.choice.greedy {
            return p1 > 0.5;
        }
        let largest = p1.max(1.0 - p1);
        let [one, zero] = [p1, 1.0 - p1].map(|p| self.tempered(p, largest));
        self.uniform() * (one + zero) < one
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        if self.is_given {
            return symbol;
        }
        let symbols = 0..distribution.symbols();
        let size = |symbol| f64::from(distribution.size(symbol));
        if self.choice.greedy {
            // The first of equals.
            return symbols
                .fold(0, |best, other| if size(other) > size(best) { other } else { best });
        }
        let largest = symbols.clone().map(size).fold(0.0, f64::max);
        let weights: Vec<f64> =
            symbols.map(|symbol| self.tempered(size(symbol), largest)).collect();
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        for (symbol, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return symbol;
            }
        }
        weights.len() - 1
    }
}
