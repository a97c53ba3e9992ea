//! Tells what a file is by its first bytes. Names and extensions say little: weights may lie in a store of blobs without any, and
//! what was downloaded in their place (a pointer, a web page, the first half) has the right one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// How many of a file's first bytes are looked at: a tar archive says what it is behind the first 256.
const HEAD_LEN: u64 = 512;

/// Longest header that the safetensors format allows.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Formats of models, and of other files that are found where a model should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Tensors under a JSON header.
    Safetensors,
    /// A model of llama.cpp.
    Gguf,
    /// What `lmic prime` writes.
    Primed,
    /// What lmic compresses to.
    Archive,
    /// No model, but something that is known: a clause that says what it is and what to do.
    Foreign(&'static str),
    /// Nothing that is known.
    Unknown,
}

const LFS: &str =
    "is a Git LFS pointer, not the file itself (fetch the real one with `git lfs pull`)";
const ANNEX: &str = "is a git-annex pointer, not the file itself (fetch it with `git annex get`)";
const EMPTY: &str = "is empty, as a download is that was interrupted (fetch the file again)";
const ZEROS: &str = "begins with zeros, as a download does that is not complete (fetch it again)";
const PAGE: &str = "is a web page that was saved in place of the file (fetch the file itself)";
const SERVER: &str =
    "is a server's error message, not the file (fetch it again, signed in if it asks for that)";
const PYTORCH: &str = "is a file of PyTorch, which may hold programs (convert it to safetensors with \
    `save_pretrained` of transformers, or to GGUF with llama.cpp)";
const KERAS: &str = "is an HDF5 file, as Keras writes (convert it to safetensors)";
const OLD_GGML: &str = "is a file of llama.cpp from before GGUF (convert the checkpoint again)";
const JSON: &str = "is a JSON file (to use the model that it belongs to, name their folder)";
const PACKED: &str = "is compressed or packed (unpack it first)";

/// How files begin that are no models, and what is said of them.
const FOREIGN: [(&[u8], &str); 31] = [
    (b"version https://git-lfs.github.com/", LFS),
    (b"version https://hawser.github.com/", LFS),
    (b"/annex/objects/", ANNEX),
    (b"<!doctype", PAGE),
    (b"<html", PAGE),
    (b"<head", PAGE),
    (b"<?xml", PAGE),
    (b"entry not found", SERVER),
    (b"repository not found", SERVER),
    (b"not found", SERVER),
    (b"404", SERVER),
    (b"unauthorized", SERVER),
    (b"forbidden", SERVER),
    (b"access to model", SERVER),
    (b"access denied", SERVER),
    (b"invalid username", SERVER),
    (b"invalid credentials", SERVER),
    (b"{\"error\"", SERVER),
    (b"{", JSON),
    (b"pk\x03\x04", PYTORCH),
    (b"\x89hdf", KERAS),
    (b"tjgg", OLD_GGML),
    (b"fmgg", OLD_GGML),
    (b"lmgg", OLD_GGML),
    (b"algg", OLD_GGML),
    (b"\x1f\x8b", PACKED),
    (b"\x28\xb5\x2f\xfd", PACKED),
    (b"\xfd7zxz\0", PACKED),
    (b"7z\xbc\xaf\x27\x1c", PACKED),
    (b"bzh", PACKED),
    (b"\x04\x22\x4d\x18", PACKED),
];

impl FileFormat {
    /// The format of a file that begins with `head`: all of it, or 512 bytes.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [] => return Self::Foreign(EMPTY),
            [b'G', b'G', b'U', b'F', ..] => return Self::Gguf,
            [0xb1, b'L', b'M', b'P', ..] => return Self::Primed,
            [0xb1, b'L', b'M', b'C', ..] => return Self::Archive,
            _ => {}
        }
        // Safetensors files are looked for before all others, because the length of their header may begin like any of them.
        if let Some((len, [b'{', ..])) = head.split_first_chunk()
            && (2..=MAX_SAFETENSORS_HEADER).contains(&u64::from_le_bytes(*len))
        {
            return Self::Safetensors;
        }
        let head = &head[..head.len().min(HEAD_LEN as usize)];
        if head.len() >= 8 && head.iter().all(|&byte| byte == 0) {
            return Self::Foreign(ZEROS);
        }
        if matches!(head, [0x80, 2..=5, ..]) {
            return Self::Foreign(PYTORCH);
        }
        if head.get(257..262) == Some(b"ustar") {
            return Self::Foreign(PACKED);
        }
        let begins = |with: &[u8]| {
            let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
            [head, text].iter().any(|head| {
                head.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
            })
        };
        let known = FOREIGN.iter().find(|(start, _)| begins(start));
        known.map_or(Self::Unknown, |&(_, what)| Self::Foreign(what))
    }

    /// The format of a regular file.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `InvalidArgument` if it is a pipe or another thing that is no file.
    pub fn at(path: &Path) -> Result<Self> {
        let mut head = Vec::new();
        open(path)?.take(HEAD_LEN).read_to_end(&mut head).map_err(|e| unreadable(path, &e))?;
        Ok(Self::of(&head))
    }

    /// Refuses a file that should be JSON and is something else that is known.
    ///
    /// # Errors
    /// [`refused`](Self::refused).
    pub fn check_json(bytes: &[u8]) -> Result<()> {
        match Self::of(bytes) {
            Self::Foreign(JSON) | Self::Unknown => Ok(()),
            other => Err(other.refused("JSON file")),
        }
    }

    /// The error for a file that is not what is `wanted`: it says what the file is instead. If that is not known, it does not
    /// guess what the file was meant to be.
    pub fn refused(self, wanted: &str) -> Error {
        let what = match self {
            Self::Safetensors => format!("is a safetensors file, no {wanted}"),
            Self::Gguf => format!("is a GGUF file, no {wanted}"),
            Self::Primed => format!("is a primed state, no {wanted}"),
            Self::Archive => format!("is an archive of lmic, no {wanted}"),
            Self::Foreign(what) => what.into(),
            Self::Unknown => format!("is no {wanted}"),
        };
        Error::new(ErrorKind::InvalidArgument, what)
    }
}

/// Opens a regular file; opening a pipe would wait.
pub(super) fn open(path: &Path) -> Result<File> {
    if !fs::metadata(path).map_err(|e| unreadable(path, &e))?.is_file() {
        let message = format!("{path:?} is not a regular file");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    File::open(path).map_err(|e| unreadable(path, &e))
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Error {
    io::Error::new(error.kind(), format!("cannot read {path:?}: {error}")).into()
}

/// Reads a JSON file of up to `limit` bytes.
///
/// # Errors
/// `Io` if it cannot be read, `InvalidArgument` if it is no regular file, too long or something else that is known, `Corrupt` if
/// it is no text.
pub fn read_json(path: &Path, limit: u64) -> Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut text = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut text).map_err(|e| unreadable(path, &e))?;
    if text.len() as u64 > limit {
        let message = format!("{name} is longer than {limit} bytes");
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    FileFormat::check_json(&text).map_err(|e| e.at(&name))?;
    String::from_utf8(text)
        .map_err(|_| Error::new(ErrorKind::Corrupt, format!("{name} is no text in UTF-8")))
}

/// The name that a path gives to a model: its last part, without the extension `suffix`. Links are not followed, as what they
/// lead to may have a number for a name; `.` and `..` get the name of the folder that they are.
pub fn name_of(path: &Path, suffix: Option<&str>) -> String {
    let full = match path.file_name() {
        Some(_) => path.to_owned(),
        None => fs::canonicalize(path).unwrap_or_default(),
    };
    let has_suffix = |suffix| full.extension().is_some_and(|e| e.eq_ignore_ascii_case(suffix));
    let name = match suffix {
        Some(suffix) if has_suffix(suffix) => full.file_stem(),
        _ => full.file_name(),
    };
    short_name(&name.unwrap_or_default().to_string_lossy())
}

/// Longest name that an archive has for a model, in bytes.
pub const MAX_MODEL_NAME: usize = 64;

/// A name as archives can hold it: cut to the longest, and on one line.
pub fn short_name(name: &str) -> String {
    let name = name.replace(char::is_control, "_");
    let end = name.floor_char_boundary(MAX_MODEL_NAME);
    if end == 0 { "model".into() } else { name[..end].into() }
}

/// The error for a folder without weights that can be read: it says what lies there instead.
pub fn no_weights(folder: &Path) -> Error {
    let names = || {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let with = |suffixes: &[&str]| {
        let has = |name: &String| suffixes.iter().any(|suffix| name.ends_with(suffix));
        names().into_iter().find(has).map(|name| name.replace(char::is_control, "?"))
    };
    let what = if let Some(name) = with(&[".gguf", ".GGUF"]) {
        format!("has no model.safetensors, but GGUF (to use that, name the file: {name})")
    } else if let Some(name) = with(&["adapter_config.json"]) {
        format!("holds an adapter ({name}), no model (merge it into the model that it is for)")
    } else if let Some(name) = with(&[".bin", ".pth", ".pt", ".ckpt"]) {
        let how = "convert them with `save_pretrained` of transformers";
        format!("has no model.safetensors; its weights are in a file of PyTorch, {name} ({how})")
    } else if let Some(name) = with(&[".safetensors"]) {
        format!("has no model.safetensors, and no index of shards (is {name} the model?)")
    } else {
        "has no model.safetensors: a model's folder has that and config.json (check the name)"
            .into()
    };
    io::Error::new(io::ErrorKind::NotFound, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_how_files_begin() {
        let foreign = |head: &[u8]| match FileFormat::of(head) {
            FileFormat::Foreign(what) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(FileFormat::of(b"GGUF\x03\0\0\0"), FileFormat::Gguf);
        assert_eq!(FileFormat::of(b"\xb1LMP\x01"), FileFormat::Primed);
        assert_eq!(FileFormat::of(b"\xb1LMC\x01"), FileFormat::Archive);
        // 0x280 bytes of header are no pickle of protocol 2.
        assert_eq!(FileFormat::of(b"\x80\x02\0\0\0\0\0\0{\"a\""), FileFormat::Safetensors);
        assert_eq!(foreign(b"\x80\x02}q\0X"), PYTORCH);
        assert_eq!(foreign(b"PK\x03\x04\0\0"), PYTORCH);
        assert_eq!(foreign(b""), EMPTY);
        assert_eq!(foreign(&[0; 4096]), ZEROS);
        assert_eq!(foreign(b"version https://git-lfs.github.com/spec/v1\noid"), LFS);
        assert_eq!(foreign(b"\n <!DOCTYPE html><html>"), PAGE);
        assert_eq!(foreign(b"Entry not found"), SERVER);
        assert_eq!(foreign(b"{\"error\":\"gated\"}"), SERVER);
        assert_eq!(foreign(b"{ \"model_type\": 1}"), JSON);
        assert_eq!(foreign(b"tjgg\x03\0\0\0"), OLD_GGML);
        assert_eq!(foreign(b"\x1f\x8b\x08"), PACKED);
        let mut tar = [b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(foreign(&tar), PACKED);
        for unknown in [&b"GG"[..], b"no model", b"\xff\xff\xff\xff\0\0\0\0{"] {
            assert_eq!(FileFormat::of(unknown), FileFormat::Unknown);
        }
    }

    #[test]
    fn names_fit_into_archives() {
        assert_eq!(short_name("a\nb"), "a_b");
        assert_eq!(short_name(""), "model");
        // 64 bytes are 21 of three bytes, and one that is left.
        assert_eq!(short_name(&"\u{2581}".repeat(70)), "\u{2581}".repeat(21));
    }

    #[test]
    fn a_name_loses_its_own_extension_only() {
        let name = |path, suffix| name_of(Path::new(path), suffix);
        assert_eq!(name("a/Qwen2.5-0.5B", Some("gguf")), "Qwen2.5-0.5B");
        assert_eq!(name("a/Qwen2.5-0.5B.GGUF", Some("gguf")), "Qwen2.5-0.5B");
        assert_eq!(name("a/v1.5", None), "v1.5");
        assert!(!name("..", None).is_empty() && !name(".", None).starts_with('.'));
    }
}
