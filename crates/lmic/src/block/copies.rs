//! Content as literals and copies: what has occurred before is not coded again.
//!
//! A block with copies has, in front of the code of its literals, the list of its copies: how many literals stand before each,
//! how long it is and how far back. How far is counted over the *past*: the literals of the stream's earlier blocks, and behind
//! them what is known of the block's own content. So a block refers to literals of others, never to their copies, and a reader
//! of one block needs the literals of those that it refers to and nothing of what these refer to.

use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::counter::Adaptive;
use crate::quantize::BitProb;
use crate::varint;

/// A copy reaches at most so many bytes of literals of earlier blocks: 256 MiB.
pub(crate) const MAX_REACH: u64 = 1 << 28; // frozen

/// Adaptive probabilities settle at about 1/256 a step.
const LIMIT: u32 = 250; // frozen

/// One copy, and the literals before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Literals since the copy before, or since the start of the block.
    pub(crate) literals: u64,
    /// Bytes that are copied, at least 1.
    pub(crate) len: u64,
    /// How far back they stand in the past, at least 1. A copy longer than that repeats itself.
    pub(crate) distance: u64,
}

/// A model of numbers: their length in bits, and the bits below the highest, of which the first three are modelled.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    lengths: [Adaptive; 64],
    bits: [[Adaptive; 8]; 64],
}

impl Numbers {
    pub(super) fn new() -> Self {
        let fresh = Adaptive::new(32768, 0);
        Self { lengths: [fresh; 64], bits: [[fresh; 8]; 64] }
    }

    /// Codes a number below 2^63.
    pub(super) fn code<C: Coder>(&mut self, coder: &mut C, value: u64) -> u64 {
        let len = u64::from(u64::BITS - value.leading_zeros());
        let mut node = 1;
        for shift in (0..6).rev() {
            let bit = adaptive(coder, &mut self.lengths[node], len >> shift & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        let len = node - 64;
        let mut found = u64::from(len > 0);
        for shift in (0..len.saturating_sub(1)).rev() {
            let told = value >> shift & 1 == 1;
            let bit = match self.bits[len].get_mut(found.min(8) as usize) {
                Some(probability) => adaptive(coder, probability, told),
                None => coder.bit(BitProb::HALF, told),
            };
            found = found << 1 | u64::from(bit);
        }
        found
    }
}

/// Codes a bit, and learns it.
pub(super) fn adaptive<C: Coder>(coder: &mut C, probability: &mut Adaptive, bit: bool) -> bool {
    let bit = coder.bit(BitProb::new(probability.p()), bit);
    probability.update(bit, LIMIT);
    bit
}

/// The model of a list of copies.
#[derive(Debug)]
struct List {
    literals: Numbers,
    lens: Numbers,
    distances: Numbers,
    /// The distance of the copy before.
    last: u64,
}

impl List {
    fn new() -> Self {
        Self { literals: Numbers::new(), lens: Numbers::new(), distances: Numbers::new(), last: 0 }
    }

    /// Codes a copy. One that goes on where the copy before would have been has the same distance, or nearly.
    fn code<C: Coder>(&mut self, coder: &mut C, copy: Copy) -> Copy {
        let literals = self.literals.code(coder, copy.literals);
        let len = 1 + self.lens.code(coder, copy.len.wrapping_sub(1) & (u64::MAX >> 1));
        let change = copy.distance.wrapping_sub(self.last) as i64;
        let change = self.distances.code(coder, ((change << 1) ^ (change >> 63)) as u64);
        let distance = self.last.wrapping_add(change >> 1 ^ (change & 1).wrapping_neg());
        self.last = distance;
        Copy { literals, len, distance }
    }
}

/// What stands before the code of the literals: how many copies there are, the length of their code, and this.
pub(crate) fn write(copies: &[Copy]) -> Vec<u8> {
    let (mut list, mut coder) = (List::new(), RangeEncoder::new());
    for &copy in copies {
        list.code(&mut coder, copy);
    }
    let code = coder.finish();
    let mut out = Vec::new();
    varint::write(&mut out, copies.len() as u64);
    varint::write(&mut out, code.len() as u64);
    out.extend(code);
    out
}

/// The copies of a block, as its payload has them.
#[derive(Debug)]
pub(crate) struct Copies<'a> {
    coder: RangeDecoder<'a>,
    list: List,
    left: u64,
    /// Bytes of content and of literals that are still to come.
    content: u64,
    literals: u64,
    /// Bytes of the past.
    past: u64,
}

impl<'a> Copies<'a> {
    /// The copies of a block of `len` bytes with `literals` literals, of which earlier blocks of the stream had `before`; and the code of its literals.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if a length passes the payload.
    pub(crate) fn read(
        payload: &'a [u8],
        len: u64,
        literals: u64,
        before: u64,
    ) -> Result<(Self, &'a [u8])> {
        let mut rest = payload;
        let mut number = || {
            let number = varint::read(|| {
                let (&first, later) = rest.split_first().ok_or_else(wrong)?;
                rest = later;
                Ok::<_, Error>(first)
            })?;
            number.ok_or_else(wrong)
        };
        let (left, code_len) = (number()?, number()?);
        let code_len = usize::try_from(code_len).map_err(|_| wrong())?;
        let (code, rest) = rest.split_at_checked(code_len).ok_or_else(wrong)?;
        let (coder, list) = (RangeDecoder::new(code), List::new());
        let past = before.min(MAX_REACH);
        Ok((Self { coder, list, left, content: len, literals, past }, rest))
    }

    /// The next copy, which lies within content, literals and past; `None` after the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it does not, or if the literals are not what the copies leave of the content.
    pub(crate) fn next(&mut self) -> Result<Option<Copy>> {
        let Some(left) = self.left.checked_sub(1) else {
            return if self.content == self.literals { Ok(None) } else { Err(wrong()) };
        };
        let copy = self.list.code(&mut self.coder, Copy { literals: 0, len: 1, distance: 0 });
        self.left = left;
        self.literals = self.literals.checked_sub(copy.literals).ok_or_else(wrong)?;
        let taken = copy.literals.checked_add(copy.len).ok_or_else(wrong)?;
        self.content = self.content.checked_sub(taken).ok_or_else(wrong)?;
        self.past += copy.literals;
        if !(1..=self.past).contains(&copy.distance) {
            return Err(wrong());
        }
        self.past += copy.len;
        Ok(Some(copy))
    }
}

fn wrong() -> Error {
    Error::new(ErrorKind::Corrupt, "the copies of a block do not fit together")
}

/// Content of `len` bytes from literals and copies. `older` gives the literals of earlier blocks: of the byte that stands `back`
/// bytes before the block's first, and what follows it up to the end of some block.
pub(crate) fn assemble<'a>(
    mut copies: Copies<'_>,
    len: usize,
    literals: &[u8],
    older: impl Fn(usize) -> Result<&'a [u8]>,
) -> Result<Vec<u8>> {
    let mut content = Vec::with_capacity(len);
    let mut rest = literals;
    while let Some(copy) = copies.next()? {
        let (now, later) = rest.split_at(copy.literals as usize);
        content.extend_from_slice(now);
        rest = later;
        let (mut left, distance) = (copy.len as usize, copy.distance as usize);
        while left > 0 && distance > content.len() {
            let bytes = older(distance - content.len())?;
            let step = left.min(bytes.len());
            content.extend_from_slice(&bytes[..step]);
            left -= step;
        }
        // What is copied may reach into itself: then it is a period, of which each step has twice as much.
        let start = content.len().saturating_sub(distance);
        while left > 0 {
            let step = left.min(content.len() - start);
            content.extend_from_within(start..start + step);
            left -= step;
        }
    }
    content.extend_from_slice(rest);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::random::SplitMix64;

    fn copy(literals: u64, len: u64, distance: u64) -> Copy {
        Copy { literals, len, distance }
    }

    /// The copies of a payload, as a block of any length has them.
    fn read(payload: &[u8], len: u64, literals: u64, before: u64) -> Result<Vec<Copy>> {
        let (mut copies, _) = Copies::read(payload, len, literals, before)?;
        let mut all = Vec::new();
        while let Some(copy) = copies.next()? {
            all.push(copy);
        }
        Ok(all)
    }

    #[test]
    fn numbers_of_any_size_come_back() {
        let sizes = (0..62).flat_map(|bits| [1u64 << bits, (1 << bits) - 1, (1 << bits) + 12345]);
        let numbers: Vec<u64> = sizes.collect();
        let (mut model, mut coder) = (Numbers::new(), RangeEncoder::new());
        numbers.iter().for_each(|&number| assert_eq!(model.code(&mut coder, number), number));
        let code = coder.finish();
        let (mut model, mut coder) = (Numbers::new(), RangeDecoder::new(&code));
        let decoded: Vec<u64> = numbers.iter().map(|_| model.code(&mut coder, 0)).collect();
        assert_eq!(decoded, numbers);
    }

    #[test]
    fn lists_come_back_and_copies_of_one_sort_cost_little() {
        let mut random = SplitMix64::new(1);
        let mut copies: Vec<Copy> = (0..300)
            .map(|_| {
                let mut number = || random.next_u64() >> (50 + random.next_u64() % 14);
                copy(number(), 1 + number(), 1 + number() % 1000)
            })
            .collect();
        // So many that probabilities are as far from even as they get.
        copies.extend([copy(3, 9, 1000); 5000]);
        let literals = copies.iter().map(|copy| copy.literals).sum::<u64>() + 7;
        let len = literals + copies.iter().map(|copy| copy.len).sum::<u64>();
        let payload = write(&copies);
        assert_eq!(read(&payload, len, literals, 1000).unwrap(), copies);
        assert!(payload.len() < 300 * 9 + 500, "{}", payload.len());
        for (len, literals) in [(len + 1, literals), (len, literals - 1), (len - 10, literals - 10)]
        {
            let error = read(&payload, len, literals, 1000).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn a_distance_ends_where_the_past_does() {
        let list = |distance| write(&[copy(5, 20, distance)]);
        let farthest = |before: u64| {
            let fits = |&distance: &u64| read(&list(distance), 25, 5, before).is_ok();
            (MAX_REACH - 3..MAX_REACH + 9).chain(0..20).filter(fits).max()
        };
        assert_eq!(farthest(0), Some(5));
        assert_eq!(farthest(3), Some(8));
        assert_eq!(farthest(MAX_REACH - 1), Some(MAX_REACH + 4));
        assert_eq!(farthest(MAX_REACH), Some(MAX_REACH + 5));
        assert_eq!(farthest(u64::MAX), Some(MAX_REACH + 5));
    }

    #[test]
    fn older_literals_are_asked_for_by_how_far_back_they_are() {
        let past: Vec<u8> = (0..100).collect();
        // Two bytes at a time, as if blocks were that short.
        let older = |back: usize| {
            assert!((1..=100).contains(&back));
            let at = 100 - back;
            Ok(&past[at..(at / 2 * 2 + 2).min(100)])
        };
        let payload = write(&[copy(2, 10, 12), copy(0, 30, 5), copy(1, 9, 143)]);
        let (copies, rest) = Copies::read(&payload, 54, 5, 100).unwrap();
        assert_eq!(rest, b"");
        let content = assemble(copies, 54, b"abcde", older).unwrap();
        let period = [95, 96, 97, 98, 99].repeat(6);
        let first = [&b"ab"[..], &past[90..], &period, b"c", &past[..9], b"de"].concat();
        assert_eq!(content, first);
    }

    #[test]
    fn an_error_of_what_is_older_is_handed_on() {
        let payload = write(&[copy(0, 30, 50)]);
        let (copies, _) = Copies::read(&payload, 30, 0, 100).unwrap();
        let gone = |_: usize| Err(Error::new(ErrorKind::MemoryLimit, "gone"));
        assert_eq!(assemble(copies, 30, b"", gone).unwrap_err().kind(), ErrorKind::MemoryLimit);
    }

    #[test]
    fn any_bytes_are_a_list_that_ends() {
        let mut random = SplitMix64::new(2);
        for len in 0..60 {
            let list: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
            for count in [0, 1, 5, 1 << 40] {
                let mut payload = Vec::new();
                varint::write(&mut payload, count);
                varint::write(&mut payload, list.len() as u64);
                payload.extend(&list);
                if let Ok(copies) = read(&payload, 1 << 28, 1 << 27, 1 << 30) {
                    assert_eq!(copies.len() as u64, count);
                }
            }
        }
    }
}
