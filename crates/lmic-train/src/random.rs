//! Draws from a counter, the same on every machine.

pub(crate) use lmic::random::mix;

/// A generator of fractions and of numbers below a bound.
pub(crate) struct SplitMix64(lmic::random::SplitMix64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(lmic::random::SplitMix64::new(seed))
    }

    /// The generator for draw `number` of `seed`.
    pub(crate) fn at(seed: u64, number: u64) -> Self {
        Self::new(mix(seed).wrapping_add(mix(!number)))
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..bound; the bias of the multiplication is below 2^-20 for what fits into memory.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// Normal numbers by Box and Muller's method.
pub(crate) struct Normal {
    rng: SplitMix64,
    spare: Option<f64>,
}

impl Normal {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: SplitMix64::new(seed), spare: None }
    }

    pub(crate) fn draw(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u is in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * (1.0 - self.rng.unit()).ln()).sqrt();
        let (sin, cos) = (2.0 * std::f64::consts::PI * self.rng.unit()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}
