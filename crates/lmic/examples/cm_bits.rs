//! What context mixing says of each bit of a text, for training networks beside it (`recipes/train_recurrent.py --cm`).
//!
//! ```text
//! cargo run --release -p lmic --example cm_bits -- TEXT OUT
//! ```
//!
//! TEXT is cut into pieces of 1 MiB, 128 KiB and 32 KiB in turn, and `cm` goes over each alone at its strongest profile, as it
//! would in files of such lengths. OUT gets eight signed bytes for each byte of TEXT: for its bits, the highest first, ln(p / (1 -
//! p)) in units of 1/12, where p is the probability that `cm` gave to the bit that came.

use std::sync::Mutex;

use lmic::coder::Coder;
use lmic::predict::cm::Cm;
use lmic::quantize::{BIT_BITS, BitProb, Distribution};
use lmic::walk::walk;

const PIECES: [usize; 3] = [1 << 20, 1 << 17, 1 << 15];
const UNIT: f64 = 12.0;

/// Writes down what each bit's probability was.
struct Opinions<'a>(std::slice::IterMut<'a, u8>);

impl Coder for Opinions<'_> {
    const TOLD: bool = true;

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        let p1 = f64::from(p1.get()) / f64::from(1u32 << BIT_BITS);
        let p = if bit { p1 } else { 1.0 - p1 };
        let opinion = ((p / (1.0 - p)).ln() * UNIT).round() as i8;
        *self.0.next().expect("a byte has eight bits") = opinion as u8;
        bit
    }

    fn symbol<D: Distribution>(&mut self, _: &D, _: usize) -> usize {
        unreachable!("cm codes bits")
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [text, out] = &arguments[..] else {
        return Err("usage: cm_bits TEXT OUT".into());
    };
    let text = std::fs::read(text)?;
    let mut opinions = vec![0; 8 * text.len()];
    let (mut pieces, mut left, mut to) = (Vec::new(), &text[..], &mut opinions[..]);
    for &len in PIECES.iter().cycle() {
        if left.is_empty() {
            break;
        }
        let (piece, rest) = left.split_at(len.min(left.len()));
        let (mine, others) = std::mem::take(&mut to).split_at_mut(8 * piece.len());
        pieces.push((piece, mine));
        (left, to) = (rest, others);
    }
    let pieces = Mutex::new(pieces.into_iter());
    let next = || pieces.lock().expect("no thread panics").next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((piece, opinions)) = next() {
                    let mut coder = Opinions(opinions.iter_mut());
                    walk(&mut Cm::new(5, piece.len()), &mut coder, &mut piece.to_vec());
                }
            });
        }
    });
    Ok(std::fs::write(out, &opinions)?)
}
