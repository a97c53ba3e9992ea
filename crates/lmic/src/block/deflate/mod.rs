//! Deflate streams undone: a block that holds some (PNG, PDF, zip, gzip) is coded as their content, and as what makes the same streams
//! of it again, the *recipe*. docs/format/deflate.md specifies both.
//!
//! What a model cannot predict in a stream is what an encoder of zlib's kind would have done otherwise. `matcher` does what that would
//! do, `stream` walks along both and codes the difference. `find`, for an encoder only, looks for streams.

mod bits;
mod checksums;
mod find;
mod inflate;
mod matcher;
mod pixels;
mod prefix;
mod stream;

pub(crate) use find::undo;

use self::bits::BitWriter;
use self::checksums::{adler32, crc32};
use self::matcher::{Settings, Strategy};
use self::pixels::Rows;
use self::stream::{Told, tree};
use super::copies::{Numbers, adaptive};
use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::predict::cm::counter::Adaptive;
use crate::predict::samples::SampleFormat;
use crate::progress::Progress;

/// Bytes of memory that redoing takes beside the parts, which hold `content` bytes, and what is made of them, of `len` bytes.
pub(super) fn memory(content: u64, len: u64) -> u64 {
    // The filtered rows of an image; the block, and a stream before it is put into chunks.
    stream::MEMORY + content + 3 * len
}

/// A stream with what stands before and around it has at least so many bytes, as what is made ready for each takes time.
const LEAST: usize = 32; // frozen

/// A block undone.
#[derive(Debug, Clone)]
pub(crate) struct Undone {
    pub(crate) recipe: Vec<u8>,
    /// What stands around the streams, with the content of those that hold no image.
    pub(crate) bytes: Vec<u8>,
    /// Images without filters.
    pub(crate) images: Vec<(SampleFormat, Vec<u8>)>,
}

impl Undone {
    /// Bytes of all parts.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.images.iter().map(|(_, pixels)| pixels.len()).sum::<usize>()
    }
}

/// A stream, and what stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Bytes since the stream before.
    before: usize,
    content: Content,
    settings: Settings,
    around: Around,
}

/// Where a stream's content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// So many of the bytes that come next.
    Bytes(usize),
    /// The next image, whose filters are among the bytes.
    Image(Rows),
}

/// What follows a stream, and is known when its content is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Around {
    Nothing,
    /// Adler-32 of the content, as zlib has it.
    Adler,
    /// CRC-32 and length of the content, as gzip has them.
    Crc,
    /// Stream and Adler-32 stand in chunks of PNG, which have these lengths (of the first, without the zlib header, which stands
    /// before) but for the last.
    Chunks(Vec<usize>),
}

/// Adaptive bits of a recipe.
#[derive(Debug, Clone)]
struct Models {
    /// Whether there is one stream more.
    more: Adaptive,
    before: Numbers,
    images: Adaptive,
    lens: Numbers,
    rows: [Numbers; 3],
    levels: [Adaptive; 16],
    strategies: [Adaptive; 4],
    memories: [Adaptive; 16],
    windows: [Adaptive; 16],
    tokens: [Adaptive; 16],
    around: [Adaptive; 4],
    /// Whether a chunk is the last, and whether it is as long as the one before.
    ends: Adaptive,
    same: Adaptive,
    chunks: Numbers,
    streams: stream::Models,
}

impl Models {
    fn new() -> Self {
        const FRESH: Adaptive = Adaptive::new(32768, 0); // frozen
        Self {
            more: FRESH,
            before: Numbers::new(),
            images: FRESH,
            lens: Numbers::new(),
            rows: [Numbers::new(), Numbers::new(), Numbers::new()],
            levels: [FRESH; 16],
            strategies: [FRESH; 4],
            memories: [FRESH; 16],
            windows: [FRESH; 16],
            tokens: [FRESH; 16],
            around: [FRESH; 4],
            ends: FRESH,
            same: FRESH,
            chunks: Numbers::new(),
            streams: stream::Models::new(),
        }
    }

    /// Codes what is said of a stream in front of it, but for the chunks around it; `None` if it is nothing that is known.
    fn piece<C: Coder>(&mut self, coder: &mut C, told: Option<&Piece>) -> Option<Piece> {
        let number = |model: &mut Numbers, coder: &mut C, told: usize| {
            usize::try_from(model.code(coder, told as u64)).ok()
        };
        let before = number(&mut self.before, coder, told.map_or(0, |piece| piece.before))?;
        let (len, rows) = match told.map(|piece| piece.content) {
            Some(Content::Bytes(len)) => (len, None),
            Some(Content::Image(rows)) => (0, Some(rows)),
            None => (0, None),
        };
        let content = match adaptive(coder, &mut self.images, rows.is_some()) {
            false => Content::Bytes(number(&mut self.lens, coder, len)?),
            true => {
                let told = rows.map_or([0; 3], |rows| [rows.row, rows.step, rows.height]);
                let [a, b, c] = &mut self.rows;
                let row = number(a, coder, told[0])?;
                let (step, height) = (number(b, coder, told[1])?, number(c, coder, told[2])?);
                (row > 0 && step > 0).then_some(Content::Image(Rows { row, step, height }))?
            }
        };
        let told_settings = told.map(|piece| piece.settings);
        let mut setting = |models: &mut [Adaptive], of: fn(Settings) -> u8, least: u8, most: u8| {
            let value = told_settings.map_or(0, of);
            let bits = models.len().ilog2();
            let value = tree(coder, models, bits, value.into()) as u8;
            (least..=most).contains(&value).then_some(value)
        };
        let level = setting(&mut self.levels, |settings| settings.level, 1, 9)?;
        let strategy = setting(&mut self.strategies, |settings| settings.strategy as u8, 0, 3)?;
        let memory = setting(&mut self.memories, |settings| settings.memory, 1, 9)?;
        let window = setting(&mut self.windows, |settings| settings.window, 8, 15)?;
        let tokens = setting(&mut self.tokens, |settings| settings.tokens, 1, 9)?;
        let strategy = Strategy::LIST[usize::from(strategy)];
        let around = match told.map(|piece| &piece.around) {
            None | Some(Around::Nothing) => 0,
            Some(Around::Adler) => 1,
            Some(Around::Crc) => 2,
            Some(Around::Chunks(_)) => 3,
        };
        let around = match tree(coder, &mut self.around, 2, around) {
            0 => Around::Nothing,
            1 => Around::Adler,
            2 => Around::Crc,
            _ => Around::Chunks(Vec::new()),
        };
        let settings = Settings { level, strategy, memory, window, tokens };
        Some(Piece { before, content, settings, around })
    }

    /// Codes the length of the next chunk, of which there are `left` bytes; `None` if it is the last.
    fn chunk<C: Coder>(&mut self, coder: &mut C, before: u64, told: Option<usize>) -> Option<u64> {
        if adaptive(coder, &mut self.ends, told.is_none()) {
            return None;
        }
        let told = told.unwrap_or(0) as u64;
        if adaptive(coder, &mut self.same, told == before) {
            return Some(before);
        }
        Some(self.chunks.code(coder, told))
    }
}

/// Writes a recipe.
#[derive(Debug)]
struct Writer {
    models: Models,
    coder: RangeEncoder,
}

impl Writer {
    fn new() -> Self {
        Self { models: Models::new(), coder: RangeEncoder::new() }
    }

    /// Adds a stream, unless that takes more than so many bits. Returns the stream that comes of it.
    fn add(&mut self, piece: &Piece, content: &[u8], told: Told<'_>, most: u64) -> Option<Vec<u8>> {
        let (mut models, mut coder) = (self.models.clone(), self.coder.clone());
        adaptive(&mut coder, &mut models.more, true);
        models.piece(&mut coder, Some(piece))?;
        let mut out = BitWriter::default();
        let streams = &mut models.streams;
        stream::walk(&mut coder, streams, content, piece.settings, Some(told), &mut out, |_| true)?;
        if let Around::Chunks(lens) = &piece.around {
            let mut before = 0;
            for &len in lens {
                models.chunk(&mut coder, before, Some(len));
                before = len as u64;
            }
            models.chunk(&mut coder, before, None);
        }
        (coder.bits() <= self.coder.bits() + most).then_some(())?;
        *self = Self { models, coder };
        Some(out.into_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        adaptive(&mut self.coder, &mut self.models.more, false);
        self.coder.finish()
    }
}

/// The bytes of a block of `len` bytes, from its recipe and its parts: bytes, then images.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if they do not fit together, [`ErrorKind::Stopped`].
pub(super) fn redo(
    recipe: &[u8],
    mut bytes: &[u8],
    images: Vec<Vec<u8>>,
    len: usize,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let (mut models, mut coder) = (Models::new(), RangeDecoder::new(recipe));
    let (mut out, mut images) = (Vec::with_capacity(len), images.into_iter());
    while adaptive(&mut coder, &mut models.more, false) {
        let start = out.len();
        let added =
            add_stream(&mut models, &mut coder, &mut bytes, &mut images, &mut out, len, progress);
        progress.check()?;
        added.ok_or_else(wrong)?;
        if !(start + LEAST..=len).contains(&out.len()) {
            return Err(wrong());
        }
    }
    out.extend_from_slice(bytes);
    if out.len() == len && images.next().is_none() { Ok(out) } else { Err(wrong()) }
}

fn wrong() -> Error {
    Error::new(ErrorKind::Corrupt, "a recipe of deflate streams does not fit its parts")
}

/// Appends the next stream with what stands before it, which are at most about `most` bytes.
fn add_stream(
    models: &mut Models,
    coder: &mut RangeDecoder<'_>,
    bytes: &mut &[u8],
    images: &mut impl Iterator<Item = Vec<u8>>,
    out: &mut Vec<u8>,
    most: usize,
    progress: &Progress,
) -> Option<()> {
    let piece = models.piece(coder, None)?;
    out.extend_from_slice(take(bytes, piece.before)?);
    let filtered;
    let content = match piece.content {
        Content::Bytes(len) => take(bytes, len)?,
        Content::Image(rows) => {
            let filters = take(bytes, rows.height)?;
            let mut pixels = images.next()?;
            (rows.row.checked_mul(rows.height)? == pixels.len()).then_some(())?;
            filtered = pixels::filtered(filters, &mut pixels, rows);
            &filtered[..]
        }
    };
    let mut stream = BitWriter::default();
    let streams = &mut models.streams;
    let go_on = |len: usize| len <= most && !progress.is_stopped();
    stream::walk(coder, streams, content, piece.settings, None, &mut stream, go_on)?;
    let mut stream = stream.into_bytes();
    let adler = || adler32(content).to_be_bytes();
    match piece.around {
        Around::Nothing => out.extend(stream),
        Around::Adler => {
            out.extend(stream);
            out.extend(adler());
        }
        Around::Crc => {
            out.extend(stream);
            out.extend(crc32(0, content).to_le_bytes());
            out.extend((content.len() as u32).to_le_bytes());
        }
        Around::Chunks(_) => {
            stream.extend(adler());
            add_chunks(models, coder, &stream, out, most)?;
        }
    }
    Some(())
}

/// Appends chunks of PNG that hold `stream`, but for the header of the first.
fn add_chunks(
    models: &mut Models,
    coder: &mut RangeDecoder<'_>,
    mut stream: &[u8],
    out: &mut Vec<u8>,
    most: usize,
) -> Option<()> {
    let mut lens = Vec::new();
    let (mut before, mut left) = (0, stream.len());
    while let Some(len) = models.chunk(coder, before, None) {
        before = len;
        let len = usize::try_from(len).ok().filter(|&len| len > 0)?;
        left = left.checked_sub(len)?;
        lens.push(len);
        // What stands around a chunk takes 12 bytes.
        (out.len() + 12 * lens.len() <= most).then_some(())?;
    }
    lens.push(left);
    let header: [u8; 2] = *out.last_chunk()?;
    let mut sum = crc32(crc32(0, CHUNK), &header);
    for (i, &len) in lens.iter().enumerate() {
        if i > 0 {
            out.extend(u32::try_from(len).ok()?.to_be_bytes());
            out.extend(CHUNK);
            sum = crc32(0, CHUNK);
        }
        let data = take(&mut stream, len)?;
        out.extend_from_slice(data);
        out.extend(crc32(sum, data).to_be_bytes());
    }
    Some(())
}

/// The name of a chunk.
const CHUNK: &[u8; 4] = b"IDAT"; // frozen

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (now, later) = bytes.split_at_checked(len)?;
    *bytes = later;
    Some(now)
}

#[cfg(test)]
mod tests;
