//! Downloads by `curl`: goes on where it was interrupted, and compares the checksum before the file gets its name.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::sha256_of;

/// Where a file can be fetched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Download {
    /// Its address.
    pub url: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Whether it is to be unpacked into a folder of the name of the data set's path.
    pub unpack: Option<Packed>,
}

/// How a download is packed.
#[derive(Debug, Clone, Copy, Deserialize)]
pub enum Packed {
    /// tar in gzip.
    #[serde(rename = "tar.gz")]
    TarGz,
}

/// Fetches to `path`, and unpacks if it is packed.
///
/// # Errors
/// If it cannot be fetched or its hash is another, or if it cannot be unpacked.
pub fn fetch_and_unpack(download: &Download, path: &Path) -> Result<()> {
    let Some(Packed::TarGz) = download.unpack else { return fetch(download, path) };
    if path.is_dir() {
        return Ok(());
    }
    let mut archive = path.as_os_str().to_owned();
    archive.push(".tar.gz");
    fetch(download, Path::new(&archive))?;
    let folder = tempfile::tempdir_in(path.parent().context("a path without folder")?)?;
    let unzipped = flate2::read::GzDecoder::new(File::open(&archive)?);
    tar::Archive::new(unzipped).unpack(folder.path())?;
    fs::rename(folder.keep(), path)?;
    Ok(fs::remove_file(&archive)?)
}

/// Fetches to `path`.
///
/// # Errors
/// If the server fails, or what came has another checksum: then it is removed.
pub fn fetch(download: &Download, path: &Path) -> Result<()> {
    if path.is_file() && sha256_of(path)? == download.sha256 {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = Path::new(&partial);
    receive(&download.url, partial).with_context(|| download.url.clone())?;
    let found = sha256_of(partial)?;
    if found != download.sha256 {
        fs::remove_file(partial)?;
        bail!("{}: SHA-256 is {found}, not {}", download.url, download.sha256);
    }
    fs::rename(partial, path)?;
    Ok(())
}

/// Appends what is missing to `partial`.
fn receive(url: &str, partial: &Path) -> Result<()> {
    /// What curl ends with where a server knows no ranges.
    const NO_RANGES: i32 = 33;
    let shown = if std::io::stderr().is_terminal() { "--progress-bar" } else { "-sS" };
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", shown, "--continue-at", "-", "--output"])
        .arg(partial)
        .arg(url);
    let status = curl.status().context("curl is needed")?;
    if status.code() == Some(NO_RANGES) && partial.exists() {
        // Everything again.
        fs::remove_file(partial)?;
        return receive(url, partial);
    }
    ensure!(status.success(), "curl: {status}; run it again to go on");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A server of one file that breaks the first connection off in the middle, and remembers what was asked.
    fn server(content: Vec<u8>, ranges: bool) -> (String, Arc<Mutex<Vec<usize>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut from = 0;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_lowercase();
                    if let Some(range) = line.strip_prefix("range: bytes=") {
                        from = range.trim_end_matches('-').parse().unwrap();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                seen.lock().unwrap().push(from);
                if !ranges {
                    from = 0;
                }
                let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
                let (body, len) = (&content[from..], content.len());
                let range = match from {
                    0 => String::new(),
                    _ => format!("content-range: bytes {from}-{}/{len}\r\n", len - 1),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{range}connection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                let sent = if i == 0 { &body[..body.len() / 3] } else { body };
                stream.write_all(sent).unwrap();
            }
        });
        (url, asked)
    }

    fn sha256(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, content).unwrap();
        sha256_of(&path).unwrap()
    }

    #[test]
    fn an_interrupted_download_goes_on_where_it_was() {
        let content = lmic::walk::sample(lmic::predict::Uniform, 300_000, 1);
        for ranges in [true, false] {
            let (url, asked) = server(content.clone(), ranges);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("sub/file");
            let download = Download { url, sha256: sha256(&content), unpack: None };
            assert!(fetch(&download, &path).is_err());
            assert!(!path.exists());
            fetch(&download, &path).unwrap();
            assert!(fs::read(&path).unwrap() == content);
            let asked = asked.lock().unwrap();
            let count = if ranges { 2 } else { 3 }; // without, the last is for all of it
            assert!(asked.len() == count && asked[0] == 0 && asked[1] > 0, "{asked:?}");
            drop(asked);
            fetch(&Download { url: "nowhere".into(), ..download }, &path).unwrap(); // it is there
        }
    }

    #[test]
    fn another_checksum_is_an_error_and_leaves_nothing() {
        let (url, _) = server(vec![1; 1000], true);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let download = Download { url, sha256: sha256(b"other"), unpack: None };
        assert!(fetch(&download, &path).is_err()); // broken off
        let error = fetch(&download, &path).unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
