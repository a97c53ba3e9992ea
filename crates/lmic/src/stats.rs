//! The measures of a compressor, each defined once. With no raw bytes they are infinite or NaN.

/// Coded bytes for each raw byte: `coded / raw`. Smaller is better; 1 is no gain.
pub fn raw_rate(coded_bytes: u64, raw_bytes: u64) -> f64 {
    coded_bytes as f64 / raw_bytes as f64
}

/// The raw rate with the bytes of the model that the decoder must have added to the code: `(coded + model) / raw`. The size of
/// the model is that of its file.
pub fn adjusted_rate(coded_bytes: u64, model_bytes: u64, raw_bytes: u64) -> f64 {
    (coded_bytes + model_bytes) as f64 / raw_bytes as f64
}

/// Bits of code for each raw byte: `8 * raw rate`.
pub fn bits_per_byte(coded_bytes: u64, raw_bytes: u64) -> f64 {
    8.0 * raw_rate(coded_bytes, raw_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_their_formulas() {
        assert_eq!(raw_rate(25, 100), 0.25);
        assert_eq!(adjusted_rate(25, 50, 100), 0.75);
        assert_eq!(bits_per_byte(25, 100), 2.0);
        assert!(raw_rate(5, 0).is_infinite() && raw_rate(0, 0).is_nan());
    }
}
