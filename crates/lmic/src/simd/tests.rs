//! Random inputs for the tests of the kernels.

/// Any `i16`.
pub fn random(n: usize, seed: u64) -> Vec<i16> {
    let mut x = seed;
    (0..n)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 48) as i16
        })
        .collect()
}

/// Numbers of -4..4.
pub fn random_f32(n: usize, seed: u64) -> Vec<f32> {
    random(n, seed).into_iter().map(|x| f32::from(x) / 8192.0).collect()
}
