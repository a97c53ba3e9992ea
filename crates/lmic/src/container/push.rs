//! The decoder for input that comes in pieces, where the caller cannot be asked for more in the middle of a call: for C, for
//! Python, for servers. It gathers each part of a stream (a header, a payload, a trailer) until it is whole, and has
//! [`Decoder`] read it then. So it takes no byte beyond the end of its stream.

use std::io::{self, Read};

use super::decoder::{Decoder, Event};
use super::options::DecodeOptions;
use crate::error::Result;
use crate::progress::Progress;

/// Decompresses a stream that is given to it in pieces of any length, to buffers of any length.
///
/// It holds the coded bytes of at most one block beside those that are being decoded, which count against the memory limit.
/// (And the index at the end of a stream: some 10 bytes for each block.)
///
/// ```
/// let archive = lmic::compress(b"to be or not to be", 1)?;
/// let mut decoder = lmic::PushDecoder::default();
/// let (mut content, mut buffer) = (Vec::new(), [0; 4]);
/// for piece in archive.chunks(5) {
///     let mut input = piece;
///     loop {
///         let (taken, written) = decoder.decode(input, &mut buffer)?;
///         input = &input[taken..];
///         content.extend_from_slice(&buffer[..written]);
///         if (taken, written) == (0, 0) {
///             break; // it has room for more input
///         }
///     }
/// }
/// assert!(decoder.is_at_end());
/// assert_eq!(content, b"to be or not to be");
/// # Ok::<(), lmic::Error>(())
/// ```
#[derive(Debug)]
pub struct PushDecoder {
    decoder: Decoder<Pieces>,
    /// Whether no more input comes.
    finished: bool,
}

/// What was taken of the part that comes next, and is not read yet. The decoder reads only whole parts, so its own buffer
/// never holds any of the next.
#[derive(Debug, Default)]
struct Pieces {
    bytes: Vec<u8>,
    used: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = (&self.bytes[self.used..]).read(buf)?;
        self.used += len;
        if self.used == self.bytes.len() {
            *self = Self::default(); // a payload's memory is given back
        }
        Ok(len)
    }
}

impl Default for PushDecoder {
    fn default() -> Self {
        Self::with_options(DecodeOptions::default())
    }
}

impl PushDecoder {
    /// A decoder with `options`.
    pub fn with_options(options: DecodeOptions) -> Self {
        Self { decoder: Decoder::with_options(Pieces::default(), options), finished: false }
    }

    /// Takes bytes of `input`, and writes content to `out`; returns the number of both.
    ///
    /// It takes no more than it has room for, and nothing behind the stream. So give what it left again, together with what
    /// comes next. If neither is more than 0, it wants more input, or has reached the end.
    ///
    /// Blocks are decoded on other threads. While these have room for more blocks, a call with input does not wait for what
    /// they do. A call without input does: it writes all that can be had of what was taken.
    ///
    /// # Errors
    /// As [`decompress_with`](crate::decompress_with), after the content before the damage was written. Each later call
    /// gives the error again.
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize)> {
        self.decoder.check_failure()?;
        let (mut taken, mut written) = (0, 0);
        loop {
            written += self.decoder.hand_out(&mut out[written..]);
            if !self.decoder.is_used_up() {
                break;
            }
            let is_full = written > 0 && written == out.len();
            if !is_full {
                taken += self.take(&input[taken..]);
            }
            let wants_more =
                !self.decoder.reading_done && !input.is_empty() && taken == input.len();
            let goes_on = match self.decoder.events.front() {
                Some(Event::Block { .. }) => {
                    !is_full && (!wants_more || self.decoder.pool.is_ready())
                }
                Some(Event::EndOfStream(..)) => true,
                // What was written before an error is the caller's; the next call fails.
                Some(Event::Failure(_)) => written == 0,
                None => false,
            };
            if !goes_on {
                break;
            }
            match self.decoder.next_event() {
                Ok(block) => self.decoder.set_current(block.unwrap_or_default()),
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok((taken, written))
    }

    /// Bytes of content decoded so far, for progress bars; and how to stop a call from another thread.
    pub fn progress(&self) -> Progress {
        self.decoder.progress()
    }

    /// Whether the stream has ended, all of its content was written, and its checks held.
    pub fn is_at_end(&self) -> bool {
        let decoder = &self.decoder;
        decoder.reading_done
            && decoder.events.is_empty()
            && decoder.is_used_up()
            && decoder.check_failure().is_ok()
    }

    /// Says that no more input comes: if the stream is not whole, [`PushDecoder::decode`] fails after what there is of it.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// At the end of a stream, goes on with another one that follows it: archives may be concatenated. Zeros before it are
    /// taken and mean nothing.
    ///
    /// # Panics
    /// If the decoder is not at the end of a stream.
    pub fn next_stream(&mut self) {
        assert!(self.is_at_end(), "a stream is followed only at its end");
        self.decoder.reading_done = false;
    }

    /// Takes of `input` what blocks have room for; returns the number of bytes.
    fn take(&mut self, input: &[u8]) -> usize {
        let mut left = input;
        while !self.decoder.reading_done {
            let is_whole = match &self.decoder.waiting {
                Some(waiting) => {
                    let len = waiting.block.rest_len() as usize;
                    self.gather_payload(&mut left, len)
                }
                None => self.gather_part(&mut left),
            };
            if !is_whole && !self.finished {
                break;
            }
            if self.decoder.waiting.is_none() {
                self.decoder.read_part();
                if let Some(Event::EndOfStream(..)) = self.decoder.events.back() {
                    self.decoder.reading_done = true;
                }
                continue;
            }
            let beside = self.gathered().len() as u64;
            if !self.decoder.has_room(beside) {
                break;
            }
            self.decoder.start_waiting();
        }
        input.len() - left.len()
    }

    /// What was taken of the next part.
    fn gathered(&mut self) -> &mut Vec<u8> {
        &mut self.decoder.reader.input().get_mut().bytes
    }

    /// Takes what is missing of a payload of `len` bytes; returns whether it is whole.
    fn gather_payload(&mut self, left: &mut &[u8], len: usize) -> bool {
        let gathered = self.gathered();
        let (now, later) = left.split_at(left.len().min(len - gathered.len()));
        gathered.extend(now);
        *left = later;
        gathered.len() == len
    }

    /// Takes what is missing of a header or trailer, byte by byte, as only its end says how long it is; returns whether it is
    /// whole.
    fn gather_part(&mut self, left: &mut &[u8]) -> bool {
        if self.gathered().is_empty() {
            let zeros = left.iter().take_while(|&&byte| byte == 0).count();
            *left = &left[self.decoder.reader.pass_zeros(zeros)..];
        }
        let mut gathered = std::mem::take(self.gathered());
        let is_whole = loop {
            if self.decoder.reader.is_whole(&gathered) {
                break true;
            }
            let Some((&byte, later)) = left.split_first() else { break false };
            gathered.push(byte);
            *left = later;
        };
        *self.gathered() = gathered;
        is_whole
    }
}
