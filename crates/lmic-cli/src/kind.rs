//! Content kinds and models in the words of the command line: `rgb:640`, `pcm16:2`, `cm-5`.

use lmic::codec::{Content, StreamModel};

/// What `--as` asks for; `None` recognises the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub Option<Content>);

/// Reads the value of `--as`.
pub fn parse(text: &str) -> Result<Kind, String> {
    let content = match text.split_once(':') {
        None if text == "auto" => return Ok(Kind(None)),
        None if text == "bytes" => Content::Bytes,
        None if text == "binary" => Content::Binary,
        Some(("gray", n)) => Content::Gray { row: number(n)? },
        Some(("rgb", n)) => Content::Rgb { row: row_of_pixels(number(n)?)? },
        Some(("pcm8", n)) => Content::Pcm8 { channels: number(n)? },
        Some(("pcm16", n)) => Content::Pcm16 { channels: number(n)? },
        _ => return Err(format!("{text:?} is no kind; {KINDS}")),
    };
    content.validate().map_err(|e| e.to_string())?;
    Ok(Kind(Some(content)))
}

const KINDS: &str = "kinds are auto, bytes, binary, gray:WIDTH, rgb:WIDTH (in pixels), pcm8:CHANNELS, pcm16:CHANNELS";

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number in range; {KINDS}"))
}

fn row_of_pixels(width: u32) -> Result<u32, String> {
    width.checked_mul(3).ok_or_else(|| format!("{width} pixels of 3 bytes are too many"))
}

/// The content as `--as` would name it; rows with padding are given in bytes.
pub fn content_name(content: Content) -> String {
    match content {
        Content::Bytes => "bytes".into(),
        Content::Binary => "binary".into(),
        Content::Records { count, .. } => format!("records:{count}"),
        Content::Gray { row } => format!("gray:{row}"),
        Content::Rgb { row } if row.is_multiple_of(3) => format!("rgb:{}", row / 3),
        Content::Rgb { row } => format!("rgb rows of {row} bytes"),
        Content::Pcm8 { channels } => format!("pcm8:{channels}"),
        Content::Pcm16 { channels } => format!("pcm16:{channels}"),
        other => format!("{other:?}"),
    }
}

/// The model of a stream: `cm-5`, `byte-3m`. A name from an archive may have any characters.
pub fn stream_model_name(model: &StreamModel) -> String {
    match model {
        StreamModel::Profile(profile) => format!("cm-{profile}"),
        StreamModel::Neural(model) | StreamModel::Tokens(model) => model.name.clone(),
        StreamModel::Primed(model) => model.name.clone(),
        StreamModel::Mixed(model) => format!("{}+cm", model.name),
        StreamModel::BuiltIn(number) => format!("mix-{number}"),
        other => format!("{other:?}"),
    }
}

/// The model of a block of `content` in a stream of `model`: `stored`, `cm-5`, `cm-5 rgb:640`, `byte-3m`.
pub fn model_name(model: &StreamModel, content: Option<Content>) -> String {
    match content {
        None => "stored".into(),
        Some(Content::Bytes) => stream_model_name(model),
        Some(Content::Records { .. }) => format!("{} records", stream_model_name(model)),
        Some(Content::Binary) => "cm-5".into(),
        Some(Content::Guided { network: 5 }) => format!("{}+cm", stream_model_name(model)),
        Some(Content::Guided { network }) => {
            format!("{}+mix-{network}", stream_model_name(model))
        }
        Some(content) => {
            let model = match model {
                StreamModel::Profile(_) => stream_model_name(model),
                mixed if mixed.is_mixed() => "cm-6".into(),
                _ => "cm-5".into(),
            };
            format!("{model} {}", content_name(content))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were_written() {
        for name in ["bytes", "binary", "gray:512", "rgb:640", "pcm8:1", "pcm16:2"] {
            let Ok(Kind(Some(content))) = parse(name) else { panic!("{name}") };
            assert_eq!(content_name(content), name);
        }
        assert_eq!(parse("auto"), Ok(Kind(None)));
    }

    #[test]
    fn rgb_width_is_in_pixels() {
        assert_eq!(parse("rgb:10"), Ok(Kind(Some(Content::Rgb { row: 30 }))));
    }

    #[test]
    fn bad_kinds_are_refused() {
        for name in ["gray", "gray:0", "rgb:4294967295", "pcm16:9", "png:3", "pcm8:x", ""] {
            assert!(parse(name).is_err(), "{name}");
        }
    }
}
