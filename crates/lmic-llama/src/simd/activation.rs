//! What Gemma does that its relatives do not: GELU and caps, by an exponential of the same bits everywhere.

use lmic::{exact::Level, vectorize};

/// `x = cap * tanh(x / cap)`.
pub fn soft_cap(level: Level, cap: f32, x: &mut [f32]) {
    // tanh y = 1 - 2 / (e^2y + 1)
    x.iter_mut().for_each(|x| *x = 2.0 * (*x / cap));
    level.exp(x);
    x.iter_mut().for_each(|x| *x = cap * (1.0 - 2.0 / (*x + 1.0)));
}

/// `gate = gelu(gate) * up`, with GELU by the tanh (Hendrycks and Gimpel 2016).
pub fn gelu_mul(level: Level, gate: &mut [f32], up: &[f32]) {
    #[inline(always)]
    fn inner(gate: &[f32], twice: &mut [f32]) {
        const FACTOR: f32 = 0.797_884_6; // sqrt(2 / pi)
        for (x, twice) in gate.iter().zip(twice) {
            *twice = 2.0 * (FACTOR * (x + 0.044_715 * ((x * x) * x)));
        }
    }
    #[inline(always)]
    fn outer(gate: &mut [f32], up: &[f32], exps: &[f32]) {
        for ((x, up), e) in gate.iter_mut().zip(up).zip(exps) {
            let tanh = 1.0 - 2.0 / (e + 1.0);
            *x = (0.5 * *x) * (1.0 + tanh) * up;
        }
    }
    let mut twice = vec![0.0; gate.len()];
    let (inputs, arguments) = (&*gate, &mut *twice);
    vectorize!(level, inner, (inputs: &[f32], arguments: &mut [f32]));
    level.exp(&mut twice);
    let exps = &*twice;
    vectorize!(level, outer, (gate: &mut [f32], up: &[f32], exps: &[f32]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_near_the_formulas_and_has_the_same_bits() {
        let x: Vec<f32> = (-400..400).map(|i| i as f32 / 40.0).collect();
        let up: Vec<f32> = x.iter().map(|x| x * 0.3 + 1.0).collect();
        let mut expected = x.clone();
        gelu_mul(Level::Scalar, &mut expected, &up);
        for ((x, up), found) in x.iter().zip(&up).zip(&expected) {
            let (x, up) = (f64::from(*x), f64::from(*up));
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            let gelu = 0.5 * x * (1.0 + inner.tanh()) * up;
            assert!((f64::from(*found) - gelu).abs() < 3e-6 * (1.0 + gelu.abs()), "{x}: {found}");
        }
        let mut capped = x.clone();
        soft_cap(Level::Scalar, 5.0, &mut capped);
        for (x, found) in x.iter().zip(&capped) {
            let exact = 5.0 * (f64::from(*x) / 5.0).tanh();
            assert!((f64::from(*found) - exact).abs() < 2e-6, "{x}: {found}");
        }
        for level in Level::available() {
            let (mut gate, mut logits) = (x.clone(), x.clone());
            gelu_mul(level, &mut gate, &up);
            soft_cap(level, 5.0, &mut logits);
            assert_eq!((&gate, &logits), (&expected, &capped));
        }
    }
}
