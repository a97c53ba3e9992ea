//! Recognises image, audio and program files by their headers, so that they get the models made for them.
//!
//! Only the head of a file is looked at, and nothing is promised: a [`Segment`] is advice how to code a part of the
//! input, and if it is wrong, the code is longer but still correct. The formats are BMP and TIFF (uncompressed),
//! PNM (binary, 1, 8 and 16 bits a sample), DICOM (8 and 16 bits), FITS, NIfTI, NumPy's arrays, WAV (linear PCM, floats) and AIFF (the same, of either byte order),
//! and programs of x86 and AArch64 as ELF, PE and Mach-O. If anything in a header is odd, the input is taken for plain bytes.

use super::kind::Content;
use crate::predict::programs::Machine;
use crate::predict::samples::{Class, Number, SampleFormat};

/// [`segments`] looks at no more bytes of the input than this.
pub const HEAD_LEN: usize = 1 << 16;

/// [`piece`] looks at as many.
pub(crate) const PIECE_HEAD: usize = 4096;

/// A segment costs what the models have learned before it, which a short one doesn't bring in: the least bytes of samples, or of
/// instructions, in a file inside of another, and of instructions in a program.
const LEAST_SAMPLES: u64 = 8 << 10; // tunable
const LEAST_PIECE: u64 = 32 << 10; // tunable
const LEAST_CODE: u64 = 8 << 10; // tunable

/// A run of bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Length in bytes, or `None` for all that is left. It may be more than the input really has.
    pub len: Option<u64>,
    /// How to model them.
    pub content: Content,
}

/// Splits an input that starts with `head` (its first [`HEAD_LEN`] bytes, or all of it) by content. The
/// last segment, and only the last, has no length; every content is valid.
pub fn segments(head: &[u8]) -> Vec<Segment> {
    let head = &head[..head.len().min(HEAD_LEN)];
    let formats = [bmp, pnm, tiff, wav, aiff, dicom, fits, nifti, npy];
    let found = match formats.iter().find_map(|format| format(head)) {
        Some(samples) => vec![samples],
        None => elf(head).or_else(|| pe(head)).or_else(|| mach_o(head)).unwrap_or_default(),
    };
    let mut segments = Vec::new();
    let mut at = 0;
    for Part { start, len, content } in found {
        if start < at || content.validate().is_err() {
            continue;
        }
        segments.push(Segment { len: Some(start - at), content: Content::Bytes });
        segments.push(Segment { len, content });
        let Some(len) = len else { return segments };
        at = start.saturating_add(len);
    }
    segments.push(Segment { len: None, content: Content::Bytes });
    segments
}

/// The segments of a file that starts with `head` and stands inside of another, if it is worth to end what stands before it.
pub(crate) fn piece(head: &[u8]) -> Option<Vec<Segment>> {
    let found = segments(head);
    let known = found.iter().filter(|segment| segment.content != Content::Bytes);
    let len = known.clone().map(|segment| segment.len).sum::<Option<u64>>()?;
    let are_samples = known.clone().any(|segment| matches!(segment.content, Content::Samples(_)));
    (len >= if are_samples { LEAST_SAMPLES } else { LEAST_PIECE }).then_some(found)
}

/// Where a part of a file is, and what it holds.
struct Part {
    start: u64,
    len: Option<u64>,
    content: Content,
}

/// Windows bitmap: rows padded to 4 bytes, bottom up or (negative height) top down.
fn bmp(head: &[u8]) -> Option<Part> {
    if !head.starts_with(b"BM") || u32_at(head, 14)? < 40 {
        return None;
    }
    let (width, height) = (u32_at(head, 18)? as i32, u32_at(head, 22)? as i32);
    let (bits, compression) = (u16_at(head, 28)?, u32_at(head, 30)?);
    if width <= 0 || height == 0 || compression != 0 {
        return None;
    }
    let row = (u64::from(width as u32) * u64::from(bits)).div_ceil(32) * 4;
    let row = u32::try_from(row).ok()?;
    let start = u64::from(u32_at(head, 10)?);
    let content = match bits {
        8 if is_gray(head.get(
            usize::try_from(u32_at(head, 14)?).ok()?.checked_add(14)?
                ..usize::try_from(start).ok()?,
        )?) =>
        {
            Content::Samples(SampleFormat::Gray { row })
        }
        24 => Content::Samples(SampleFormat::Rgb { row }),
        _ => colours(row, bits),
    };
    let len = u64::from(row) * u64::from(height.unsigned_abs());
    (start >= 54).then_some(Part { start, len: Some(len), content })
}

/// Whether a palette of four bytes a colour has shades of gray in order.
fn is_gray(palette: &[u8]) -> bool {
    palette.as_chunks().0.iter().enumerate().all(|(i, &[b, g, r, _])| {
        let shade = i as u8;
        [b, g, r] == [shade; 3] || [b, g, r] == [!shade; 3]
    })
}

/// An image whose pixels are numbers of colours. Not valid for all that a header may say.
fn colours(row: u32, bits: u16) -> Content {
    Content::Samples(SampleFormat::Colours { row, bits: u8::try_from(bits).unwrap_or(0) })
}

/// TIFF of one image that is not compressed, with strips that follow one another, and whose directory is in the head: many writers
/// put it behind the samples.
fn tiff(head: &[u8]) -> Option<Part> {
    let big_endian = match head.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let short = |at| u16_at(head, at).map(|v| if big_endian { v.swap_bytes() } else { v });
    let long = |at| u32_at(head, at).map(|v| if big_endian { v.swap_bytes() } else { v });
    let number = |size: u16, at| if size == 3 { short(at).map(u32::from) } else { long(at) };
    let directory = long(4)? as usize;
    let count = usize::from(short(directory)?);
    head.get(directory..directory + 2 + 12 * count)?;
    // All values of a tag.
    let values = |tag: u16| -> Option<Vec<u32>> {
        let entry =
            (0..count).map(|i| directory + 2 + 12 * i).find(|&at| short(at) == Some(tag))?;
        let (kind, len) = (short(entry + 2)?, long(entry + 4)? as usize);
        let size = match kind {
            3 => 2,
            4 => 4,
            _ => return None,
        };
        let inside = len.checked_mul(size)? <= 4;
        let start = if inside { entry + 8 } else { long(entry + 8)? as usize };
        head.get(start..start.checked_add(len * size)?)?;
        (0..len).map(|i| number(kind, start + i * size)).collect()
    };
    let one = |tag, usual| values(tag).and_then(|values| values.first().copied()).unwrap_or(usual);
    let (width, height, photometric) = (one(256, 0), one(257, 0), one(262, u32::MAX));
    let (bits, channels) = (one(258, 1), one(277, 1));
    let alike = values(258).is_none_or(|all| all.iter().all(|&each| each == bits));
    if one(259, 1) != 1 || one(284, 1) != 1 || one(317, 1) != 1 || one(266, 1) != 1 || !alike {
        return None;
    }
    let row = (u64::from(width) * u64::from(channels) * u64::from(bits)).div_ceil(8);
    let row = u32::try_from(row).ok()?;
    let (starts, lens) = (values(273)?, values(279)?);
    let follow = starts.iter().zip(&lens).zip(starts.iter().skip(1));
    let (start, len) = (*starts.first()?, u64::from(row) * u64::from(height));
    if starts.len() != lens.len()
        || follow.clone().any(|((&a, &len), &b)| a.checked_add(len) != Some(b))
    {
        return None;
    }
    let class = if one(339, 1) == 2 { Class::Signed } else { Class::Unsigned };
    let content = match (photometric, bits, channels) {
        (_, 1, 1) | (3, 2 | 4 | 8, 1) => colours(row, bits as u16),
        (0 | 1, 8, 1) | (2, 8, 3) => rows(row, channels, Number::unsigned(1))?,
        (2, 8, 4) => colours(row, 32),
        (0..=2, 16, 1 | 3) if one(339, 1) < 3 => {
            rows(row / 2, channels, Number { width: 2, class, big_endian })?
        }
        (0..=2, 32 | 64, _) => table(row, (bits / 8) as u8, big_endian),
        _ => return None,
    };
    (len > 0).then_some(Part { start: start.into(), len: Some(len), content })
}

/// Rows of `row` samples, of which a pixel has one or three.
fn rows(row: u32, channels: u32, number: Number) -> Option<Content> {
    Some(Content::Samples(match (number.width, channels) {
        (1, 1) => SampleFormat::Gray { row },
        (1, 3) => SampleFormat::Rgb { row },
        (2, 1 | 3) => SampleFormat::Deep { row, step: channels as u8, number, shift: 0 },
        _ => return None,
    }))
}

/// Portable bitmap (P4), graymap (P5) or pixmap (P6) with samples of one or two bytes.
fn pnm(head: &[u8]) -> Option<Part> {
    let channels = match head.get(..2)? {
        b"P4" => return pbm(head),
        b"P5" => 1,
        b"P6" => 3,
        _ => return None,
    };
    let mut at = 2;
    let [width, height, most] =
        [pnm_number(head, &mut at)?, pnm_number(head, &mut at)?, pnm_number(head, &mut at)?];
    head.get(at)?.is_ascii_whitespace().then_some(())?;
    let row = width.checked_mul(channels)?;
    let width = match most {
        255 => 1,
        256..=65535 => 2,
        _ => return None,
    };
    let content = rows(row, channels, Number::unsigned(width).big_endian())?;
    let len = u64::from(row) * u64::from(height) * u64::from(width);
    (len > 0).then_some(Part { start: at as u64 + 1, len: Some(len), content })
}

fn pbm(head: &[u8]) -> Option<Part> {
    let mut at = 2;
    let [width, height] = [pnm_number(head, &mut at)?, pnm_number(head, &mut at)?];
    head.get(at)?.is_ascii_whitespace().then_some(())?;
    let row = width.div_ceil(8);
    let len = u64::from(row) * u64::from(height);
    (len > 0).then_some(Part { start: at as u64 + 1, len: Some(len), content: colours(row, 1) })
}

/// A decimal number after white space and `#` comments.
fn pnm_number(head: &[u8], at: &mut usize) -> Option<u32> {
    let first = *at;
    loop {
        match head.get(*at)? {
            b'#' => *at += head[*at..].iter().position(|&b| b == b'\n')?,
            b if b.is_ascii_whitespace() => *at += 1,
            _ => break,
        }
    }
    let digits = head[*at..].iter().take_while(|b| b.is_ascii_digit()).count();
    let number = str::from_utf8(&head[*at..*at + digits]).ok()?.parse().ok()?;
    // A separator is needed: "P512" is not a graymap 12 wide.
    let separated = *at > first;
    *at += digits;
    separated.then_some(number)
}

/// RIFF/WAVE with linear PCM: walks the chunks up to `data`.
fn wav(head: &[u8]) -> Option<Part> {
    if !head.starts_with(b"RIFF") || head.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut at = 12usize;
    let mut content = None;
    loop {
        let (name, len) = (head.get(at..at + 4)?, u32_at(head, at + 4)?);
        at += 8;
        match name {
            b"fmt " => content = wav_format(head.get(at..)?),
            b"data" => {
                // A writer that could not seek back leaves 0 or all ones.
                let len = (len != 0 && len != u32::MAX).then_some(u64::from(len));
                return Some(Part { start: at as u64, len, content: content? });
            }
            _ => {}
        }
        at = at.checked_add(len as usize)?.checked_add(len as usize & 1)?;
    }
}

/// The content of a `fmt ` chunk: linear PCM, also as WAVE_FORMAT_EXTENSIBLE.
fn wav_format(chunk: &[u8]) -> Option<Content> {
    const PCM: u16 = 1;
    const FLOAT: u16 = 3;
    const EXTENSIBLE: u16 = 0xfffe;
    let mut format = u16_at(chunk, 0)?;
    if format == EXTENSIBLE {
        format = u16_at(chunk, 24)?; // the first two bytes of the sub-format's GUID
    }
    let (channels, frame, bits) = (u16_at(chunk, 2)?, u16_at(chunk, 12)?, u16_at(chunk, 14)?);
    // Samples of other than whole bytes fill up whole ones.
    let bits = if format == PCM { bits.checked_next_multiple_of(8)? } else { bits };
    let whole = u32::from(frame) == u32::from(channels) * u32::from(bits) / 8;
    let channels = u8::try_from(channels).ok()?;
    match (format, bits) {
        (PCM, 8) if whole => Some(Content::Samples(SampleFormat::Pcm8 { channels })),
        (PCM, 16) if whole => Some(Content::Samples(SampleFormat::Pcm16 { channels })),
        (PCM, 24 | 32) if whole => Some(wave(channels, Number::signed((bits / 8) as u8))),
        // In a file of doubles most have been made of fewer bits, but no model knows of how many.
        (FLOAT, 64) if whole => Some(table(8 * u32::from(channels), 8, false)),
        (FLOAT, 32) if whole => {
            Some(wave(channels, Number { class: Class::Float, ..Number::signed(4) }))
        }
        _ => None,
    }
}

fn wave(channels: u8, number: Number) -> Content {
    Content::Samples(SampleFormat::Wave { channels, number, shift: 0 })
}

/// AIFF and AIFF-C with linear PCM, whose fields have the most significant byte first: walks the chunks up to `SSND`.
fn aiff(head: &[u8]) -> Option<Part> {
    let compressed = match head.get(8..12)? {
        b"AIFF" => false,
        b"AIFC" => true,
        _ => return None,
    };
    let mut at = if head.starts_with(b"FORM") { 12usize } else { return None };
    let mut content = None;
    loop {
        let (name, len) = (head.get(at..at + 4)?, u32_at(head, at + 4)?.swap_bytes());
        at += 8;
        match name {
            b"COMM" => content = aiff_format(head.get(at..)?, compressed),
            b"SSND" => {
                // Offset and block size stand before the samples.
                let offset = u64::from(u32_at(head, at)?.swap_bytes());
                let len = u64::from(len).checked_sub(8 + offset)?;
                let start = at as u64 + 8 + offset;
                return Some(Part { start, len: Some(len), content: content? });
            }
            _ => {}
        }
        at = at.checked_add(len as usize)?.checked_add(len as usize & 1)?;
    }
}

/// The content of a `COMM` chunk. Samples of other than whole bytes fill up whole ones.
fn aiff_format(chunk: &[u8], compressed: bool) -> Option<Content> {
    let channels = u8::try_from(u16_at(chunk, 0)?.swap_bytes()).ok()?;
    let bits = u16_at(chunk, 6)?.swap_bytes();
    let width = u8::try_from(bits.div_ceil(8)).ok().filter(|width| (1..=4).contains(width))?;
    let number = match (compressed, width) {
        (_, 1) => Number::signed(1),
        _ => Number::signed(width).big_endian(),
    };
    let number = match compressed.then(|| chunk.get(18..22)) {
        None | Some(Some(b"NONE" | b"twos")) => number,
        Some(Some(b"sowt")) => Number::signed(width),
        Some(Some(b"fl32" | b"FL32")) if width == 4 => Number { class: Class::Float, ..number },
        _ => return None,
    };
    Some(wave(channels, number))
}

/// DICOM with pixels that are not compressed. The elements before them are not walked but looked for: what stands in a sequence may
/// be found instead: the pixels of an icon stand before those of the image, but what describes the image before what describes
/// the icon.
fn dicom(head: &[u8]) -> Option<Part> {
    if head.get(128..132)? != b"DICM" {
        return None;
    }
    let (at, big_endian) = [(false, [0xe0, 0x7f, 0x10, 0]), (true, [0x7f, 0xe0, 0, 0x10])]
        .into_iter()
        .find_map(|(big_endian, tag)| Some((find_last(head, &tag)?, big_endian)))?;
    let (before, pixels) = head.split_at(at);
    let number = |at: usize| {
        let number = u32_at(pixels, at)?;
        Some(if big_endian { number.swap_bytes() } else { number })
    };
    let (start, len) = match pixels.get(4..6)? {
        b"OW" | b"OB" => (12, number(8)?),
        _ => (8, number(4)?),
    };
    let image = |element: u16| {
        let order = if big_endian { u16::to_be_bytes } else { u16::to_le_bytes };
        let tag = [order(0x28), order(element)].concat();
        let explicit = [&tag[..], b"US", &order(2)].concat();
        let implicit = [&tag[..], &[2, 0, 0, 0]].concat();
        let at = find(before, &explicit).or_else(|| find(before, &implicit))?;
        let value = u16_at(before, at + 8)?;
        Some(if big_endian { value.swap_bytes() } else { value })
    };
    let (columns, bits) = (image(0x11)?, image(0x100)?);
    let channels = image(2).unwrap_or(1).into();
    if !matches!(bits, 8 | 16) || channels > 1 && image(6) == Some(1) || len == u32::MAX {
        return None;
    }
    let class = if image(0x103) == Some(1) { Class::Signed } else { Class::Unsigned };
    let width = (bits / 8) as u8;
    let number = Number { width, class, big_endian: big_endian && width > 1 };
    let content = rows(u32::from(columns) * channels, channels, number)?;
    Some(Part { start: (at + start) as u64, len: Some(len.into()), content })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn find_last(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|window| window == what)
}

/// FITS whose first unit has pixels: cards of 80 characters fill blocks of 2880.
fn fits(head: &[u8]) -> Option<Part> {
    if !head.starts_with(b"SIMPLE  = ") {
        return None;
    }
    let cards = head.chunks_exact(80);
    let end = cards.clone().position(|card| card.starts_with(b"END "))?;
    let value = |name: &str| {
        let card = cards.clone().take(end).find(|card| card.starts_with(name.as_bytes()))?;
        str::from_utf8(&card[10..30]).ok()?.trim().parse::<i32>().ok()
    };
    let width = match value("BITPIX  ")?.unsigned_abs() {
        8 => 1u8,
        16 => 2,
        32 => 4,
        64 => 8,
        _ => return None,
    };
    let axis = |i: i32| u32::try_from(value(&format!("NAXIS{i:<3}"))?).ok();
    let axes = value("NAXIS   ").filter(|axes| (1..=9).contains(axes))?;
    let row = axis(1)?;
    let len = (1..=axes).try_fold(u64::from(width), |len, i| len.checked_mul(axis(i)?.into()))?;
    let content = match width {
        1 => rows(row, 1, Number::unsigned(1))?,
        2 => rows(row, 1, Number::signed(2).big_endian())?,
        _ => table(row.checked_mul(width.into())?, width, true),
    };
    let start = ((end + 1) * 80).next_multiple_of(2880) as u64;
    (len > 0).then_some(())?;
    Some(Part { start, len: Some(len), content })
}

/// NIfTI of one file.
fn nifti(head: &[u8]) -> Option<Part> {
    let big_endian = match head.get(..4)? {
        [0x5c, 1, 0, 0] => false,
        [0, 0, 1, 0x5c] => true,
        _ => return None,
    };
    if head.get(344..348)? != b"n+1\0" {
        return None;
    }
    let order = |field: u16| if big_endian { field.swap_bytes() } else { field };
    let start = u32_at(head, 108)?;
    let start = f32::from_bits(if big_endian { start.swap_bytes() } else { start });
    (352.0..65536.0).contains(&start).then_some(())?;
    let axes = usize::from(order(u16_at(head, 40)?));
    let axis = |i: usize| Some(u32::from(order(u16_at(head, 40 + 2 * i)?)));
    let row = axis(1)?;
    let (width, content) = match order(u16_at(head, 70)?) {
        2 => (1, rows(row, 1, Number::unsigned(1))?),
        4 => (2, rows(row, 1, Number { big_endian, ..Number::signed(2) })?),
        512 => (2, rows(row, 1, Number { big_endian, ..Number::unsigned(2) })?),
        8 | 16 | 768 => (4, table(4 * row, 4, big_endian)),
        64 | 1024 | 1280 => (8, table(8 * row, 8, big_endian)),
        _ => return None,
    };
    let axes =
        (1..=7).contains(&axes).then(|| (1..=axes).map(axis).collect::<Option<Vec<_>>>())??;
    Some(Part { start: start as u64, len: Some(bytes_of(&axes, width)?), content })
}

/// Bytes of an array of these axes, of numbers of `width` bytes; `None` if there are none, or too many.
fn bytes_of(axes: &[u32], width: u32) -> Option<u64> {
    let multiply = |len: u64, axis: &u32| len.checked_mul((*axis).into());
    axes.iter().try_fold(width.into(), multiply).filter(|&len| len > 0)
}

/// An array of NumPy.
fn npy(head: &[u8]) -> Option<Part> {
    let rest = head.strip_prefix(b"\x93NUMPY")?;
    let (start, len) = match rest.first()? {
        1 => (10, usize::from(u16_at(head, 8)?)),
        _ => (12, u32_at(head, 8)? as usize),
    };
    let end = len.checked_add(start)?;
    let text = str::from_utf8(head.get(start..end)?).ok()?;
    let after = |key: &str| Some(text.split_once(key)?.1.trim_start_matches([' ', ':']));
    let descr = after("'descr'")?;
    let shape = after("'shape'")?.strip_prefix('(')?.split_once(')')?.0;
    let shape: Vec<u32> = shape.split(',').map_while(|number| number.trim().parse().ok()).collect();
    let fortran = after("'fortran_order'")?.starts_with('T');
    let (content, width) = match descr.strip_prefix('\'') {
        Some(number) => array(number, fortran, &shape)?,
        None => (table(struct_len(descr)?, 1, false), struct_len(descr)?),
    };
    Some(Part { start: end as u64, len: Some(bytes_of(&shape, width)?), content })
}

/// An array of numbers like `<f8`: an image if it has two dimensions or more and one or two bytes a number, else a table. And the
/// bytes of a number.
fn array(number: &str, fortran: bool, shape: &[u32]) -> Option<(Content, u32)> {
    let (big_endian, class) = (number.starts_with('>'), number.as_bytes().get(1)?);
    let size = number.get(2..)?.split('\'').next()?;
    let width: u8 = match size {
        "1" => 1,
        "2" => 2,
        "4" => 4,
        // A complex number is two.
        "8" if *class == b'c' => 4,
        "8" | "16" => 8,
        _ => return None,
    };
    let image = match class {
        b'u' => Some(Number { big_endian, ..Number::unsigned(width.min(2)) }),
        b'i' if width == 2 => Some(Number { big_endian, ..Number::signed(2) }),
        b'b' | b'c' | b'f' | b'i' | b'M' | b'm' => None,
        _ => return None,
    };
    let size = size.parse().ok()?;
    let (row, channels) = match *shape {
        // Colours with their opacity.
        [_, width, 4] if !fortran && image == Some(Number::unsigned(1)) => {
            return Some((colours(width.checked_mul(4)?, 32), size));
        }
        [.., width, 3] if !fortran && shape.len() > 2 => (width.checked_mul(3)?, 3),
        [row, _, ..] if fortran => (row, 1),
        [.., _, row] if !fortran => (row, 1),
        _ => (1, 1),
    };
    if let Some(number) = image.filter(|_| width <= 2 && row > 3) {
        return Some((rows(row, channels, number)?, size));
    }
    let row = if channels == 3 { 3 } else { row };
    let record = row.checked_mul(width.into()).filter(|&record| record <= SampleFormat::MAX_RECORD);
    Some((table(record.unwrap_or(width.into()), width, big_endian), size))
}

fn table(record: u32, width: u8, big_endian: bool) -> Content {
    let big_endian = big_endian && width > 1;
    Content::Samples(SampleFormat::Table { record, width, big_endian })
}

/// Bytes of a record like `[('time', '<i8'), ('id', '|u1')]`, which has no arrays in it.
fn struct_len(descr: &str) -> Option<u32> {
    let list = descr.strip_prefix('[')?.split_once(']')?.0;
    let types = list.split('\'').filter(|text| text.starts_with(['<', '>', '|']));
    let fields = list.matches("('").count();
    let sizes: Vec<u32> = types
        .map(|text| {
            let size: u32 = text.get(2..)?.parse().ok()?;
            Some(if text.as_bytes()[1] == b'U' { size.checked_mul(4)? } else { size })
        })
        .collect::<Option<_>>()?;
    // A field that is an array has its shape in brackets within its own.
    let plain = sizes.len() == fields && list.matches('(').count() == fields;
    sizes.iter().try_fold(0u32, |sum, &size| sum.checked_add(size)).filter(|_| plain)
}

/// Parts of instructions, in order, of which short ones are left out. Some linkers make several that follow one another.
fn code(machine: Machine, ranges: impl Iterator<Item = Option<(u64, u64)>>) -> Option<Vec<Part>> {
    let mut ranges = ranges.collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable();
    ranges.retain(|&(start, len)| len >= LEAST_CODE && start.checked_add(len).is_some());
    let part = |(start, len)| Part { start, len: Some(len), content: Content::Program(machine) };
    Some(ranges.into_iter().map(part).collect())
}

/// ELF, little-endian: the segments that are executed.
fn elf(head: &[u8]) -> Option<Vec<Part>> {
    const EXECUTED: u32 = 1;
    const LOADED: u32 = 1;
    if !head.starts_with(b"\x7fELF") || head.get(5) != Some(&1) {
        return None;
    }
    let machine = match u16_at(head, 18)? {
        3 => Machine::X86,
        62 => Machine::X64,
        183 => Machine::Arm64,
        _ => return None,
    };
    let wide = head[4] == 2;
    let word = |at| if wide { u64_at(head, at) } else { u32_at(head, at).map(u64::from) };
    let (table, sizes) = if wide { (32, 54) } else { (28, 42) };
    let table = usize::try_from(word(table)?).ok()?;
    let (size, count) = (u16_at(head, sizes)?, u16_at(head, sizes + 2)?);
    let entry = |i: u16| table.checked_add(usize::from(i) * usize::from(size));
    let read = |i| {
        let at = entry(i)?;
        let (flags, offset, len) = if wide { (4, 8, 32) } else { (24, 4, 16) };
        let field = |by| at.checked_add(by);
        let executed = u32_at(head, field(flags)?)? & EXECUTED != 0;
        let len = if u32_at(head, at)? == LOADED && executed { word(field(len)?)? } else { 0 };
        Some((word(field(offset)?)?, len))
    };
    code(machine, (0..count).map(read))
}

/// Programs and libraries of Windows: the sections that are executed.
fn pe(head: &[u8]) -> Option<Vec<Part>> {
    const EXECUTED: u32 = 0x2000_0000;
    if !head.starts_with(b"MZ") {
        return None;
    }
    let start = u32_at(head, 60)? as usize;
    if head.get(start..start.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let machine = match u16_at(head, start + 4)? {
        0x14c => Machine::X86,
        0x8664 => Machine::X64,
        0xaa64 => Machine::Arm64,
        _ => return None,
    };
    let (count, options) = (u16_at(head, start + 6)?, u16_at(head, start + 20)?);
    let table = start + 24 + usize::from(options);
    let read = |i| {
        let at = table + 40 * usize::from(i);
        let executed = u32_at(head, at + 36)? & EXECUTED != 0;
        let len = if executed { u32_at(head, at + 16)? } else { 0 };
        Some((u32_at(head, at + 20)?.into(), len.into()))
    };
    code(machine, (0..count).map(read))
}

/// 64-bit programs of macOS: the sections of instructions.
fn mach_o(head: &[u8]) -> Option<Vec<Part>> {
    const SEGMENT: u32 = 0x19;
    const INSTRUCTIONS: u32 = 0x8000_0000;
    if !head.starts_with(&0xfeed_facf_u32.to_le_bytes()) {
        return None;
    }
    let machine = match u32_at(head, 4)? {
        0x0100_0007 => Machine::X64,
        0x0100_000c => Machine::Arm64,
        _ => return None,
    };
    let (mut ranges, mut at) = (Vec::new(), 32usize);
    for _ in 0..u32_at(head, 16)? {
        let (command, size) = (u32_at(head, at)?, u32_at(head, at + 4)? as usize);
        let sections = if command == SEGMENT { u32_at(head, at + 64)? } else { 0 };
        for i in 0..sections as usize {
            let section = (72 + 80 * i).checked_add(at)?;
            if u32_at(head, section + 64)? & INSTRUCTIONS != 0 {
                ranges
                    .push(Some((u32_at(head, section + 48)?.into(), u64_at(head, section + 40)?)));
            }
        }
        at = at.checked_add(size.max(8))?;
    }
    code(machine, ranges.into_iter())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([field[0], field[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at.checked_add(2)?)?) << 16)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at.checked_add(4)?)?) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn three(start: u64, len: u64, content: Content) -> Vec<Segment> {
        vec![
            Segment { len: Some(start), content: Content::Bytes },
            Segment { len: Some(len), content },
            Segment { len: None, content: Content::Bytes },
        ]
    }

    fn bytes() -> Vec<Segment> {
        vec![Segment { len: None, content: Content::Bytes }]
    }

    fn bmp_head(start: u32, width: i32, height: i32, bits: u16, compression: u32) -> Vec<u8> {
        let mut head = b"BM\0\0\0\0\0\0\0\0".to_vec();
        head.extend(start.to_le_bytes());
        head.extend(40u32.to_le_bytes());
        head.extend(width.to_le_bytes());
        head.extend(height.to_le_bytes());
        head.extend(1u16.to_le_bytes());
        head.extend(bits.to_le_bytes());
        head.extend(compression.to_le_bytes());
        head
    }

    fn wav_head(format: u16, channels: u16, bits: u16, data_len: u32) -> Vec<u8> {
        let mut head = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x28\0\0\0".to_vec();
        head.extend(format.to_le_bytes());
        head.extend(channels.to_le_bytes());
        head.extend([0; 8]);
        head.extend((channels * bits / 8).to_le_bytes());
        head.extend(bits.to_le_bytes());
        head.extend([22, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        head.extend([0; 14]);
        head.extend(b"data");
        head.extend(data_len.to_le_bytes());
        head
    }

    #[test]
    fn bitmaps_are_recognised_with_their_padding() {
        let colour = bmp_head(54, 5, -7, 24, 0);
        assert_eq!(
            segments(&colour),
            three(54, 16 * 7, Content::Samples(SampleFormat::Rgb { row: 16 }))
        );
        let ramp: Vec<u8> = (0..=255).flat_map(|shade| [shade, shade, shade, 0]).collect();
        let gray = [bmp_head(1078, 5, 7, 8, 0), vec![0; 20], ramp.clone()].concat();
        assert_eq!(
            segments(&gray),
            three(1078, 8 * 7, Content::Samples(SampleFormat::Gray { row: 8 }))
        );
        let palette = [bmp_head(1078, 5, 7, 8, 0), vec![0; 20], ramp[4..].to_vec(), vec![1; 4]];
        assert_eq!(segments(&palette.concat()), three(1078, 8 * 7, colours(8, 8)));
        assert_eq!(segments(&bmp_head(62, 50, 7, 1, 0)), three(62, 8 * 7, colours(8, 1)));
        assert_eq!(segments(&bmp_head(118, 50, 7, 4, 0)), three(118, 28 * 7, colours(28, 4)));
        assert_eq!(segments(&bmp_head(54, 5, 7, 32, 0)), three(54, 20 * 7, colours(20, 32)));
        assert_eq!(segments(&bmp_head(1078, 5, 7, 8, 0)), bytes(), "no palette");
        assert_eq!(segments(&bmp_head(54, 5, 7, 8, 1)), bytes(), "run-length coded");
        assert_eq!(segments(&bmp_head(54, i32::MAX, 7, 24, 0)), bytes(), "row too long");
        assert_eq!(segments(&bmp_head(54, 0, 7, 24, 0)), bytes());
    }

    #[test]
    fn pixmaps_are_recognised_with_comments() {
        let head = b"P6 # made by hand\n 3\n# and\n 2 255\nabc";
        assert_eq!(segments(head), three(34, 18, Content::Samples(SampleFormat::Rgb { row: 9 })));
        assert_eq!(
            segments(b"P5\n64 32\n255\n"),
            three(13, 2048, Content::Samples(SampleFormat::Gray { row: 64 }))
        );
        assert_eq!(segments(b"P4\n65 32\n"), three(9, 9 * 32, colours(9, 1)));
        for odd in [
            "P4\n65 32",
            "P4\n65 0\n",
            "P5\n64 32\n65536\n",
            "P5\n64 32\n15\n",
            "P5\n0 32\n255\n",
            "P564 32 255 ",
            "P5 4294967296 1 255\n",
            "P5 4 1 255",
        ] {
            assert_eq!(segments(odd.as_bytes()), bytes(), "{odd:?}");
        }
    }

    /// A TIFF of two strips, whose directory has these entries as well, with one value each.
    fn tiff_head(big_endian: bool, entries: &[(u16, u16)]) -> Vec<u8> {
        let short = |v: u16| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut head = if big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        head.extend(long(24));
        head.extend([400, 400 + 60, 60, 40].map(long).concat());
        head.extend(short(entries.len() as u16 + 2));
        for (tag, at) in [(273, 8), (279, 16)] {
            head.extend([short(tag), short(4)].concat());
            head.extend([2, at].map(long).concat());
        }
        for &(tag, value) in entries {
            head.extend([short(tag), short(3)].concat());
            head.extend(long(1));
            head.extend([short(value), [0; 2]].concat());
        }
        head.resize(400, 0);
        head
    }

    #[test]
    fn tiff_is_recognised_if_its_strips_follow_one_another() {
        const SIZE: [(u16, u16); 3] = [(256, 10), (257, 10), (262, 1)];
        let with = |big_endian, more: &[(u16, u16)]| {
            segments(&tiff_head(big_endian, &[&SIZE[..], more].concat()))
        };
        let gray = Content::Samples(SampleFormat::Gray { row: 10 });
        assert_eq!(with(false, &[(258, 8)]), three(400, 100, gray));
        assert_eq!(with(true, &[(258, 8)]), three(400, 100, gray));
        assert_eq!(with(true, &[(258, 16)]), three(400, 200, deep(10, 1, "u16be")));
        assert_eq!(with(false, &[(258, 16), (339, 2)]), three(400, 200, deep(10, 1, "i16")));
        assert_eq!(with(false, &[]), three(400, 20, colours(2, 1)));
        assert_eq!(with(false, &[(258, 32), (339, 3)]), three(400, 400, table(40, 4, false)));
        for (odd, why) in
            [((259, 5), "compressed"), ((317, 2), "differences"), ((284, 2), "planes")]
        {
            assert_eq!(with(false, &[(258, 8), odd]), bytes(), "{why}");
        }
        let mut apart = tiff_head(false, &[&SIZE[..], &[(258, 8)]].concat());
        apart[12] += 1;
        assert_eq!(segments(&apart), bytes(), "a gap between strips");
        let whole = tiff_head(false, &[&SIZE[..], &[(258, 8)]].concat());
        for len in 0..24 + 2 + 6 * 12 {
            assert_eq!(segments(&whole[..len]), bytes(), "cut at {len}");
        }
        let palette = tiff_head(false, &[(256, 10), (257, 10), (262, 3), (258, 8)]);
        assert_eq!(segments(&palette), three(400, 100, colours(10, 8)));
    }

    fn deep(row: u32, step: u8, number: &str) -> Content {
        let number = number.parse().unwrap();
        Content::Samples(SampleFormat::Deep { row, step, number, shift: 0 })
    }

    #[test]
    fn images_of_16_bits_are_recognised() {
        assert_eq!(segments(b"P5\n64 32\n4095\n"), three(14, 4096, deep(64, 1, "u16be")));
        assert_eq!(segments(b"P6\n6 2\n65535\n"), three(13, 72, deep(18, 3, "u16be")));
        let npy = |descr: &str, order: &str, shape: &str| {
            let text = format!(
                "{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}   \n"
            );
            let len = (text.len() as u16).to_le_bytes();
            [b"\x93NUMPY\x01\0", &len[..], text.as_bytes()].concat()
        };
        let found =
            |head: Vec<u8>| segments(&head).get(1).map_or(Content::Bytes, |part| part.content);
        let len = |head: Vec<u8>| segments(&head)[1].len;
        assert_eq!(found(npy("|u1", "False", "(9, 50, 4)")), colours(200, 32));
        assert_eq!(len(npy("|u1", "False", "(9, 50, 4)")), Some(1800));
        assert_eq!(len(npy("<c16", "False", "(5, 7)")), Some(5 * 7 * 16));
        assert_eq!(len(npy("<f4", "False", "()")), Some(4));
        assert_eq!(segments(&npy("<f4", "False", "(0, 5)")), bytes());
        let huge = "(4294967295, 4294967295, 4294967295)";
        assert_eq!(segments(&npy("<f4", "False", huge)), bytes());
        assert_eq!(found(npy("<u2", "False", "(7, 50)")), deep(50, 1, "u16"));
        assert_eq!(found(npy(">i2", "True", "(7, 50)")), deep(7, 1, "i16be"));
        assert_eq!(found(npy("<i2", "False", "(2, 50, 3)")), deep(150, 3, "i16"));
        assert_eq!(found(npy("<i2", "False", "(50,)")), table(2, 2, false));
        assert_eq!(found(npy("<c8", "False", "(5, 50)")), table(200, 4, false));
        assert_eq!(found(npy(">f8", "False", "(9, 5, 3)")), table(24, 8, true));
        assert_eq!(
            found(npy("<f4", "False", "(4, 4294967295)")),
            table(4, 4, false),
            "no such row"
        );
        assert_eq!(found(npy("|S7", "False", "(5, 50)")), Content::Bytes);
        let list = |list: &str| {
            let head = String::from_utf8(npy("X", "False", "(50,)").split_off(10)).unwrap();
            let text = head.replace("'X'", list);
            [b"\x93NUMPY\x01\0", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat()
        };
        assert_eq!(found(list("[('t', '<i8'), ('id', '|u1'), ('n', '<U2')]")), table(17, 1, false));
        assert_eq!(found(list("[('t', '<i8', (3,))]")), Content::Bytes);
        let card = |text: &str| format!("{text:<80}");
        let cards = [
            "SIMPLE  =   T",
            "BITPIX  =   16",
            "NAXIS   =   2",
            "NAXIS1  =  30",
            "NAXIS2  =  4",
            "END",
        ];
        let head = cards.map(card).concat().into_bytes();
        assert_eq!(segments(&head), three(2880, 240, deep(30, 1, "i16be")));
        let mut nifti = vec![0; 352];
        for (at, bytes) in [
            (0, &[0x5c, 1][..]),
            (40, &[2, 0, 40, 0, 30]),
            (70, &[4]),
            (108, &352f32.to_le_bytes()),
            (344, b"n+1"),
        ] {
            nifti[at..at + bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(segments(&nifti), three(352, 2400, deep(40, 1, "i16")));
        nifti[40] = 8;
        assert_eq!(segments(&nifti), bytes(), "too many axes");
    }

    #[test]
    fn pixels_of_dicom_are_recognised() {
        let element = |tag: [u8; 4], kind: &[u8], value: &[u8]| [&tag[..], kind, value].concat();
        let short = |element_number: u8, high: u8, value: u16| {
            element([0x28, 0, element_number, high], b"US\x02\0", &value.to_le_bytes())
        };
        let head = |signed: u16, len: u32| {
            let start = [&[0; 128][..], b"DICM"].concat();
            let pixels = element([0xe0, 0x7f, 0x10, 0], b"OW\0\0", &len.to_le_bytes());
            [
                start,
                short(0x10, 0, 9),
                short(0x11, 0, 70),
                short(0, 1, 16),
                short(3, 1, signed),
                pixels,
            ]
            .concat()
        };
        let pixels = head(1, 1260);
        assert_eq!(segments(&pixels), three(pixels.len() as u64, 1260, deep(70, 1, "i16")));
        assert_eq!(segments(&head(0, 1260))[1].content, deep(70, 1, "u16"));
        assert_eq!(segments(&head(0, u32::MAX)), bytes(), "compressed");
    }

    #[test]
    fn waves_are_recognised_behind_other_chunks() {
        let start = 12 + 8 + 4 + 8 + 40 + 8;
        for format in [1, 0xfffe] {
            let stereo = wav_head(format, 2, 16, 1000);
            assert_eq!(
                segments(&stereo),
                three(start, 1000, Content::Samples(SampleFormat::Pcm16 { channels: 2 }))
            );
        }
        let mono = wav_head(1, 1, 8, 77);
        assert_eq!(
            segments(&mono),
            three(start, 77, Content::Samples(SampleFormat::Pcm8 { channels: 1 }))
        );
        for streamed in [0, u32::MAX] {
            let found = segments(&wav_head(1, 1, 16, streamed));
            assert_eq!(found.len(), 2);
            assert_eq!(
                found[1],
                Segment {
                    len: None,
                    content: Content::Samples(SampleFormat::Pcm16 { channels: 1 })
                }
            );
        }
        for (format, bits, name) in [(1, 24, "i24"), (1, 32, "i32"), (3, 32, "f32")] {
            let number = name.parse().unwrap();
            let content = Content::Samples(SampleFormat::Wave { channels: 2, number, shift: 0 });
            assert_eq!(segments(&wav_head(format, 2, bits, 77)), three(start, 77, content));
        }
        let stereo = Content::Samples(SampleFormat::Pcm16 { channels: 2 });
        let mut head = wav_head(1, 2, 16, 77);
        let bits = head.len() - 34;
        assert_eq!(head[bits..bits + 2], [16, 0]);
        head[bits] = 12;
        assert_eq!(segments(&head), three(start, 77, stereo), "12 bits in 16");
        assert_eq!(segments(&wav_head(3, 1, 64, 77)), three(start, 77, table(8, 8, false)));
        assert_eq!(segments(&wav_head(1, 9, 16, 77)), bytes(), "too many channels");
    }

    #[test]
    fn aiff_is_recognised_in_either_byte_order() {
        let head = |form: &[u8], bits: u16, kind: &[u8]| {
            let format = [&[0, 2, 0, 0, 0, 9][..], &bits.to_be_bytes(), &[0; 10], kind].concat();
            let len = (format.len() as u32).to_be_bytes();
            [b"FORM\0\0\0\0", form, b"COMM", &len, &format[..], b"SSND\0\0\0\x58", &[0; 8]].concat()
        };
        let found = |head: Vec<u8>, name: &str| {
            let number = name.parse().unwrap();
            let content = Content::Samples(SampleFormat::Wave { channels: 2, number, shift: 0 });
            assert_eq!(segments(&head), three(head.len() as u64, 80, content), "{name}");
        };
        found(head(b"AIFF", 16, b""), "i16be");
        found(head(b"AIFF", 20, b""), "i24be");
        found(head(b"AIFF", 12, b""), "i16be");
        found(head(b"AIFF", 8, b""), "i8");
        found(head(b"AIFC", 16, b"sowt"), "i16");
        found(head(b"AIFC", 32, b"fl32"), "f32be");
        assert_eq!(segments(&head(b"AIFC", 16, b"ima4")), bytes(), "compressed");
        assert_eq!(segments(&head(b"AIFF", 64, b"")), bytes());
    }

    /// A header of a program of Windows, with sections (characteristics, start, length).
    fn pe_head(machine: u16, sections: &[(u32, u32, u32)]) -> Vec<u8> {
        let mut head = b"MZ".to_vec();
        head.resize(60, 0);
        head.extend(64u32.to_le_bytes());
        head.extend(b"PE\0\0");
        head.extend([machine, sections.len() as u16].iter().flat_map(|n| n.to_le_bytes()));
        head.extend([0; 12]);
        head.extend([24, 0, 0, 0]); // bytes of the optional header
        head.extend([0; 24]);
        for (characteristics, start, len) in sections {
            head.extend([0; 16]);
            head.extend([len, start].iter().flat_map(|n| n.to_le_bytes()));
            head.extend([0; 12]);
            head.extend(characteristics.to_le_bytes());
        }
        head
    }

    fn elf_head(machine: u16, wide: bool, parts: &[(u32, u64, u64)]) -> Vec<u8> {
        let mut head = b"\x7fELF".to_vec();
        head.extend([1 + u8::from(wide), 1]);
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head.resize(if wide { 64 } else { 52 }, 0);
        let (table, sizes, entry) = if wide { (32, 54, 56u16) } else { (28, 42, 32) };
        head[table] = head.len() as u8;
        head[sizes..sizes + 2].copy_from_slice(&entry.to_le_bytes());
        head[sizes + 2] = parts.len() as u8;
        for &(flags, start, len) in parts {
            let (a, b) = (start as u32, len as u32);
            let words = match wide {
                true => [1, flags, a, 0, 0, 0, 0, 0, b, 0, 0, 0, 0, 0].to_vec(),
                false => vec![1, a, 0, 0, b, 0, flags, 0],
            };
            head.extend(words.iter().flat_map(|n: &u32| n.to_le_bytes()));
        }
        head
    }

    fn mach_o_head() -> Vec<u8> {
        let mut words = vec![0xfeed_facf_u32, 0x0100_000c, 0, 6, 2, 0, 0, 0];
        words.extend([0x1b, 24, 0, 0, 0, 0]);
        words.extend([0x19, 72 + 160, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
        for (start, flags) in [(4096, 0x8000_0400), (30_000, 0)] {
            words.extend([0; 10]);
            words.extend([20_000, 0, start, 0, 0, 0, flags, 0, 0, 0]);
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn programs_are_cut_where_their_instructions_are() {
        let code = |machine| Content::Program(machine);
        for (number, machine) in [(62, Machine::X64), (3, Machine::X86), (183, Machine::Arm64)] {
            for wide in [false, true] {
                let parts =
                    [(4, 0, 9000), (5, 9000, 20_000), (6, 29_000, 50_000), (5, 80_000, 100)];
                let found = segments(&elf_head(number, wide, &parts));
                assert_eq!(found, three(9000, 20_000, code(machine)), "{number}");
            }
        }
        let sections = [
            (0x4000_0040, 90_000, 70_000),
            (0x6000_0020, 1024, 20_480),
            (0x6000_0020, 22_000, 16_384),
        ];
        let found = segments(&pe_head(0x8664, &sections));
        let bytes = |len| Segment { len, content: Content::Bytes };
        let x64 = |len| Segment { len: Some(len), content: code(Machine::X64) };
        assert_eq!(
            found,
            [bytes(Some(1024)), x64(20_480), bytes(Some(496)), x64(16_384), bytes(None)]
        );
        assert_eq!(segments(&mach_o_head()), three(4096, 20_000, code(Machine::Arm64)));
        let overlapping = [(5, 9000, 20_000), (5, 20_000, 20_000)];
        assert_eq!(
            segments(&elf_head(62, true, &overlapping)),
            three(9000, 20_000, code(Machine::X64))
        );
    }

    #[test]
    fn other_programs_are_bytes() {
        let code = [(5, 9000, 20_000)];
        let mut big_endian = elf_head(62, true, &code);
        big_endian[5] = 2;
        for head in [
            elf_head(8, true, &code),
            elf_head(62, true, &[(5, 9000, 1000)]),
            elf_head(62, true, &[(6, 9000, 20_000)]),
            big_endian,
            pe_head(0x1c0, &[(0x6000_0020, 1024, 20_480)]),
        ] {
            assert_eq!(segments(&head), bytes());
        }
    }

    #[test]
    fn every_cut_of_a_header_is_taken() {
        for head in [
            bmp_head(54, 5, 7, 24, 0),
            wav_head(1, 2, 16, 9),
            b"P6\n3 2\n255\n".to_vec(),
            elf_head(62, true, &[(5, 9000, 20_000)]),
            elf_head(3, false, &[(5, 9000, 20_000)]),
            mach_o_head(),
            pe_head(0x8664, &[(0x6000_0020, 1024, 20_480)]),
        ] {
            for len in 0..head.len() {
                segments(&head[..len]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_head_gives_valid_segments(
            magic in prop::sample::select(vec!["", "BM", "P5", "P6", "RIFF\0\0\0\0WAVE", "RIFF\0\0\0\0WAVEfmt ", "FORM\0\0\0\0AIFFCOMM", "FORM\0\0\0\0AIFCCOMM", "SIMPLE  = ", "\x5c\x01\0\0", "\x7fNUMPY",
                "\u{7f}ELF\u{2}\u{1}\0\0\0\0\0\0\0\0\0\0\u{3}\0\u{3e}\0",
                "\u{7f}ELF\u{1}\u{1}\0\0\0\0\0\0\0\0\0\0\u{3}\0\u{3}\0", "MZ"]),
            tail in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut head = magic.as_bytes().to_vec();
            head.extend(tail);
            let found = segments(&head);
            prop_assert!(found.iter().all(|s| s.content.validate().is_ok()));
            let (last, others) = found.split_last().unwrap();
            prop_assert!(last.len.is_none() && others.iter().all(|s| s.len.is_some()));
        }
    }
}
