//! Random numbers from a counter, the same on every machine.

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): the finalizer is good
/// enough that any counter gives independent draws.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// The generator for draw `number` of `seed`.
    pub(crate) fn at(seed: u64, number: u64) -> Self {
        Self(mix(seed).wrapping_add(mix(!number)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let value = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        value
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..bound; the bias of the multiplication is below 2^-20 for what fits into memory.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Spreads the bits of a number over all of it.
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Normal numbers by Box and Muller's method.
pub(crate) struct Normal {
    rng: SplitMix64,
    spare: Option<f64>,
}

impl Normal {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rng: SplitMix64(seed), spare: None }
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
