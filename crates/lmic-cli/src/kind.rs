//! Content kinds and models in the words of the command line: `rgb:640`, `pcm16:2`, `cm-5`.

use lmic::block::{Content, Kind, SampleFormat, StreamModel};

/// What `--as` asks for; `None` recognises the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked(pub Option<Content>);

/// Reads the value of `--as`.
pub fn parse(text: &str) -> Result<Asked, String> {
    let content = match text.split_once(':') {
        None if text == "auto" => return Ok(Asked(None)),
        None if text == "bytes" => Content::Bytes,
        None if text == "binary" => Content::Binary,
        Some(("gray", n)) => Content::Samples(SampleFormat::Gray { row: number(n)? }),
        Some(("rgb", n)) => Content::Samples(SampleFormat::Rgb { row: row_of_pixels(number(n)?)? }),
        Some(("pcm8", n)) => Content::Samples(SampleFormat::Pcm8 { channels: number(n)? }),
        Some(("pcm16", n)) => Content::Samples(SampleFormat::Pcm16 { channels: number(n)? }),
        _ => return Err(format!("{text:?} is no kind; {KINDS}")),
    };
    content.validate().map_err(|e| e.to_string())?;
    Ok(Asked(Some(content)))
}

const KINDS: &str = "kinds are auto, bytes, binary, gray:WIDTH, rgb:WIDTH (in pixels), pcm8:CHANNELS, pcm16:CHANNELS";

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number in range; {KINDS}"))
}

fn row_of_pixels(width: u32) -> Result<u32, String> {
    width.checked_mul(3).ok_or_else(|| format!("{width} pixels of 3 bytes are too many"))
}

/// A format of samples as `--as` would name it; rows with padding are given in bytes.
pub fn format_name(format: SampleFormat) -> String {
    match format {
        SampleFormat::Gray { row } => format!("gray:{row}"),
        SampleFormat::Rgb { row } if row.is_multiple_of(3) => format!("rgb:{}", row / 3),
        SampleFormat::Rgb { row } => format!("rgb rows of {row} bytes"),
        SampleFormat::Pcm8 { channels } => format!("pcm8:{channels}"),
        SampleFormat::Pcm16 { channels } => format!("pcm16:{channels}"),
    }
}

/// The model of a stream: `cm-5`, `byte-3m`. A name from an archive may have any characters.
pub fn stream_model_name(model: &StreamModel) -> String {
    match model {
        StreamModel::Profile(profile) => format!("cm-{profile}"),
        StreamModel::Network(model) | StreamModel::Tokens(model) => model.name.clone(),
        StreamModel::Primed(model) => model.name.clone(),
        StreamModel::Mixed(model) => format!("{}+cm", model.name),
        StreamModel::BuiltIn(number) => format!("mix-{number}"),
        StreamModel::Unknown(number) => format!("model-{number}"),
        other => format!("{other:?}"),
    }
}

/// The model of a block of `kind` in a stream of `model`: `stored`, `cm-5`, `cm-5 rgb:640`, `byte-3m`.
pub fn model_name(model: &StreamModel, kind: Kind) -> String {
    let name = || stream_model_name(model);
    match kind {
        Kind::Stored => "stored".into(),
        Kind::Unknown { tag, .. } => format!("kind-{tag}"),
        _ if model.needs_newer(kind) => name(),
        Kind::Bytes => name(),
        Kind::Records { .. } => format!("{} records", name()),
        Kind::Unmixed => "cm-5".into(),
        Kind::Lanes { lanes } => format!("{} lanes:{lanes}", name()),
        Kind::Guided { network: 5 } => format!("{}+cm", name()),
        Kind::Guided { network } => format!("{}+mix-{network}", name()),
        Kind::Samples(format) => {
            let model = match model {
                StreamModel::Profile(_) => name(),
                mixed if mixed.is_mixed() => "cm-6".into(),
                _ => "cm-5".into(),
            };
            format!("{model} {}", format_name(format))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were_written() {
        for name in ["gray:512", "rgb:640", "pcm8:1", "pcm16:2"] {
            let Ok(Asked(Some(Content::Samples(format)))) = parse(name) else { panic!("{name}") };
            assert_eq!(format_name(format), name);
        }
        assert_eq!(parse("auto"), Ok(Asked(None)));
    }

    #[test]
    fn rgb_width_is_in_pixels() {
        assert_eq!(
            parse("rgb:10"),
            Ok(Asked(Some(Content::Samples(SampleFormat::Rgb { row: 30 }))))
        );
    }

    #[test]
    fn bad_kinds_are_refused() {
        for name in ["gray", "gray:0", "rgb:4294967295", "pcm16:9", "png:3", "pcm8:x", ""] {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
