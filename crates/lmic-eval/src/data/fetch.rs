//! Downloads: goes on where it was interrupted, and compares the checksum before the file gets its name.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

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
pub fn fetch_and_unpack(
    download: &Download,
    path: &Path,
    progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    let Some(Packed::TarGz) = download.unpack else { return fetch(download, path, progress) };
    if path.is_dir() {
        return Ok(());
    }
    let mut archive = path.as_os_str().to_owned();
    archive.push(".tar.gz");
    fetch(download, Path::new(&archive), progress)?;
    let folder = tempfile::tempdir_in(path.parent().context("a path without folder")?)?;
    let unzipped = flate2::read::GzDecoder::new(File::open(&archive)?);
    tar::Archive::new(unzipped).unpack(folder.path())?;
    fs::rename(folder.keep(), path)?;
    Ok(fs::remove_file(&archive)?)
}

/// Fetches to `path`, with `progress` told how many bytes are there, of how many.
///
/// # Errors
/// If the server fails, or what came has another checksum: then it is removed.
pub fn fetch(
    download: &Download,
    path: &Path,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<()> {
    if path.is_file() && sha256_of(path)? == download.sha256 {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = Path::new(&partial);
    receive(&download.url, partial, &mut progress).with_context(|| download.url.clone())?;
    let found = sha256_of(partial)?;
    if found != download.sha256 {
        fs::remove_file(partial)?;
        bail!("{}: SHA-256 is {found}, not {}", download.url, download.sha256);
    }
    fs::rename(partial, path)?;
    Ok(())
}

/// Appends what is missing to `partial`.
fn receive(url: &str, partial: &Path, progress: &mut impl FnMut(u64, Option<u64>)) -> Result<()> {
    let mut have = partial.metadata().map_or(0, |m| m.len());
    let mut request = ureq::get(url).config().http_status_as_error(false).build();
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call()?;
    let status = response.status().as_u16();
    match status {
        206 => {}
        // All of it is there, or more than there is: the checksum will tell.
        416 => return Ok(()),
        // A server that knows no ranges sends everything again.
        200 => have = 0,
        _ => bail!("status {status}"),
    }
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(have > 0)
        .truncate(have == 0)
        .open(partial)?;
    let length = response.headers().get("content-length");
    let length = length.and_then(|l| l.to_str().ok()?.parse::<u64>().ok()).map(|l| l + have);
    copy(&mut response.body_mut().as_reader(), &mut file, &mut have, |have| {
        progress(have, length)
    })?;
    if let Some(length) = length {
        ensure!(
            have == length,
            "the connection ended after {have} of {length} bytes; run it again"
        );
    }
    Ok(())
}

fn copy(
    from: &mut impl Read,
    to: &mut File,
    have: &mut u64,
    mut progress: impl FnMut(u64),
) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
        *have += count as u64;
        progress(*have);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
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
                let body = &content[from..];
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                let sent = if i == 0 { &body[..body.len() / 2] } else { body };
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
            assert!(fetch(&download, &path, |_, _| {}).is_err());
            assert!(!path.exists());
            fetch(&download, &path, |_, _| {}).unwrap();
            assert!(fs::read(&path).unwrap() == content);
            let asked = asked.lock().unwrap();
            assert!(asked.len() == 2 && asked[0] == 0 && asked[1] > 0, "{asked:?}");
            drop(asked);
            fetch(&download, &path, |_, _| panic!("it is there")).unwrap();
        }
    }

    #[test]
    fn another_checksum_is_an_error_and_leaves_nothing() {
        let (url, _) = server(vec![1; 1000], true);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let download = Download { url, sha256: sha256(b"other"), unpack: None };
        assert!(fetch(&download, &path, |_, _| {}).is_err()); // broken off
        let error = fetch(&download, &path, |_, _| {}).unwrap_err();
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
