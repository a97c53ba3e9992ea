//! Recognises image and audio files by their headers, so that their samples get the models made for them.
//!
//! Only the head of an input is looked at, and nothing is promised: a [`Segment`] is advice how to code a part of the
//! input, and if it is wrong, the code is longer but still correct. The formats are BMP (uncompressed, 8 and 24 bits a pixel),
//! PNM (binary, 8 bits a sample) and WAV (linear PCM, 8 and 16 bits). If anything in a header is odd, the input is taken
//! for plain bytes.

use super::kind::Content;
use crate::predict::samples::SampleFormat;

/// [`segments`] looks at no more bytes of the input than this.
pub const HEAD_LEN: usize = 1 << 16;

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
    let found = bmp(head).or_else(|| pnm(head)).or_else(|| wav(head));
    let rest = Segment { len: None, content: Content::Bytes };
    let Some(Samples { start, len, content }) = found.filter(|s| s.content.validate().is_ok())
    else {
        return vec![rest];
    };
    let header = Segment { len: Some(start), content: Content::Bytes };
    let samples = Segment { len, content };
    if len.is_some() { vec![header, samples, rest] } else { vec![header, samples] }
}

/// Where the samples of a file are, and their format.
struct Samples {
    start: u64,
    len: Option<u64>,
    content: Content,
}

/// Windows bitmap: rows padded to 4 bytes, bottom up or (negative height) top down.
fn bmp(head: &[u8]) -> Option<Samples> {
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
    let content = match bits {
        // Indices into a palette; a gray ramp is by far the most common one.
        8 => Content::Samples(SampleFormat::Gray { row }),
        24 => Content::Samples(SampleFormat::Rgb { row }),
        _ => return None,
    };
    let start = u64::from(u32_at(head, 10)?);
    let len = u64::from(row) * u64::from(height.unsigned_abs());
    (start >= 54).then_some(Samples { start, len: Some(len), content })
}

/// Portable graymap (P5) or pixmap (P6) with samples of one byte.
fn pnm(head: &[u8]) -> Option<Samples> {
    let channels = match head.get(..2)? {
        b"P5" => 1,
        b"P6" => 3,
        _ => return None,
    };
    let mut at = 2;
    let [width, height, most] =
        [pnm_number(head, &mut at)?, pnm_number(head, &mut at)?, pnm_number(head, &mut at)?];
    head.get(at)?.is_ascii_whitespace().then_some(())?;
    let row = width.checked_mul(channels)?;
    let content = if channels == 1 {
        Content::Samples(SampleFormat::Gray { row })
    } else {
        Content::Samples(SampleFormat::Rgb { row })
    };
    let len = u64::from(row) * u64::from(height);
    (most == 255 && len > 0).then_some(Samples { start: at as u64 + 1, len: Some(len), content })
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
fn wav(head: &[u8]) -> Option<Samples> {
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
                return Some(Samples { start: at as u64, len, content: content? });
            }
            _ => {}
        }
        at = at.checked_add(len as usize)?.checked_add(len as usize & 1)?;
    }
}

/// The content of a `fmt ` chunk: linear PCM, also as WAVE_FORMAT_EXTENSIBLE.
fn wav_format(chunk: &[u8]) -> Option<Content> {
    const PCM: u16 = 1;
    const EXTENSIBLE: u16 = 0xfffe;
    let mut format = u16_at(chunk, 0)?;
    if format == EXTENSIBLE {
        format = u16_at(chunk, 24)?; // the first two bytes of the sub-format's GUID
    }
    let (channels, frame, bits) = (u16_at(chunk, 2)?, u16_at(chunk, 12)?, u16_at(chunk, 14)?);
    let whole = u32::from(frame) == u32::from(channels) * u32::from(bits) / 8;
    let channels = u8::try_from(channels).ok()?;
    match (format, bits) {
        (PCM, 8) if whole => Some(Content::Samples(SampleFormat::Pcm8 { channels })),
        (PCM, 16) if whole => Some(Content::Samples(SampleFormat::Pcm16 { channels })),
        _ => None,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([field[0], field[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at.checked_add(2)?)?) << 16)
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
        let gray = bmp_head(1078, 5, 7, 8, 0);
        assert_eq!(
            segments(&gray),
            three(1078, 8 * 7, Content::Samples(SampleFormat::Gray { row: 8 }))
        );
        assert_eq!(segments(&bmp_head(54, 5, 7, 8, 1)), bytes(), "run-length coded");
        assert_eq!(segments(&bmp_head(54, 5, 7, 32, 0)), bytes());
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
        for odd in [
            "P5\n64 32\n65535\n",
            "P5\n0 32\n255\n",
            "P564 32 255 ",
            "P5 4294967296 1 255\n",
            "P5 4 1 255",
        ] {
            assert_eq!(segments(odd.as_bytes()), bytes(), "{odd:?}");
        }
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
        assert_eq!(segments(&wav_head(3, 1, 32, 77)), bytes(), "floating point");
        assert_eq!(segments(&wav_head(1, 9, 16, 77)), bytes(), "too many channels");
    }

    #[test]
    fn every_cut_of_a_header_is_taken() {
        for head in [bmp_head(54, 5, 7, 24, 0), wav_head(1, 2, 16, 9), b"P6\n3 2\n255\n".to_vec()] {
            for len in 0..head.len() {
                segments(&head[..len]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_head_gives_valid_segments(
            magic in prop::sample::select(vec!["", "BM", "P5", "P6", "RIFF\0\0\0\0WAVE", "RIFF\0\0\0\0WAVEfmt "]),
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
