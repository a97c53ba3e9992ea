//! The coder that draws: what is given is taken, the rest drawn from the model's distributions.

use anyhow::{Result, ensure};
use lmic::coder::Coder;
use lmic::quantize::{BIT_BITS, BitProb, Distribution};
use lmic::random::SplitMix64;

use super::Given;

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

/// See above.
#[derive(Debug)]
pub struct Draw {
    given: Given,
    choice: Choice,
    random: SplitMix64,
    /// Whether the byte being coded is given.
    is_given: bool,
}

impl Draw {
    /// For an item of which `given` is known.
    ///
    /// # Errors
    /// If the temperature is not above 0.
    pub fn new(given: Given, choice: Choice) -> Result<Self> {
        ensure!(
            choice.temperature > 0.0 && choice.temperature.is_finite(),
            "a temperature of {}; above 0, or greedy",
            choice.temperature
        );
        Ok(Self { given, choice, random: SplitMix64::new(choice.seed), is_given: given.has(0) })
    }

    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn tempered(&self, weight: f64) -> f64 {
        if self.choice.temperature == 1.0 {
            weight
        } else {
            weight.powf(1.0 / self.choice.temperature)
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
        let (one, zero) = (self.tempered(p1), self.tempered(1.0 - p1));
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
        let weights: Vec<f64> = symbols.map(|symbol| self.tempered(size(symbol))).collect();
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
