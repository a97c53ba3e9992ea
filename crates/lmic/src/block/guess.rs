//! Guesses whether a short input without a header is gray rows or audio, by how much neighbouring numbers resemble each other. A
//! wrong guess costs time, never correctness.

use crate::predict::samples::SampleFormat;

/// Lengths that [`guesses`] looks at. Shorter inputs say too little, and longer images and recordings nearly always have a header.
pub const GUESS_LEN: std::ops::RangeInclusive<usize> = 256..=16 << 10;
/// The longest row that [`guesses`] finds.
const GUESS_ROW_MAX: usize = 1024;
/// Those guesses whose models take the most memory.
pub(crate) const LARGEST_GUESSES: [SampleFormat; 3] = [
    SampleFormat::Gray { row: GUESS_ROW_MAX as u32 },
    SampleFormat::Pcm8 { channels: 1 },
    SampleFormat::Pcm16 { channels: 1 },
];
/// An input that reads as text is taken for text if neighbouring bytes are at least this far apart on the mean. Logs, programs
/// and JSON have 9 to 30, and prose 30. Dark images all of whose samples happen to be characters have 0 to 7 (one of sixty
/// had 11).
const TEXT_DISTANCE: u64 = 8;

/// What short samples without a header might be, for an encoder to try: gray rows of the likeliest lengths, audio of
/// 8 or 16 bits. Generous, as a wrong guess costs only time, but text gives none, nor does noise.
///
/// ```
/// use lmic::block::{SampleFormat, guesses};
///
/// let stripes = |i: usize| (i / 40 + (i % 40).pow(2) * 7 % 90) as u8;
/// let image: Vec<u8> = (0..40 * 50).map(stripes).collect();
/// assert_eq!(guesses(&image)[0], SampleFormat::Gray { row: 40 });
///
/// let text = "Text has neighbours of all kinds: letters, blanks and marks follow each other, capitals begin a sentence, \
///             and nothing stands in rows. So the last byte says little about how large the next one is, and the byte \
///             above it, wherever one thinks a row might begin, no more than any other byte of the whole would say.";
/// assert!(guesses(text.as_bytes()).is_empty());
/// ```
pub fn guesses(data: &[u8]) -> Vec<SampleFormat> {
    if !GUESS_LEN.contains(&data.len()) {
        return Vec::new();
    }
    let bytes: Vec<i32> = data.iter().map(|&byte| i32::from(byte)).collect();
    let near = distance(&bytes);
    if is_text(data) && near >= TEXT_DISTANCE << 8 {
        return Vec::new();
    }
    let wide: Vec<i32> = data
        .chunks_exact(2)
        .map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    let mut found = Vec::new();
    if near < (1 << 8 << 8) / 4 {
        found.extend(likeliest_rows(&bytes).map(|row| SampleFormat::Gray { row }));
        found.push(SampleFormat::Pcm8 { channels: 1 });
    }
    if distance(&wide) < (1 << 16 << 8) / 4 {
        found.push(SampleFormat::Pcm16 { channels: 1 });
    }
    found
}

/// Whether `data` is UTF-8 without control characters other than white space and escape. A piece of a text may begin and end
/// inside of a character.
fn is_text(data: &[u8]) -> bool {
    const ESCAPE: u8 = 27;
    let is_control =
        |&byte: &u8| byte == 127 || byte < 32 && !(8..=13).contains(&byte) && byte != ESCAPE;
    let begun = data.iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count();
    let readable = match str::from_utf8(&data[begun..]) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    readable && !data.iter().any(is_control)
}

/// Mean distance of neighbours, in 256ths. In noise it is a third of the range of the samples.
fn distance(samples: &[i32]) -> u64 {
    let sum: u64 = samples.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1]))).sum();
    sum * 256 / (samples.len() - 1) as u64
}

/// Lengths of rows under which gray samples are predicted best from those to the left and above: one or two lengths of which
/// the input is a multiple, as a whole image is, and any other that is better than these by a tenth.
fn likeliest_rows(samples: &[i32]) -> impl Iterator<Item = u32> {
    let error = |row: usize| -> u64 {
        let left = &samples[row..];
        let (above_left, above) = (samples, &samples[1..]);
        let places = left.iter().zip(above_left).zip(above).zip(&left[1..]);
        let sum: u64 = places
            .map(|(((&w, &nw), &n), &x)| {
                u64::from(x.abs_diff((w + n - nw).clamp(w.min(n), w.max(n))))
            })
            .sum();
        sum * 256 / (samples.len() - row) as u64
    };
    let longest = (samples.len() / 4).min(GUESS_ROW_MAX);
    let mut rows: Vec<(u64, usize)> = (4..=longest).map(|row| (error(row), row)).collect();
    rows.sort_unstable();
    let best = rows[0];
    rows.retain(|(_, row)| samples.len().is_multiple_of(*row));
    rows.truncate(2);
    let close = |&(error, _): &(u64, usize)| error * 9 <= rows[0].0 * 10;
    let mut likely: Vec<(u64, usize)> = rows.iter().copied().filter(close).collect();
    if rows.first().is_none_or(|whole| best.0 * 10 < whole.0 * 9) {
        likely.push(best);
    }
    likely.into_iter().map(|(_, row)| row as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_guessed_from_what_stands_above() {
        for (width, height) in
            [(64, 32), (32, 32), (28, 28), (48, 40), (100, 20), (61, 50), (256, 60)]
        {
            let pixel = |i: usize| {
                let (x, y) = (i % width, i / width);
                (90 + x * x * 17 % 61 + y * 3 / 2 + (x * y) % 5) as u8
            };
            let image: Vec<u8> = (0..width * height).map(pixel).collect();
            let gray = SampleFormat::Gray { row: width as u32 };
            assert!(guesses(&image).contains(&gray), "{width}: {:?}", guesses(&image));
            // Rows of which the last is not whole.
            assert!(guesses(&image[..image.len() - 7]).contains(&gray), "{width}, cut");
        }
    }

    #[test]
    fn audio_without_header_is_guessed_and_noise_is_not() {
        let hum: Vec<u8> = (0..1024i32)
            .flat_map(|i| {
                let sample = ((i * 37 % 400) - 200).abs() * 60 - 6000 + i * i % 53;
                (sample as i16).to_le_bytes()
            })
            .collect();
        assert!(guesses(&hum).contains(&SampleFormat::Pcm16 { channels: 1 }));
        let narrow: Vec<u8> = hum.chunks(2).map(|pair| pair[1] ^ 0x80).collect();
        assert!(guesses(&narrow).contains(&SampleFormat::Pcm8 { channels: 1 }));
        let noise = crate::walk::sample(crate::predict::Uniform, 2048, 5);
        assert_eq!(guesses(&noise), []);
    }

    #[test]
    fn guesses_need_enough_to_go_by() {
        for (len, any) in [
            (0, false),
            (255, false),
            (256, true),
            (257, true),
            (16 << 10, true),
            ((16 << 10) + 1, false),
        ] {
            assert_eq!(guesses(&vec![3; len]).is_empty(), !any, "{len}");
        }
    }

    #[test]
    fn text_is_not_taken_for_samples() {
        let russian =
            "Слова стоят рядом, и соседние буквы мало что говорят друг о друге. ".repeat(20);
        let log: String = (0..40)
            .map(|i| format!("\x1b[32m12:00:{i:02}\x1b[0m GET /item/{} 200\r\n", i * 91))
            .collect();
        for text in [russian.as_bytes(), &russian.as_bytes()[1..1000], log.as_bytes()] {
            assert_eq!(guesses(text), []);
        }
    }
}
