//! Times a codec on one input, chunk by chunk, and compares what it restores.

use std::time::Instant;

use anyhow::Result;
use cpu_time::ProcessTime;

use super::Codec;

/// What was measured; seconds are medians over the runs, for all chunks together.
#[derive(Debug)]
pub struct Measured {
    pub coded_bytes: u64,
    pub encode: Seconds,
    pub decode: Seconds,
    /// Everything was decoded and is the same as the input, in every run.
    pub verified: bool,
}

/// Time on the clock, and of all cores together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seconds {
    pub wall: f64,
    pub cpu: f64,
}

/// Codes each of `chunks` alone, `runs` times.
pub fn measure(codec: &mut dyn Codec, chunks: &[&[u8]], runs: usize) -> Result<Measured> {
    let (mut encode, mut decode) = (Vec::new(), Vec::new());
    let mut coded_bytes = 0;
    let mut verified = true;
    for _ in 0..runs {
        coded_bytes = 0;
        let mut run = [Seconds::default(); 2];
        for raw in chunks {
            let coded = run[0].time(|| codec.encode(raw))?;
            let restored = run[1].time(|| codec.decode(&coded, raw.len()))?;
            coded_bytes += coded.len() as u64;
            verified &= restored == *raw;
        }
        encode.push(run[0]);
        decode.push(run[1]);
    }
    Ok(Measured { coded_bytes, encode: median(&encode), decode: median(&decode), verified })
}

impl Seconds {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        let result = work();
        self.cpu += cpu.elapsed().as_secs_f64();
        self.wall += wall.elapsed().as_secs_f64();
        result
    }
}

/// Medians of both clocks, each for itself.
fn median(runs: &[Seconds]) -> Seconds {
    let of = |field: fn(&Seconds) -> f64| {
        let mut values: Vec<_> = runs.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    Seconds { wall: of(|s| s.wall), cpu: of(|s| s.cpu) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the input, but restores zeros in place of every `x`.
    struct Lossy;

    impl Codec for Lossy {
        fn encode(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
            Ok(raw.to_vec())
        }

        fn decode(&mut self, coded: &[u8], _raw_len: usize) -> Result<Vec<u8>> {
            Ok(coded.iter().map(|&b| if b == b'x' { 0 } else { b }).collect())
        }
    }

    #[test]
    fn a_codec_that_loses_a_byte_is_not_verified() {
        let verified = |chunks: &[&[u8]]| measure(&mut Lossy, chunks, 2).unwrap().verified;
        assert!(verified(&[b"abc", b"def"]));
        assert!(!verified(&[b"axc", b"def"]));
    }

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_two_middles() {
        let runs = [3.0, 1.0, 2.0, 10.0].map(|wall| Seconds { wall, cpu: -wall });
        assert_eq!(median(&runs[..3]).wall, 2.0);
        assert_eq!(median(&runs).wall, 2.5);
        assert_eq!(median(&runs).cpu, -2.5);
    }
}
