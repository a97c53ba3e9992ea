//! For an encoder: finds deflate streams in the bytes of a block, and undoes those that come back bit by bit.
//!
//! They are looked for where zlib, gzip, zip or PNG have them. What looks like such a place and is none costs a microsecond.

use super::bits::BitReader;
use super::checksums::{adler32, crc32};
use super::inflate::{self, Block, Token};
use super::matcher::{Matcher, Settings, Strategy};
use super::pixels::{self, Rows};
use super::stream::Told;
use super::{Around, CHUNK, Content, Piece, Undone, Writer, redo};
use crate::predict::samples::{Class, Number, SampleFormat};
use crate::progress::Progress;

/// Shorter streams are left alone.
const LEAST_STREAM: usize = 64; // tunable

/// A stream that breaks off, or goes on behind the block, is undone up to there if so much is known of it.
const LEAST_CUT: usize = 16 << 10; // tunable

/// Tokens by which settings are found.
const SAMPLE: usize = 6000; // tunable

/// Longer contents have at most so many bytes for each byte of their streams: a model takes time for each of them. Of images it is so
/// many for each level, as most pixels of a drawing are soon coded, and what their model saves is worth more.
const FREE_CONTENT: usize = 256 << 10; // tunable
const MOST_RATIO: usize = 24; // tunable
const FREE_IMAGE: usize = 1100 << 10; // tunable
const IMAGE_RATIO: usize = 16; // tunable

/// Bytes of content beyond these ratios that all streams of a block may have together: many small ones are a bomb, too.
const FREE_IN_ALL: usize = 8 << 20; // tunable

/// A stream that has had so much content is left at once where the ratio is too high.
const LOOKED_AT: usize = 4 << 20; // tunable

/// Bytes that are read in vain for each byte of a block, and beside that, before no more streams are looked for.
const VAIN: usize = 8; // tunable
const FREE_VAIN: usize = 64 << 20; // tunable

/// The recipe takes at most this part of a stream.
const WORTH_IT: u64 = 4; // tunable

/// Shorter images are bytes among others: a model of images has to learn them anew.
const LEAST_IMAGE: usize = 32 << 10; // tunable

/// Undoes the streams in `data` whose content, with all else, takes at most `most` bytes, for coding at `level`; `None` if there are
/// none.
pub(crate) fn undo(data: &[u8], most: usize, level: u8, progress: &Progress) -> Option<Undone> {
    let mut finder = Finder {
        data,
        free: FREE_IN_ALL,
        of_image: Most { free: FREE_IMAGE, ratio: IMAGE_RATIO * usize::from(level) },
        room: most.checked_sub(data.len())?,
        writer: Writer::new(),
        undone: Undone { recipe: Vec::new(), bytes: Vec::new(), images: Vec::new() },
        done: 0,
        last: None,
        patience: FREE_VAIN + VAIN * data.len(),
    };
    let mut at = 0;
    while at + LEAST_STREAM < data.len() && finder.patience > 0 && !progress.is_stopped() {
        at = finder.look(at).unwrap_or(at + 1);
    }
    if finder.done == 0 {
        return None;
    }
    finder.undone.bytes.extend_from_slice(&data[finder.done..]);
    let undone = Undone { recipe: finder.writer.finish(), ..finder.undone };
    let images = undone.images.iter().map(|(_, pixels)| pixels.clone()).collect();
    let again = redo(&undone.recipe, &undone.bytes, images, data.len(), progress).ok()?;
    (again == data).then_some(undone)
}

/// Content has at most so many bytes, or so many for each byte of its stream.
#[derive(Debug, Clone, Copy)]
struct Most {
    free: usize,
    ratio: usize,
}

impl Most {
    const OF_BYTES: Self = Self { free: FREE_CONTENT, ratio: MOST_RATIO }; // tunable
}

struct Finder<'a> {
    data: &'a [u8],
    /// Bytes beyond the ratios that are left.
    free: usize,
    /// What an image may have.
    of_image: Most,
    /// Bytes that parts may have beyond those of the data.
    room: usize,
    writer: Writer,
    undone: Undone,
    /// Where the last stream, with what is around it, ended.
    done: usize,
    /// The settings of the last stream.
    last: Option<Settings>,
    /// Bytes that may still be read in vain.
    patience: usize,
}

/// A stream as it was found.
struct Found {
    content: Vec<u8>,
    /// Its blocks.
    blocks: usize,
    /// Bytes that they take.
    len: usize,
    /// Whether the last block is among them.
    is_whole: bool,
    /// Tokens of the first blocks.
    sample: Vec<Token>,
    /// Tokens of the longest block.
    longest: usize,
}

impl Finder<'_> {
    /// Undoes what begins at `at`, and returns where it ends.
    fn look(&mut self, at: usize) -> Option<usize> {
        let data = &self.data[at..];
        match data {
            [0x1f, 0x8b, 8, ..] => self.plain(at + gzip_header(data)?, None),
            [b'P', b'K', 3, 4, _, _, _, _, 8, 0, ..] => {
                let number = |at: usize| {
                    Some(usize::from(*data.get(at)?) + 256 * usize::from(*data.get(at + 1)?))
                };
                self.plain(at + 30 + number(26)? + number(28)?, None)
            }
            [0x89, b'P', b'N', b'G', 13, 10, 26, 10, ..] => self.png(at),
            &[a, b, ..] => self.plain(at + 2, Some(zlib_window([a, b])?)),
            _ => None,
        }
    }

    /// Reads the stream at the start of `data`.
    fn read(&mut self, data: &[u8], most: Most) -> Option<Found> {
        let most = Most { free: most.free.min(self.free), ..most };
        let (found, len) = read(data, self.room, most);
        match &found {
            Some(found) => self.free -= len.saturating_sub(most.ratio * found.len).min(self.free),
            None => self.patience = self.patience.saturating_sub(len),
        }
        found
    }

    /// Undoes a stream that stands in one piece.
    fn plain(&mut self, start: usize, window: Option<u8>) -> Option<usize> {
        let found = self.read(self.data.get(start..)?, Most::OF_BYTES)?;
        let end = start + found.len;
        let behind = |len: usize| self.data.get(end..end + len).filter(|_| found.is_whole);
        let sums =
            [crc32(0, &found.content).to_le_bytes(), (found.content.len() as u32).to_le_bytes()];
        let (around, around_len) = if behind(4) == Some(&adler32(&found.content).to_be_bytes()) {
            (Around::Adler, 4)
        } else if behind(8) == Some(&sums.concat()) {
            (Around::Crc, 8)
        } else {
            (Around::Nothing, 0)
        };
        let stream = &self.data[start..end];
        self.add(start, stream, found, window, around, None)?;
        self.done = end + around_len;
        Some(self.done)
    }

    /// Undoes the stream of an image that stands in chunks.
    fn png(&mut self, at: usize) -> Option<usize> {
        let mut at = at + 8;
        let (mut rows, mut start) = (None, None);
        let (mut joined, mut lens) = (Vec::new(), Vec::new());
        loop {
            let number = |at: usize| {
                Some(u32::from_be_bytes(self.data.get(at..at + 4)?.try_into().ok()?) as usize)
            };
            let len = number(at)?;
            let end = (at + 8).checked_add(len)?;
            let chunk = self.data.get(at + 4..end)?;
            let (name, data) = chunk.split_at(4);
            if name != CHUNK && start.is_some() {
                break;
            }
            match name {
                b"IHDR" => rows = rows_of(data),
                name if name == CHUNK => {
                    (number(end)? == crc32(0, chunk) as usize).then_some(())?;
                    start.get_or_insert(at + 10);
                    joined.extend_from_slice(data);
                    lens.push(len);
                }
                _ => {}
            }
            at = end + 4;
        }
        let (header, stream) = joined.split_first_chunk::<2>()?;
        lens[0] = lens[0].checked_sub(2)?;
        let most = if rows.is_some() { self.of_image } else { Most::OF_BYTES };
        let (window, found) = (zlib_window(*header)?, self.read(stream, most)?);
        let is_whole =
            found.is_whole && stream[found.len..] == adler32(&found.content).to_be_bytes();
        (is_whole && lens.iter().all(|&len| len > 0)).then_some(())?;
        lens.pop();
        let stream = &stream[..found.len];
        self.add(start?, stream, found, Some(window), Around::Chunks(lens), rows)?;
        self.done = at;
        Some(at)
    }

    /// Adds a stream that begins at `start`.
    fn add(
        &mut self,
        start: usize,
        stream: &[u8],
        found: Found,
        window: Option<u8>,
        around: Around,
        rows: Option<(Rows, SampleFormat)>,
    ) -> Option<()> {
        let settings = settings(&found, window.unwrap_or(15), self.last);
        let content = found.content;
        let pixels = rows
            .filter(|_| content.len() >= LEAST_IMAGE)
            .and_then(|(rows, format)| Some((rows, format, pixels::unfiltered(&content, rows)?)));
        let form = match &pixels {
            Some((rows, ..)) => Content::Image(*rows),
            None => Content::Bytes(content.len()),
        };
        let piece = Piece { before: start - self.done, content: form, settings, around };
        let told = Told { bits: BitReader::new(stream), blocks: found.blocks };
        let most = 8 * stream.len() as u64 / WORTH_IT;
        let Some(again) = self.writer.add(&piece, &content, told, most) else {
            self.patience = self.patience.saturating_sub(64 * content.len());
            return None;
        };
        debug_assert_eq!(again, stream);
        self.last = Some(settings);
        self.room -= content.len();
        self.undone.bytes.extend_from_slice(&self.data[self.done..start]);
        match pixels {
            Some((_, format, (filters, pixels))) => {
                self.undone.bytes.extend(filters);
                self.undone.images.push((format, pixels));
            }
            None => self.undone.bytes.extend(content),
        }
        Some(())
    }
}

/// The length of a gzip header; `None` if it is none.
fn gzip_header(data: &[u8]) -> Option<usize> {
    let flags = *data.get(3)?;
    let mut at = 10;
    if flags & 4 > 0 {
        at += 2 + usize::from(*data.get(at)?) + 256 * usize::from(*data.get(at + 1)?);
    }
    for flag in [8, 16] {
        if flags & flag > 0 {
            at += 1 + data.get(at..)?.iter().position(|&byte| byte == 0)?;
        }
    }
    (flags < 32).then_some(at + if flags & 2 > 0 { 2 } else { 0 })
}

/// The window of a zlib stream with this header; `None` if it is none.
fn zlib_window([method, flags]: [u8; 2]) -> Option<u8> {
    let window = 8 + (method >> 4);
    let is_header = method & 15 == 8
        && window <= 15
        && flags & 32 == 0
        && (256 * u16::from(method) + u16::from(flags)).is_multiple_of(31);
    is_header.then_some(window)
}

/// The rows of an image that has a model, by the chunk that describes it, and what they are without filters.
fn rows_of(header: &[u8]) -> Option<(Rows, SampleFormat)> {
    let number =
        |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?) as usize);
    let (width, height) = (number(0)?, number(4)?);
    let &[bits, colour, 0, 0, 0] = header.get(8..13)? else { return None };
    let samples = match colour {
        0 | 3 => 1,
        2 => 3,
        6 if bits == 8 => 4,
        _ => return None,
    };
    let row = width.checked_mul(samples * usize::from(bits))?.div_ceil(8);
    let number = Number { width: 2, class: Class::Unsigned, big_endian: true };
    let format = match (colour, bits) {
        (0, 8) => SampleFormat::Gray { row: row as u32 },
        (2, 8) => SampleFormat::Rgb { row: row as u32 },
        (0 | 2, 16) => {
            SampleFormat::Deep { row: row as u32 / 2, step: samples as u8, number, shift: 0 }
        }
        _ => SampleFormat::Colours { row: row as u32, bits: bits * samples as u8 },
    };
    format.validate().ok().filter(|()| row <= 1 << 24)?;
    Some((Rows { row, step: (samples * usize::from(bits)).div_ceil(8), height }, format))
}

/// Reads the stream at the start of `data`, if its content has at most `room` bytes, and not more than `most`; and says how much it read in
/// any case.
fn read(data: &[u8], room: usize, most: Most) -> (Option<Found>, usize) {
    let mut bits = BitReader::new(data);
    let mut block = Block::default();
    let mut found = Found {
        content: Vec::new(),
        blocks: 0,
        len: 0,
        is_whole: false,
        sample: Vec::new(),
        longest: 0,
    };
    let mut is_sampled = true;
    while !found.is_whole {
        let before = found.content.len();
        let is_block = inflate::read(&mut bits, &mut block)
            .and_then(|()| block.write(&mut found.content, room));
        if is_block.is_none() {
            found.content.truncate(before);
            break;
        }
        // Tokens of a stored block are not known, nor is where those behind it begin.
        is_sampled &= block.stored.is_empty() && found.sample.len() < SAMPLE;
        if is_sampled {
            found.sample.extend_from_slice(&block.tokens);
        }
        found.longest = found.longest.max(block.tokens.len());
        found.blocks += 1;
        found.len = bits.bytes_read();
        found.is_whole = block.last;
        if found.content.len() > LOOKED_AT.max(most.ratio * found.len) {
            break;
        }
    }
    let least = if found.is_whole { LEAST_STREAM } else { LEAST_CUT };
    let most = most.free.max(most.ratio * found.len);
    let is_worth = found.len >= least && (found.len + 1..=most).contains(&found.content.len());
    let len = found.content.len();
    (is_worth.then_some(found), len)
}

/// The settings with which the fewest tokens of a sample are wrong.
fn settings(found: &Found, window: u8, last: Option<Settings>) -> Settings {
    let tokens = match (found.longest + 1).max(1 << 14) {
        most if most > 1 << 15 => 8,
        most => most.next_power_of_two().ilog2() as u8 - 6,
    };
    let of = |level, strategy, memory| Settings { level, strategy, memory, window, tokens };
    let last = last.map(|last| Settings { window, tokens, ..last });
    let slow = [6, 9, 5, 7, 8, 4];
    let all = [8, 9].into_iter().flat_map(|memory| {
        slow.into_iter().chain([1, 2, 3]).map(move |level| of(level, Strategy::All, memory))
    });
    let filtered = [8, 9].into_iter().flat_map(|memory| {
        slow.into_iter().map(move |level| of(level, Strategy::Filtered, memory))
    });
    let others = [of(6, Strategy::Runs, 8), of(6, Strategy::None, 8)];
    let (mut best, mut least) = (of(6, Strategy::All, 8), usize::MAX);
    for settings in last.into_iter().chain(all).chain(filtered).chain(others) {
        if let Some(wrong) = wrong(found, settings, least) {
            (best, least) = (settings, wrong);
        }
        if least == 0 {
            break;
        }
    }
    best
}

/// How many tokens of a sample are wrong, if fewer than `most`.
fn wrong(found: &Found, settings: Settings, most: usize) -> Option<usize> {
    let mut matcher = Matcher::new(&found.content, settings);
    let (mut at, mut wrong) = (0, 0);
    for token in &found.sample[..found.sample.len().min(SAMPLE)] {
        let guess = matcher.predict(at);
        let is_right = match token.distance {
            0 => guess.len == 0,
            distance => (guess.len, guess.distance) == (token.len(), distance.into()),
        };
        wrong += usize::from(!is_right);
        if wrong >= most {
            return None;
        }
        matcher.pass(at, token.len(), is_right);
        at += token.len();
    }
    (wrong < most).then_some(wrong)
}
