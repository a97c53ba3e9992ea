//! Whole inputs in memory.

use std::io::{self, Read};

use lmic::{Decoder, Encoder, Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::buffer::Buffer;
use crate::errors::exception;
use crate::keys::writer;
use crate::options::{Keywords, number};
use crate::work::{bytes, run, run_long};

/// Compresses `data`, anything with contiguous bytes, at `level` 1 (fast) to 8 (small).
///
/// Options, called as those of the command: `threads` (0: one per core; the result is the same for any number), `memory` (bytes to
/// keep to, as a number or as "2G"; None is no limit), `block_size`, `content` (what `--as` takes: "bytes", "rgb:640", ...),
/// `model` and `primed` (a path, or a name in the model folder), `records`; with a model `alone`, `context`, `overlap`, `lanes`.
///
/// With `recipients` (public keys: "age1...", "ssh-ed25519 ...", one or several) or `passphrase` it is encrypted, as `lmic --encrypt` has it;
/// `pad=False` leaves the padding out.
///
/// Without these, the bytes are those that the command writes. `data` is not copied as a whole; another thread must not change it meanwhile, or
/// a mixture of old and new bytes is compressed.
///
/// >>> import lmic
/// >>> archive = lmic.compress(b"to be, or not to be, that is the question. " * 20, 1)
/// >>> len(archive) < 200
/// True
#[pyfunction]
#[pyo3(signature = (data, level=None, **options))]
pub fn compress<'py>(
    py: Python<'py>,
    mut data: Buffer,
    #[pyo3(from_py_with = number)] level: Option<u8>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut keywords = Keywords::new(options)?;
    let options = keywords.encode_options(level)?;
    let encryption = keywords.encryption()?;
    keywords.finish()?;
    let writer = run(py, || writer(Vec::new(), encryption))?;
    let mut encoder = Encoder::with_options(writer, options).map_err(exception)?;
    let progress = encoder.progress();
    let archive = run_long(py, &progress, || {
        io::copy(&mut data, &mut encoder)?;
        Ok(encoder.finish()?.finish()?)
    })?;
    bytes(py, &archive)
}

/// Restores what an archive holds, all of its streams.
///
/// If that has more than `max_length` bytes, or than the memory limit, it raises `MemoryLimitError`, as a few bytes of archive may
/// hold gigabytes; `open` and `LmicDecompressor` restore any length. Options: `threads`, `memory`, `model`, `primed`, as for
/// `compress`; for encrypted archives `identities` (paths of identity files, or their contents as bytes; one or several) or `passphrase`.
///
/// >>> import lmic
/// >>> lmic.decompress(lmic.compress(b"to be", 1), max_length=5)
/// b'to be'
#[pyfunction]
#[pyo3(signature = (data, *, max_length=-1, **options))]
pub fn decompress<'py>(
    py: Python<'py>,
    data: Buffer,
    max_length: i64,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut keywords = Keywords::new(options)?;
    let options = keywords.decode_options()?;
    let keys = keywords.keys()?;
    keywords.finish()?;
    let limit = options.memory_limit;
    let data = run(py, || keys.open(data))?;
    let mut decoder = Decoder::with_options(data, options);
    let progress = decoder.progress();
    let most = u64::try_from(max_length).unwrap_or(u64::MAX).min(limit.unwrap_or(u64::MAX));
    let content = run_long(py, &progress, || {
        let mut content = Vec::new();
        (&mut decoder).take(most.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > most {
            let message =
                format!("the content has more than {most} bytes; lmic.open reads any length");
            return Err(Error::new(ErrorKind::MemoryLimit, message));
        }
        Ok(content)
    })?;
    bytes(py, &content)
}
