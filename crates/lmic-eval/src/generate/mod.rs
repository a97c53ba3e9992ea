//! Any compressor as a generator: what it would code shortest is what it expects.
//!
//! Our own models are walked with a coder that draws ([`Draw`](lmic::draw::Draw)); of any other codec the code lengths of all 256
//! continuations are the distribution (`lengths`): `p(b) ~ 2^-(len(x b) - len(x))`, section 3 and appendix C of the paper.

mod lengths;
mod pictures;

use anyhow::{Result, ensure};
use lmic::coder::Coder;
pub use lmic::draw::{Choice, Draw, Given};
use lmic::predict::Predictor;
use lmic::progress::Progress;
use lmic::quantize::Cdf;

use crate::codec::Codec;
use crate::item::Item;
pub use lengths::CodeLengths;
pub use pictures::{beside, enlarged, gray, spectrogram};

/// The item with what is not given made up by `codec`. The same arguments give the same bytes.
///
/// # Errors
/// If the codec fails.
pub fn complete(codec: &dyn Codec, item: &Item, given: Given, choice: Choice) -> Result<Item> {
    let mut bytes = item.bytes.clone();
    // Nothing of it may be seen.
    (0..bytes.len()).filter(|&at| !given.has(at)).for_each(|at| bytes[at] = 0);
    let mut draw = Draw::new(given, choice)?;
    match codec.ours() {
        Some(ours) => {
            ours.options_told(item.format).walk(&mut draw, &mut bytes, &Progress::default())?
        }
        None => {
            let mut lengths = CodeLengths::new(codec, item.format);
            for (at, byte) in bytes.iter_mut().enumerate() {
                if !given.has(at) {
                    let mut probs = [0.0; 256];
                    lengths.predict(&mut probs);
                    draw.begin(at);
                    *byte = draw.byte(&Cdf::quantize(&probs), 0);
                }
                lengths.update(*byte);
            }
            ensure!(lengths.error().is_none(), "{}", lengths.error().unwrap_or_default());
        }
    }
    Ok(Item { bytes, format: item.format })
}

#[cfg(test)]
mod tests {
    use lmic::coder::RangeDecoder;
    use lmic::predict::Uniform;
    use lmic::walk::{CodeLength, sample};

    use super::*;
    use crate::codec::open;
    use crate::item::Format;

    fn text() -> Vec<u8> {
        b"one two three one two four one two three one two four one two ".to_vec()
    }

    fn item(bytes: Vec<u8>) -> Item {
        Item { bytes, format: Format::Bytes }
    }

    /// Checks counts of `draws` draws against probabilities: each within five standard deviations and a half draw.
    fn agree(counts: &[u32; 256], probs: &[f64; 256], draws: f64) {
        for (byte, (&count, &p)) in counts.iter().zip(probs).enumerate() {
            let sigma = (draws * p * (1.0 - p)).sqrt();
            let off = (f64::from(count) - draws * p).abs();
            assert!(off <= 5.0 * sigma + 0.5, "byte {byte}: {count} of {draws}, p {p}");
        }
    }

    /// Normalised `2^-bits`.
    fn distribution(bits: [f64; 256]) -> [f64; 256] {
        let least = bits.iter().copied().fold(f64::INFINITY, f64::min);
        let weights = bits.map(|b| (least - b).exp2());
        let sum: f64 = weights.iter().sum();
        weights.map(|w| w / sum)
    }

    #[test]
    fn frequencies_sampled_from_gzip_match_its_code_lengths() {
        let codec = open("gzip").unwrap();
        let with_byte = |byte: u8| {
            let mut bytes = text();
            bytes.push(byte);
            8.0 * codec.encode(&item(bytes)).unwrap().len() as f64
        };
        let probs = distribution(std::array::from_fn(|byte| with_byte(byte as u8)));
        assert!(probs[usize::from(b't')] > 2.0 / 256.0, "{}", probs[usize::from(b't')]);
        let mut lengths = CodeLengths::new(&*codec, Format::Bytes);
        text().into_iter().for_each(|byte| lengths.update(byte));
        let mut given = [0.0; 256];
        lengths.predict(&mut given);
        let cdf = Cdf::quantize(&given);
        let draws = 20_000;
        let mut draw = Draw::new(Given::First(0), Choice::default()).unwrap();
        let mut counts = [[0; 256]; 2];
        let noise = sample(Uniform, 8 * draws, 5);
        for i in 0..draws {
            counts[0][usize::from(draw.byte(&cdf, 0))] += 1;
            // Decoding random bits is sampling, too.
            let mut decoder = RangeDecoder::new(&noise[8 * i..][..8]);
            counts[1][usize::from(decoder.byte(&cdf, 0))] += 1;
        }
        counts.iter().for_each(|counts| agree(counts, &probs, draws as f64));
    }

    #[test]
    fn frequencies_sampled_from_our_models_match_their_code_lengths() {
        for name in ["cm:profile=2", "cm:profile=5"] {
            let codec = open(name).unwrap();
            let options = codec.ours().unwrap().options_told(Format::Bytes);
            let len = text().len();
            let bits = |byte: u8| {
                let mut bytes = text();
                bytes.push(byte);
                let mut coder = CodeLength::default();
                options.walk(&mut coder, &mut bytes, &Progress::default()).unwrap();
                coder.bits()
            };
            let probs = distribution(std::array::from_fn(|byte| bits(byte as u8)));
            let draws = 1500;
            let mut counts = [[0; 256]; 2];
            for seed in 0..draws {
                let whole = item([text(), vec![0]].concat());
                let choice = Choice { seed, ..Choice::default() };
                let made = complete(&*codec, &whole, Given::First(len), choice).unwrap();
                assert_eq!(made.bytes[..len], text());
                counts[0][usize::from(made.bytes[len])] += 1;
                // Decoding random bits behind what is given.
                let mut bytes = whole.bytes;
                let code = sample(Uniform, 16, 1000 + seed);
                let mut coder = Behind { len, at: 0, decoder: RangeDecoder::new(&code) };
                options.walk(&mut coder, &mut bytes, &Progress::default()).unwrap();
                counts[1][usize::from(bytes[len])] += 1;
            }
            counts.iter().for_each(|counts| agree(counts, &probs, draws as f64));
        }
    }

    /// Takes what is given as it is, and what follows from a code of random bits.
    struct Behind<'a> {
        len: usize,
        at: usize,
        decoder: RangeDecoder<'a>,
    }

    impl Coder for Behind<'_> {
        const TOLD: bool = false;

        fn begin(&mut self, at: usize) {
            self.at = at;
        }

        fn bit(&mut self, p1: lmic::quantize::BitProb, bit: bool) -> bool {
            if self.at < self.len { bit } else { self.decoder.bit(p1, bit) }
        }

        fn symbol<D: lmic::quantize::Distribution>(
            &mut self,
            distribution: &D,
            symbol: usize,
        ) -> usize {
            match self.at < self.len {
                true => symbol,
                false => self.decoder.symbol(distribution, symbol),
            }
        }
    }

    #[test]
    fn what_is_given_stays_for_every_kind_and_codec() {
        let bytes: Vec<u8> =
            (0..1024).map(|i| (128.0 + 90.0 * (f64::from(i) / 23.0).sin()) as u8).collect();
        let formats = [Format::Bytes, Format::Gray { row: 32 }, Format::Pcm8, Format::Pcm16];
        for name in ["cm:profile=1", "default", "zstd:level=1"] {
            let codec = open(name).unwrap();
            for format in formats {
                let whole = Item { bytes: bytes.clone(), format };
                for given in [Given::First(1000), Given::Left { row: 32, left: 30 }] {
                    let made = complete(&*codec, &whole, given, Choice::default()).unwrap();
                    let same = |at: &usize| made.bytes[*at] == bytes[*at];
                    assert!(
                        (0..1024).filter(|&at| given.has(at)).all(|at| same(&at)),
                        "{name} {format:?}"
                    );
                    let again = complete(&*codec, &whole, given, Choice::default()).unwrap();
                    assert_eq!(made, again, "{name} {format:?}");
                }
            }
        }
    }

    #[test]
    fn greedy_goes_on_with_what_repeats() {
        let choice = Choice { greedy: true, ..Choice::default() };
        let repeated = b"abcdefgh".repeat(40);
        for name in ["cm", "default"] {
            let codec = open(name).unwrap();
            let made =
                complete(&*codec, &item(repeated.clone()), Given::First(200), choice).unwrap();
            assert_eq!(made.bytes, repeated, "{name}");
        }
    }
}
