//! Paths of a recipe to files, files to bytes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use liblzma::read::XzDecoder;

/// Reads a file, decompressing it if its name ends in `.xz`.
///
/// # Errors
/// Names the file.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if path.extension().is_none_or(|e| e != "xz") {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    XzDecoder::new_multi_decoder(&bytes[..])
        .read_to_end(&mut text)
        .with_context(|| format!("decompressing {}", path.display()))?;
    Ok(text)
}

/// The files of a path, folder or glob below `root`, sorted.
pub(super) fn expand(root: &Path, path: &str) -> Result<Vec<PathBuf>> {
    let full = root.join(path);
    let mut files = Vec::new();
    if full.exists() {
        collect(&full, &mut files)?;
    } else {
        let pattern = full.to_str().with_context(|| format!("{} is not UTF-8", full.display()))?;
        for entry in glob::glob(pattern).with_context(|| format!("glob {pattern}"))? {
            collect(&entry?, &mut files)?;
        }
    }
    files.sort();
    ensure!(
        !files.is_empty(),
        "{} matches no file; `--data DIR` says where the data is",
        full.display()
    );
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

/// All files one after another; with `records`, of files of JSON lines the texts alone.
pub(super) fn read_all(files: &[PathBuf], records: bool) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for file in files {
        let content = read_file(file)?;
        if records && display_name(file).contains(".jsonl") {
            let texts = texts_of_records(&content).with_context(|| file.display().to_string())?;
            bytes.extend(texts);
        } else {
            bytes.extend(content);
        }
    }
    Ok(bytes)
}

/// The field `t` of each line, a line each.
fn texts_of_records(lines: &[u8]) -> Result<Vec<u8>> {
    #[derive(serde::Deserialize)]
    struct Record {
        t: String,
    }
    let mut texts = Vec::new();
    for (i, line) in lines.split(|&byte| byte == b'\n').enumerate().filter(|l| !l.1.is_empty()) {
        let record: Record =
            serde_json::from_slice(line).with_context(|| format!("line {}", i + 1))?;
        texts.extend(record.t.bytes().chain([b'\n']));
    }
    Ok(texts)
}

pub(super) fn display_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xz_files_folders_and_globs_expand_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("d");
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(folder.join("b"), "bb").unwrap();
        fs::write(folder.join("deep/c"), "cc").unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        std::io::Write::write_all(&mut xz, b"aa").unwrap();
        fs::write(folder.join("a.xz"), xz.finish().unwrap()).unwrap();
        let read = |path: &str| read_all(&expand(dir.path(), path).unwrap(), false).unwrap();
        assert_eq!(read("d"), b"aabbcc");
        assert_eq!(read("d/*"), b"aabbcc");
        assert_eq!(read("d/*.xz"), b"aa");
        assert!(expand(dir.path(), "none*").is_err());
    }

    #[test]
    fn of_records_the_texts_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let lines = r#"{"id": 1, "t": "a \"b\""}

{"t": "c\nd"}"#;
        fs::write(&path, lines).unwrap();
        let read = |records| read_all(std::slice::from_ref(&path), records);
        assert_eq!(read(true).unwrap(), b"a \"b\"\nc\nd\n");
        assert_eq!(read(false).unwrap(), lines.as_bytes());
        fs::write(&path, "{\"t\": \"a\"}\n{}").unwrap();
        assert!(format!("{:#}", read(true).unwrap_err()).contains("line 2"));
    }
}
