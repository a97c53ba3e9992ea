//! Contents and models in words, as `--as` and `lmic list` have them: `rgb:640`, `pcm16:2`, `cm-5`.

use std::fmt;
use std::str::FromStr;

use super::{Content, Kind, Machine, Number, SampleFormat, StreamModel};
use crate::error::{Error, ErrorKind, Result};

const CONTENTS: &str = "kinds are auto, bytes, binary, gray:WIDTH, rgb:WIDTH, colours8:WIDTH (or 1, 2, 4, 24, 32 bits a pixel), \
                        pcm8:CHANNELS, pcm16:CHANNELS, \
                        wave-NUMBER:CHANNELS (i24, i32be, f32, ...), \
                        gray-NUMBER:WIDTH, rgb-NUMBER:WIDTH (u16, i16be, ...), x64, x86, arm64, \
                        NUMBER:COLUMNS (tables of f32, f64, i32be, u16, ...; u8:BYTES for other records)";

/// What a user says that an input holds; `auto`, or `None`, lets an encoder find out.
///
/// ```
/// use lmic::block::{Content, SampleFormat, content_of};
///
/// assert_eq!(content_of("auto")?, None);
/// assert_eq!(content_of("rgb:10")?, Some(Content::Samples(SampleFormat::Rgb { row: 30 })));
/// # Ok::<(), lmic::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] if it is no such word, or a number is outside its range.
pub fn content_of(text: &str) -> Result<Option<Content>> {
    let content = match text.split_once(':') {
        None if text == "auto" => return Ok(None),
        None if text == "bytes" => Content::Bytes,
        None if text == "binary" => Content::Binary,
        None if text == "x64" => Content::Program(Machine::X64),
        None if text == "x86" => Content::Program(Machine::X86),
        None if text == "arm64" => Content::Program(Machine::Arm64),
        Some(("gray", n)) => Content::Samples(SampleFormat::Gray { row: number(n)? }),
        Some(("rgb", n)) => Content::Samples(SampleFormat::Rgb { row: row_of_pixels(number(n)?)? }),
        Some((name, n)) if let Some(bits) = name.strip_prefix("colours") => {
            let bits: u8 = number(bits)?;
            let row = (u64::from(number::<u32>(n)?) * u64::from(bits)).div_ceil(8);
            let row = u32::try_from(row).map_err(|_| wrong(format!("{n} pixels are too many")))?;
            Content::Samples(SampleFormat::Colours { row, bits })
        }
        Some(("pcm8", n)) => Content::Samples(SampleFormat::Pcm8 { channels: number(n)? }),
        Some(("pcm16", n)) => Content::Samples(SampleFormat::Pcm16 { channels: number(n)? }),
        Some((kind, n)) if let Some(name) = kind.strip_prefix("gray-") => {
            deep(1, name, number(n)?)?
        }
        Some((kind, n)) if let Some(name) = kind.strip_prefix("rgb-") => {
            deep(3, name, row_of_pixels(number(n)?)?)?
        }
        Some((kind, n)) if let Some(name) = kind.strip_prefix("wave-") => {
            Content::Samples(SampleFormat::Wave {
                channels: number(n)?,
                number: name.parse()?,
                shift: 0,
            })
        }
        Some((name, n)) if let Some((width, big_endian)) = number_of_table(name) => {
            let record = number::<u32>(n)?.checked_mul(width.into());
            let record = record.ok_or_else(|| wrong(format!("{n} columns are too many")))?;
            Content::Samples(SampleFormat::Table { record, width, big_endian })
        }
        None if content_of(&format!("{text}:3")).is_ok() => {
            let what = "its width, channels or columns";
            return Err(wrong(format!("{text:?} needs {what} behind it, as {text}:3; {CONTENTS}")));
        }
        _ => return Err(wrong(format!("{text:?} is no kind; {CONTENTS}"))),
    };
    content.validate()?;
    Ok(Some(content))
}

/// Width and byte order of `f64be` and the like. To the model integers and floats are the same.
fn number_of_table(name: &str) -> Option<(u8, bool)> {
    let (name, big_endian) = match name.strip_suffix("be") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let width = match name {
        "u8" | "i8" if !big_endian => 1,
        "u16" | "i16" => 2,
        "u32" | "i32" | "f32" => 4,
        "u64" | "i64" | "f64" => 8,
        _ => return None,
    };
    Some((width, big_endian))
}

/// Samples in rows: of four bytes they are a table.
fn deep(step: u8, number: &str, row: u32) -> Result<Content> {
    let number: Number = number.parse()?;
    if number.width == 4 {
        let record =
            row.checked_mul(4).ok_or_else(|| wrong(format!("{row} samples are too many")))?;
        let big_endian = number.big_endian;
        return Ok(Content::Samples(SampleFormat::Table { record, width: 4, big_endian }));
    }
    Ok(Content::Samples(SampleFormat::Deep { row, step, number, shift: 0 }))
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| wrong(format!("{text:?} is not a number in range; {CONTENTS}")))
}

fn row_of_pixels(width: u32) -> Result<u32> {
    width.checked_mul(3).ok_or_else(|| wrong(format!("{width} pixels of 3 bytes are too many")))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

impl fmt::Display for SampleFormat {
    /// As [`content_of`] reads it; rows with padding are given in bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gray { row } => write!(f, "gray:{row}"),
            Self::Rgb { row } if row.is_multiple_of(3) => write!(f, "rgb:{}", row / 3),
            Self::Rgb { row } => write!(f, "rgb rows of {row} bytes"),
            Self::Colours { row, bits } => {
                write!(f, "colours{bits}:{}", u64::from(*row) * 8 / u64::from(*bits).max(1))
            }
            Self::Pcm8 { channels } => write!(f, "pcm8:{channels}"),
            Self::Pcm16 { channels } => write!(f, "pcm16:{channels}"),
            Self::Table { record, width, big_endian } => {
                let order = if *big_endian { "be" } else { "" };
                write!(f, "u{}{order}:{}", 8 * width, record / u32::from(*width))
            }
            Self::Wave { channels, number, shift } => {
                write!(f, "wave-{number}:{channels}")?;
                unused(f, *shift)
            }
            Self::Deep { row, step: 3, number, shift } if row.is_multiple_of(3) => {
                write!(f, "rgb-{number}:{}", row / 3)?;
                unused(f, *shift)
            }
            Self::Deep { row, step, number, shift } => {
                match step {
                    1 => write!(f, "gray-{number}:{row}")?,
                    _ => write!(f, "rgb-{number} rows of {row} samples")?,
                }
                unused(f, *shift)
            }
        }
    }
}

/// Says how many low bits are left out.
fn unused(f: &mut fmt::Formatter<'_>, shift: u8) -> fmt::Result {
    if shift > 0 { write!(f, " without {shift} bits") } else { Ok(()) }
}

impl fmt::Display for Machine {
    /// As [`content_of`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X64 => "x64",
            Self::X86 => "x86",
            Self::Arm64 => "arm64",
        })
    }
}

impl fmt::Display for StreamModel {
    /// `cm-5`, `mix-7`, `byte-3m`. A name from an archive may have any characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(profile) => write!(f, "cm-{profile}"),
            Self::Network(model) | Self::Tokens(model) => f.write_str(&model.name),
            Self::Primed(model) => f.write_str(&model.name),
            Self::Mixed(model) => write!(f, "{}+cm", model.name),
            Self::BuiltIn(number) => write!(f, "mix-{number}"),
            Self::Unknown(number) => write!(f, "model-{number}"),
        }
    }
}

impl StreamModel {
    /// The model of a block of `kind` in a stream of this one: `stored`, `cm-5`, `cm-5 rgb:640`, `byte-3m`.
    pub fn of_block(&self, kind: Kind) -> String {
        match kind {
            Kind::Stored => "stored".into(),
            Kind::Unknown { tag, .. } => format!("kind-{tag}"),
            _ if self.needs_newer(kind) => self.to_string(),
            Kind::Bytes => self.to_string(),
            Kind::Records { .. } => format!("{self} records"),
            Kind::Unmixed => "cm-5".into(),
            Kind::Undone { .. } => format!("{self} deflate"),
            Kind::Lanes { lanes } => format!("{self} lanes:{lanes}"),
            Kind::Guided { network: 5 } => format!("{self}+cm"),
            Kind::Guided { network } => format!("{self}+mix-{network}"),
            Kind::Program(machine) => match self {
                Self::Profile(_) => format!("{self} {machine}"),
                _ => format!("cm-5 {machine}"),
            },
            Kind::Samples(format) => match self {
                Self::Profile(_) => format!("{self} {format}"),
                mixed if mixed.is_mixed() => format!("cm-6 {format}"),
                _ => format!("cm-5 {format}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were_written() {
        for name in [
            "gray:512",
            "rgb:640",
            "pcm8:1",
            "pcm16:2",
            "wave-i24:2",
            "wave-f32be:8",
            "gray-u16:512",
            "rgb-i16be:9",
            "u8:13",
            "colours1:800",
            "colours8:13",
            "colours24:5",
            "u64be:3",
        ] {
            let Ok(Some(Content::Samples(format))) = content_of(name) else { panic!("{name}") };
            assert_eq!(format.to_string(), name);
        }
        for name in ["x64", "x86", "arm64"] {
            let Ok(Some(Content::Program(machine))) = content_of(name) else { panic!("{name}") };
            assert_eq!(machine.to_string(), name);
        }
    }

    #[test]
    fn images_of_four_bytes_are_tables() {
        for (name, same) in [("gray-f32:9", "u32:9"), ("rgb-f32be:3", "u32be:9")] {
            assert_eq!(content_of(name).unwrap(), content_of(same).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_kind_without_its_number_says_what_is_missing() {
        for name in ["pcm16", "gray", "wave-i24", "f64"] {
            let message = content_of(name).unwrap_err().to_string();
            assert!(message.contains(&format!("as {name}:3")), "{message}");
        }
        assert!(content_of("png").unwrap_err().to_string().contains("is no kind"));
    }

    #[test]
    fn bad_kinds_are_refused() {
        for name in [
            "gray",
            "gray:0",
            "rgb:4294967295",
            "pcm16:9",
            "png:3",
            "pcm8:x",
            "wave-i24:9",
            "wave-i40:1",
            "",
        ] {
            assert!(content_of(name).is_err(), "{name}");
        }
    }
}
