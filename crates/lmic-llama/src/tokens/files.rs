//! Vocabularies from `tokenizer.json` and from GGUF files.
//!
//! Both end as the JSON of a byte-pair encoding that holds only what was looked at: no normaliser (spaces are marked by us, Unicode
//! is left as it is), no special tokens, no post-processing. Pieces are read from the tokens' names: in GPT-2's alphabet of bytes
//! ("byte level"), or as text with marked spaces and `<0x0A>` for bytes.

use std::collections::{BTreeMap, HashMap};

use lmic::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::{MARK, Tokens};
use crate::gguf;
use crate::shape::{MAX_VOCAB, refused, shown};

/// How names of tokens are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A letter of GPT-2's alphabet for each byte.
    ByteLevel,
    /// Text, `▁` for a space, `<0x0A>` for a byte.
    Marked,
}

/// Reads a `tokenizer.json` for a model of `vocab` tokens, whose configuration names the start token or not.
///
/// # Errors
/// `Corrupt` if it is none, `InvalidArgument` if it is of a kind that is not supported.
pub fn from_json(text: &str, vocab: usize, start: Option<u32>) -> Result<Tokens> {
    let json: Value = serde_json::from_str(text)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("tokenizer.json: {e}")))?;
    let model = json.get("model").ok_or_else(|| corrupt("no model"))?;
    let kind = model.get("type").and_then(Value::as_str).unwrap_or("BPE");
    if kind != "BPE" {
        return Err(refused("tokenizer.json model.type", kind, "BPE"));
    }
    let names = model.get("vocab").and_then(Value::as_object);
    let names = names.ok_or_else(|| corrupt("no vocabulary"))?;
    let mut tokens = BTreeMap::new();
    for (name, id) in names {
        tokens.insert(id_of(id)?, name.as_str());
    }
    let added = added_tokens(&json)?;
    let style = style_of(&json);
    let mut pieces = vec![Box::default(); vocab];
    for (&id, name) in &tokens {
        // A tokenizer may have more tokens than the model.
        if let Some(piece) = pieces.get_mut(id as usize) {
            *piece = piece_of(name, style);
        }
    }
    for token in &added {
        if let Some(piece) = pieces.get_mut(token.id as usize) {
            *piece = if token.special { Box::default() } else { token.content.as_bytes().into() };
        }
    }
    let start = start.filter(|&id| (id as usize) < vocab);
    let start = start.unwrap_or_else(|| usual_start(&added, vocab));
    let (space_before, tokenizer) = rebuilt(&json, model, names, &added, style);
    let tokenizer = built(&tokenizer)?;
    Tokens::new(pieces, start, space_before, style == Style::Marked, Some(tokenizer))
}

/// The start token of a model whose configuration names none: a token with one of the usual names for it, otherwise the one that
/// ends a text.
fn usual_start(added: &[Added<'_>], vocab: usize) -> u32 {
    let names = ["<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>", "</s>"];
    let named = |name: &&str| added.iter().find(|t| t.content == *name && (t.id as usize) < vocab);
    names.iter().find_map(named).map_or(0, |token| token.id)
}

/// A token that is not in the vocabulary of the byte-pair encoding.
struct Added<'a> {
    id: u32,
    content: &'a str,
    special: bool,
    json: &'a Value,
}

fn added_tokens(json: &Value) -> Result<Vec<Added<'_>>> {
    let list = json.get("added_tokens").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|token| {
            let id = id_of(token.get("id").unwrap_or(&Value::Null))?;
            let content = token.get("content").and_then(Value::as_str);
            let content = content.ok_or_else(|| corrupt("an added token without content"))?;
            let special = token.get("special").and_then(Value::as_bool).unwrap_or(true);
            Ok(Added { id, content, special, json: token })
        })
        .collect()
}

fn id_of(id: &Value) -> Result<u32> {
    let small = id.as_u64().and_then(|id| u32::try_from(id).ok());
    small.ok_or_else(|| corrupt(format!("token number {}", shown(&id.to_string()))))
}

/// Whether any part of `value` is an object of this type.
fn mentions(value: &Value, kind: &str) -> bool {
    match value {
        Value::Object(map) => {
            map.get("type").and_then(Value::as_str) == Some(kind)
                || map.values().any(|value| mentions(value, kind))
        }
        Value::Array(list) => list.iter().any(|value| mentions(value, kind)),
        _ => false,
    }
}

fn style_of(json: &Value) -> Style {
    let parts = [&json["pre_tokenizer"], &json["decoder"]];
    match parts.iter().any(|part| mentions(part, "ByteLevel")) {
        true => Style::ByteLevel,
        false => Style::Marked,
    }
}

/// What a token's name stands for.
fn piece_of(name: &str, style: Style) -> Box<[u8]> {
    match style {
        Style::ByteLevel => {
            let bytes: Option<Box<[u8]>> = name.chars().map(byte_of_letter).collect();
            bytes.unwrap_or_else(|| name.as_bytes().into())
        }
        Style::Marked => match byte_of_name(name) {
            Some(byte) => Box::from([byte]),
            None => name.replace(MARK, " ").into_bytes().into(),
        },
    }
}

/// `<0x0A>`.
fn byte_of_name(name: &str) -> Option<u8> {
    let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_byte = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_byte.then(|| u8::from_str_radix(digits, 16).ok())?
}

/// GPT-2's alphabet: printable bytes of Latin-1 are themselves, the others follow U+0100 in order.
fn byte_of_letter(letter: char) -> Option<u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(letter) {
        code @ 0..=0xff => Some(code as u8).filter(|&byte| printable(byte)),
        code => (0..=255).filter(|&byte| !printable(byte)).nth(code as usize - 0x100),
    }
}

/// The JSON that the library is given, and whether a space is put before texts.
fn rebuilt(
    json: &Value,
    model: &Value,
    names: &serde_json::Map<String, Value>,
    added: &[Added<'_>],
    style: Style,
) -> (bool, Value) {
    let mut vocab = names.clone();
    let mut kept = Vec::new();
    for token in added.iter().filter(|token| !token.special) {
        vocab.insert(token.content.into(), token.id.into());
        kept.push(token.json.clone());
    }
    let mut space_before = mentions(&json["normalizer"], "Prepend");
    let before = match style {
        Style::ByteLevel => {
            let mut before = json["pre_tokenizer"].clone();
            space_before |= without_prefix(&mut before);
            before
        }
        Style::Marked => match find(&json["pre_tokenizer"], "Metaspace") {
            Some(space) => {
                let scheme = space.get("prepend_scheme").and_then(Value::as_str);
                let old = space.get("add_prefix_space").and_then(Value::as_bool);
                space_before |= scheme.map_or(old.unwrap_or(true), |scheme| scheme != "never");
                let split = space.get("split").and_then(Value::as_bool).unwrap_or(true);
                json!({"type": "Metaspace", "replacement": MARK, "prepend_scheme": "never", "split": split})
            }
            None => Value::Null,
        },
    };
    let copied = |key: &str| model.get(key).cloned().unwrap_or(Value::Null);
    let flag = |key: &str| model.get(key).and_then(Value::as_bool).unwrap_or(false);
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": kept,
        "normalizer": null, "pre_tokenizer": before, "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": copied("unk_token"),
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": flag("fuse_unk"), "byte_fallback": flag("byte_fallback"),
            "ignore_merges": flag("ignore_merges"), "vocab": vocab, "merges": copied("merges"),
        },
    });
    (space_before, json)
}

/// The first object of a type.
fn find<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some(kind) => Some(value),
        Value::Object(map) => map.values().find_map(|value| find(value, kind)),
        Value::Array(list) => list.iter().find_map(|value| find(value, kind)),
        _ => None,
    }
}

/// Turns off the space that a pre-tokenizer puts before texts; returns whether it was on.
fn without_prefix(value: &mut Value) -> bool {
    match value {
        Value::Object(map) => {
            let is_level = map.get("type").and_then(Value::as_str) == Some("ByteLevel");
            let was_on = is_level && map.get("add_prefix_space") != Some(&Value::Bool(false));
            if is_level {
                map.insert("add_prefix_space".into(), false.into());
            }
            map.values_mut().fold(was_on, |on, value| without_prefix(value) | on)
        }
        Value::Array(list) => list.iter_mut().fold(false, |on, value| without_prefix(value) | on),
        _ => false,
    }
}

fn built(json: &Value) -> Result<tokenizers::Tokenizer> {
    // The library may panic if a file holds something that it does not expect.
    let text = json.to_string();
    let built = std::panic::catch_unwind(|| text.parse::<tokenizers::Tokenizer>());
    match built {
        Ok(Ok(tokenizer)) => Ok(tokenizer),
        Ok(Err(error)) => Err(corrupt(shown(&error.to_string()))),
        Err(_) => Err(corrupt("its parts do not fit together")),
    }
}

/// Regular expressions of GPT-2 and of later families, by what GGUF files call them.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Reads the tokenizer of a GGUF file for a model of `vocab` tokens.
///
/// # Errors
/// As [`from_json`].
pub fn from_gguf(file: &gguf::File<'_>, vocab: usize) -> Result<Tokens> {
    const NAMES: &str = "tokenizer.ggml.tokens";
    let Some(gguf::Value::Texts(names)) = file.metadata.get(NAMES) else {
        return Err(corrupt(format!("no list of strings {NAMES}")));
    };
    // A few more than the model has do no harm.
    if names.len() > MAX_VOCAB {
        return Err(refused(
            NAMES,
            format!("a list of {}", names.len()),
            format!("{MAX_VOCAB} at most"),
        ));
    }
    let kinds = match file.metadata.get("tokenizer.ggml.token_type") {
        Some(gguf::Value::Signeds(kinds)) => kinds.as_slice(),
        _ => &[],
    };
    let style = match file.text("tokenizer.ggml.model")?.unwrap_or_default() {
        "gpt2" => Style::ByteLevel,
        "llama" => Style::Marked,
        other => return Err(refused("tokenizer.ggml.model", other, "gpt2, llama")),
    };
    // 2 unknown, 3 control, 5 unused; 4 is of the user, in plain text, like all others.
    let stands_for_nothing = |id: usize| matches!(kinds.get(id), Some(2 | 3 | 5));
    let mut pieces = vec![Box::default(); vocab];
    for (id, name) in names.iter().enumerate().take(vocab) {
        if !stands_for_nothing(id) {
            pieces[id] = match kinds.get(id) {
                Some(4) if style == Style::ByteLevel => name.as_bytes().into(),
                _ => piece_of(name, style),
            };
        }
    }
    let merges = match style {
        Style::ByteLevel => match file.metadata.get("tokenizer.ggml.merges") {
            Some(gguf::Value::Texts(merges)) => merges.clone(),
            _ => return Err(corrupt("no list of strings tokenizer.ggml.merges")),
        }
        .into_iter()
        .filter_map(|merge| merge.split_once(' ').map(|(a, b)| json!([a, b])))
        .collect(),
        Style::Marked => merges_by_score(file, names)?,
    };
    let before = match style {
        Style::ByteLevel => split_by(file.text("tokenizer.ggml.pre")?.unwrap_or_default()),
        Style::Marked => Value::Null,
    };
    let mut by_name = serde_json::Map::new();
    for (id, name) in names.iter().enumerate().filter(|(id, _)| !stands_for_nothing(*id)) {
        by_name.entry(name.clone()).or_insert_with(|| id.into());
    }
    let user = names.iter().enumerate().filter(|(id, _)| kinds.get(*id) == Some(&4));
    let user: Vec<Value> = user
        .map(|(id, name)| {
            let content = if style == Style::Marked { name.replace(MARK, " ") } else { name.clone() };
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": false})
        })
        .collect();
    let marked = style == Style::Marked;
    let tokenizer = built(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": user,
        "normalizer": null, "pre_tokenizer": before, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": marked,
                  "ignore_merges": file.text("tokenizer.ggml.pre")? == Some("llama-bpe"),
                  "vocab": by_name, "merges": merges},
    }))?;
    let space_before =
        file.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(style == Style::Marked);
    let start = gguf_start(file, style, vocab)?;
    Tokens::new(pieces, start, space_before, marked, Some(tokenizer))
}

/// What stands before texts. Where a file does not say it, llama.cpp has a number for each kind of tokenizer. For byte-level ones it
/// puts nothing before texts then; we need something, and what ends a text stands before the next one.
fn gguf_start(file: &gguf::File<'_>, style: Style, vocab: usize) -> Result<u32> {
    let id = |name: &str| {
        let id = file.optional_size(&format!("tokenizer.ggml.{name}_token_id"))?;
        Ok::<_, Error>(id.filter(|&id| id < vocab))
    };
    let start = match (id("bos")?, style) {
        (Some(bos), _) => bos,
        (None, Style::Marked) => 1,
        (None, Style::ByteLevel) => id("eos")?.unwrap_or(11),
    };
    Ok(if start < vocab { start as u32 } else { 0 })
}

fn split_by(pre: &str) -> Value {
    let regex = match pre {
        "llama-bpe" | "llama3" => LLAMA3,
        "qwen2" | "deepseek-r1-qwen" => QWEN2,
        _ => GPT2, // to cut text in another way than in training makes the code longer, but not wrong
    };
    let mut parts = vec![
        json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false}),
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}),
    ];
    if pre == "smollm" {
        parts.insert(0, json!({"type": "Digits", "individual_digits": true}));
    }
    json!({"type": "Sequence", "pretokenizers": parts})
}

/// Merges of a SentencePiece vocabulary: of two neighbours those whose union has the best score are joined first.
fn merges_by_score(file: &gguf::File<'_>, names: &[String]) -> Result<Vec<Value>> {
    let Some(gguf::Value::Floats(scores)) = file.metadata.get("tokenizer.ggml.scores") else {
        return Err(corrupt("no list of numbers tokenizer.ggml.scores"));
    };
    /// Longer names make no merges, because they could be halved in too many ways.
    const LONGEST: usize = 128;
    /// The most merges. Gemma's 256,000 tokens have 580,604. A vocabulary that was made to take memory could have as many for each
    /// name as the name has bytes.
    const MOST: usize = 1 << 21;
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for (id, name) in names.iter().enumerate() {
        ids.entry(name).or_insert(id);
    }
    let mut merges = Vec::new();
    for (id, name) in names.iter().enumerate().filter(|(_, name)| name.len() <= LONGEST) {
        // A name that stands twice in the vocabulary would have its merges twice.
        if byte_of_name(name).is_some() || ids[name.as_str()] != id {
            continue;
        }
        let score = scores.get(id).copied().unwrap_or(f32::MIN);
        for (at, _) in name.char_indices().skip(1) {
            let (a, b) = name.split_at(at);
            if let (Some(&x), Some(&y)) = (ids.get(a), ids.get(b)) {
                merges.push((score, x, y, a, b));
            }
        }
        if merges.len() > MOST {
            return Err(corrupt(format!("more than {MOST} merges of tokenizer.ggml.tokens")));
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    Ok(merges.into_iter().map(|(_, _, _, a, b)| json!([a, b])).collect())
}

fn corrupt(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, format!("tokenizer: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_gpt2_stand_for_all_bytes() {
        let mut seen: Vec<u8> = ('\0'..='\u{200}').filter_map(byte_of_letter).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
        assert_eq!(
            [byte_of_letter('Ġ'), byte_of_letter('Ċ'), byte_of_letter('a')],
            [Some(b' '), Some(b'\n'), Some(b'a')]
        );
    }

    #[test]
    fn names_of_bytes_are_two_digits() {
        assert_eq!([byte_of_name("<0x0A>"), byte_of_name("<0xff>")], [Some(10), Some(255)]);
        for name in ["<0x0A", "<0x+A>", "<0xA>", "0x0A", "<0x0A0>"] {
            assert_eq!(byte_of_name(name), None, "{name}");
        }
    }

    fn scored(names: Vec<String>) -> Result<Vec<Value>> {
        let scores = (0..names.len()).map(|id| -(id as f32)).collect();
        let metadata = [("tokenizer.ggml.scores".into(), gguf::Value::Floats(scores))];
        let file = gguf::File { metadata: metadata.into(), tensors: BTreeMap::new() };
        merges_by_score(&file, &names)
    }

    #[test]
    fn merges_follow_scores_and_names_that_stand_twice_count_once() {
        let names = ["a", "b", "c", "bc", "abc", "ab", "ab", "ab", "<0x61>"].map(String::from);
        let merges = scored(names.into()).unwrap();
        let expected = [("b", "c"), ("a", "bc"), ("ab", "c"), ("a", "b")];
        assert_eq!(merges, expected.map(|(a, b)| json!([a, b])));
    }

    /// Every part of such a name is a name: 47,905 of them have 47 merges each.
    #[test]
    fn a_vocabulary_made_for_many_merges_is_refused() {
        let mut names = Vec::new();
        for a in 0..=64 {
            for b in 0..=64 - a {
                for c in 0..=64 - a - b {
                    names.push(["a".repeat(a), "b".repeat(b), "c".repeat(c)].concat());
                }
            }
        }
        let error = scored(names).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("more than 2097152 merges"), "{error}");
    }
}
