//! Input and output in pieces, in buffers of the caller, as zstd and lzma have it: one function for both directions.

use std::ffi::{c_int, c_void};
use std::io::Write;

use lmic::{Encoder, PushDecoder, Result};

use crate::memory::{at, bytes, bytes_mut, free, into_pointer, put};
use crate::options::{lmic_options, to_decode, to_encode};
use crate::status::lmic_status::{self, LMIC_END, LMIC_OK};
use crate::status::{Handle, guard, invalid};

/// An encoder or a decoder.
pub struct lmic_stream(Handle<Coding>);

/// Bytes to be read: `data[pos]` to `data[len - 1]`. lmic_stream_run() moves `pos`.
#[repr(C)]
pub struct lmic_input {
    data: *const c_void,
    len: usize,
    pos: usize,
}

/// Room to be written: `data[pos]` to `data[len - 1]`. lmic_stream_run() moves `pos`.
#[repr(C)]
pub struct lmic_output {
    data: *mut c_void,
    len: usize,
    pos: usize,
}

/// There may be more input after this.
pub const LMIC_RUN: c_int = 0;
/// There is no more input after this. From then on, give no more.
pub const LMIC_FINISH: c_int = 1;

/// Makes an encoder, which writes one archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_encoder_new(
    options: *const lmic_options,
    stream: *mut *mut lmic_stream,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let options = unsafe {
            put(stream, std::ptr::null_mut())?;
            to_encode(options)?
        };
        let encoder = Encoder::with_options(Vec::new(), options)?;
        let state = Encoding::Open(encoder);
        let coding = Coding::Encode(Encode { state, coded: Vec::new(), used: 0 });
        // SAFETY: as above.
        unsafe { put(stream, into_pointer(lmic_stream(Handle::new(coding)))) }?;
        Ok(LMIC_OK)
    })
}

/// Makes a decoder, which reads an archive with all of its streams. It gives out no byte whose check it has not compared.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_decoder_new(
    options: *const lmic_options,
    stream: *mut *mut lmic_stream,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let options = unsafe {
            put(stream, std::ptr::null_mut())?;
            to_decode(options)?
        };
        let coding = Coding::Decode(PushDecoder::with_options(options));
        // SAFETY: as above.
        unsafe { put(stream, into_pointer(lmic_stream(Handle::new(coding)))) }?;
        Ok(LMIC_OK)
    })
}

/// Frees an encoder or decoder, at any time. What it has not written is lost; nothing waits for its threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_stream_free(stream: *mut lmic_stream) {
    // SAFETY: the caller's pointer is null, or of a stream that is not freed yet.
    guard(|| unsafe {
        free(stream);
        Ok(LMIC_OK)
    });
}

/// Takes input and writes output, as far as there is some and room for it, and moves both positions. `action` is LMIC_RUN or
/// LMIC_FINISH.
///
/// LMIC_OK: it goes on. Give more input if all was taken, and more room if the room is full; with LMIC_FINISH call again until
/// LMIC_END. LMIC_END: all was taken, all was written, and a decoder has found the archive whole. An error: the output before it
/// is good, and the stream can only be freed.
///
/// Blocks are coded on other threads. While these have room for more, a call with input does not wait for them, so output may come
/// some blocks later. A decoder that is called with LMIC_RUN and without input waits: it writes all that can be had so far. An
/// encoder has nothing to write before a block is full or the end comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_stream_run(
    stream: *mut lmic_stream,
    input: *mut lmic_input,
    output: *mut lmic_output,
    action: c_int,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let (stream, input, output) = unsafe {
            (at(stream, "the stream")?, at(input, "the input")?, at(output, "the output")?)
        };
        // SAFETY: as above.
        let (from, to) =
            unsafe { (bytes(input.data, input.len)?, bytes_mut(output.data, output.len)?) };
        let outside = || invalid("a position is behind the end of its buffer");
        let from = from.get(input.pos..).ok_or_else(outside)?;
        let to = to.get_mut(output.pos..).ok_or_else(outside)?;
        let is_last = match action {
            LMIC_RUN => false,
            LMIC_FINISH => true,
            other => return Err(invalid(format!("action {other}; LMIC_RUN or LMIC_FINISH"))),
        };
        let step = stream.0.with(|coding| coding.run(from, to, is_last))?;
        input.pos += step.taken;
        output.pos += step.written;
        Ok(if step.is_end { LMIC_END } else { LMIC_OK })
    })
}

/// What a stream does.
#[expect(clippy::large_enum_variant, reason = "there is one, on the heap")]
enum Coding {
    Encode(Encode),
    Decode(PushDecoder),
}

impl Coding {
    fn run(&mut self, input: &[u8], out: &mut [u8], is_last: bool) -> Result<Step> {
        match self {
            Self::Encode(encode) => encode.run(input, out, is_last),
            Self::Decode(decoder) => decode(decoder, input, out, is_last),
        }
    }
}

/// What one call did.
#[derive(Default)]
struct Step {
    taken: usize,
    written: usize,
    is_end: bool,
}

struct Encode {
    state: Encoding,
    /// What was coded, and how much of that was handed out.
    coded: Vec<u8>,
    used: usize,
}

#[expect(clippy::large_enum_variant, reason = "there is one, on the heap")]
enum Encoding {
    Open(Encoder<Vec<u8>>),
    Ended,
    /// Nothing sensible can follow what was written.
    Failed,
}

impl Encode {
    /// Bytes that the encoder is given at once: as soon as it has written something, that is handed out.
    const PIECE: usize = 64 << 10;

    fn run(&mut self, input: &[u8], out: &mut [u8], is_last: bool) -> Result<Step> {
        let mut step = Step::default();
        loop {
            step.written += self.hand_out(&mut out[step.written..]);
            if self.used < self.coded.len() {
                return Ok(step);
            }
            let rest = &input[step.taken..];
            if let (true, Encoding::Ended) = (rest.is_empty(), &self.state) {
                return Ok(Step { is_end: true, ..step });
            }
            if rest.is_empty() && !is_last {
                return Ok(step);
            }
            let piece = &rest[..rest.len().min(Self::PIECE)];
            self.code(piece)?;
            step.taken += piece.len();
        }
    }

    fn hand_out(&mut self, out: &mut [u8]) -> usize {
        let left = &self.coded[self.used..];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.used += len;
        len
    }

    /// Codes more input, or without any ends the archive.
    fn code(&mut self, piece: &[u8]) -> Result<()> {
        let mut encoder = match std::mem::replace(&mut self.state, Encoding::Failed) {
            Encoding::Open(encoder) => encoder,
            Encoding::Ended => return Err(invalid("input behind the end of the archive")),
            Encoding::Failed => return Err(invalid("the encoder has failed before")),
        };
        self.used = 0;
        if piece.is_empty() {
            self.coded = encoder.finish()?;
            self.state = Encoding::Ended;
        } else {
            encoder.write_all(piece)?;
            self.coded = std::mem::take(encoder.get_mut());
            self.state = Encoding::Open(encoder);
        }
        Ok(())
    }
}

fn decode(decoder: &mut PushDecoder, input: &[u8], out: &mut [u8], is_last: bool) -> Result<Step> {
    let mut step = Step::default();
    loop {
        let rest = &input[step.taken..];
        if decoder.is_at_end() {
            if rest.is_empty() {
                return Ok(Step { is_end: is_last, ..step });
            }
            decoder.next_stream();
        }
        if is_last && rest.is_empty() {
            decoder.finish();
        }
        let before = (step.taken, step.written);
        match decoder.decode(rest, &mut out[step.written..]) {
            Ok((taken, written)) => {
                step.taken += taken;
                step.written += written;
            }
            // What was done before is the caller's; the decoder gives the error again.
            Err(_) if before != (0, 0) => return Ok(step),
            Err(error) => return Err(error),
        }
        let is_idle = before == (step.taken, step.written);
        // Called again without input it would wait for blocks, while others might be started.
        let is_taken = !is_last && !input.is_empty() && step.taken == input.len();
        if is_idle && !decoder.is_at_end() || is_taken {
            return Ok(step);
        }
    }
}
