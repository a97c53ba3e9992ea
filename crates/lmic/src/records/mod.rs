//! Short records, each coded alone with a primed state: for databases, queues, radio links.
//!
//! There is no container around the code of a record. Where the record ends is part of what is coded. Where the code ends, its
//! owner must know, as every database does. In an archive, a block of lines (`block/ways/lines.rs`) holds many such codes.
use crate::coder::{Coder, RangeDecoder, RangeEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::parallel;
use crate::predict::cm::primed::Scratch;
pub use crate::predict::cm::primed::{PrimeOptions, Primed};
use crate::progress::Progress;
use crate::quantize::BitProb;
use crate::walk::CodeLength;
use std::sync::{Arc, Mutex, PoisonError};
/// First byte of a record that is stored as it is.
const STORED: u8 = 0xff; // frozen
/// Probability that a record is coded, 255/256: no code begins with [`STORED`] then.
const CODED: u32 = 255 << 8; // frozen
/// Records that a thread of a batch takes at a time: some milliseconds of work.
const BATCH_PIECE: usize = 64; // tunable
/// Compresses and decompresses short records with a primed state. Any number of threads may use one. A clone shares the state and
/// what threads write to.
///
/// ```
/// use std::sync::Arc;
/// use lmic::records::{Primed, RecordCodec};
///
/// let examples: Vec<String> = (0..200).map(|i| format!("user {i} logged in from 10.0.0.{}", i % 7)).collect();
/// let examples: Vec<&[u8]> = examples.iter().map(|example| example.as_bytes()).collect();
/// let codec = RecordCodec::new(Arc::new(Primed::learn(&examples, &Default::default())?));
///
/// let record = b"user 201 logged in from 10.0.0.3";
/// let code = codec.compress(record);
/// assert!(code.len() <= 4);
/// assert_eq!(codec.decompress(&code)?, record);
/// # Ok::<(), lmic::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RecordCodec {
    primed: Arc<Primed>,
    /// What threads write to while they code a record, kept for the next one.
    scratches: Arc<Mutex<Vec<Scratch>>>,
    check_len: usize,
    max_len: usize,
    progress: Progress,
}
impl RecordCodec {
    /// The longest record that is decoded, unless told otherwise: 1 MiB.
    pub const MAX_LEN: usize = 1 << 20; // frozen
    /// The most bytes of check.
    pub const MAX_CHECK_LEN: usize = 8; // frozen
    /// A codec without checks.
    pub fn new(primed: Arc<Primed>) -> Self {
        Self {
            primed,
            scratches: Arc::default(),
            check_len: 0,
            max_len: Self::MAX_LEN,
            progress: Progress::default(),
        }
    }
    /// Ends each code with this many bytes of check, at most [`RecordCodec::MAX_CHECK_LEN`]. One byte finds damage in 255 of 256
    /// cases, two bytes in 65535 of 65536.
    #[must_use]
    pub fn with_check(self, bytes: usize) -> Self {
        Self { check_len: bytes.min(Self::MAX_CHECK_LEN), ..self }
    }
    /// Sets the longest record that [`RecordCodec::decompress`] restores. It bounds the time and memory that a damaged code can
    /// take.
    #[must_use]
    pub fn with_max_len(self, bytes: usize) -> Self {
        Self { max_len: bytes, ..self }
    }
    /// Lets another thread stop what codes long records: [`Progress::stop`] ends them soon, a code then means nothing, and a
    /// record is an error.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// The state.
    pub fn primed(&self) -> &Arc<Primed> {
        &self.primed
    }
    /// The code of `record`: at most a byte (and the check) longer.
    pub fn compress(&self, record: &[u8]) -> Vec<u8> {
        let mut scratch = self.take();
        let code = self.compress_with(&mut scratch, record);
        self.put(scratch);
        code
    }
    /// The bits that the code of `record` takes: `-sum log2 p`, without making a code. A state that has seen the record says fewer
    /// than one that has not.
    pub fn code_length(&self, record: &[u8]) -> f64 {
        let mut scratch = self.take();
        let mut coder = CodeLength::default();
        scratch.code(&mut coder, &mut record.to_vec(), usize::MAX, &Progress::default());
        self.put(scratch);
        coder.bits()
    }

    /// The codes of many records, made on all threads. They are those of [`RecordCodec::compress`].
    pub fn compress_batch(&self, records: &[&[u8]]) -> Vec<Vec<u8>> {
        self.batch(records, |scratch, record| self.compress_with(scratch, record))
    }
    /// The record of `code`.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the code is found to be damaged. Without a check damage is mostly not found, and another record
    /// is returned.
    pub fn decompress(&self, code: &[u8]) -> Result<Vec<u8>> {
        let mut scratch = self.take();
        let record = self.decompress_with(&mut scratch, code);
        self.put(scratch);
        record
    }
    /// The records of many codes, on all threads.
    ///
    /// # Errors
    /// As [`RecordCodec::decompress`].
    pub fn decompress_batch(&self, codes: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
        self.batch(codes, |scratch, code| self.decompress_with(scratch, code)).into_iter().collect()
    }
    /// Calls `work` on all of `items` and returns the results in order. Threads take piece after piece; few items are done on one
    /// thread.
    fn batch<T: Send>(
        &self,
        items: &[&[u8]],
        work: impl Fn(&mut Scratch, &[u8]) -> T + Sync,
    ) -> Vec<T> {
        let pieces: Vec<_> = items.chunks(BATCH_PIECE).collect();
        let piece = |items: &&[&[u8]]| {
            let mut scratch = self.take();
            let results: Vec<T> = items.iter().map(|item| work(&mut scratch, item)).collect();
            self.put(scratch);
            results
        };
        parallel::map(&pieces, 0, piece).into_iter().flatten().collect()
    }

    fn compress_with(&self, scratch: &mut Scratch, record: &[u8]) -> Vec<u8> {
        let mut code = encode(scratch, record, &self.progress);
        code.extend_from_slice(self.check(record).as_slice());
        code
    }
    fn decompress_with(&self, scratch: &mut Scratch, code: &[u8]) -> Result<Vec<u8>> {
        let Some(at) = code.len().checked_sub(self.check_len) else {
            return Err(corrupt(format!(
                "a code of {} bytes with a check of {}",
                code.len(),
                self.check_len
            )));
        };
        let (code, check) = code.split_at(at);
        let record = decode(scratch, code, self.max_len, &self.progress)?;
        if self.check(&record) != check {
            return Err(corrupt("the record does not match its check".into()));
        }
        Ok(record)
    }
    fn check(&self, record: &[u8]) -> Vec<u8> {
        match self.check_len {
            0 => Vec::new(),
            len => blake3::hash(record).as_bytes()[..len].to_vec(),
        }
    }
    fn take(&self) -> Scratch {
        let kept = self.scratches.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Scratch::new(Arc::clone(&self.primed)))
    }
    fn put(&self, scratch: Scratch) {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }
}
/// The code of one record, a byte longer than it at most.
pub(crate) fn encode(scratch: &mut Scratch, record: &[u8], progress: &Progress) -> Vec<u8> {
    let mut coder = RangeEncoder::new();
    coder.bit(BitProb::new(CODED), true);
    scratch.code(&mut coder, &mut record.to_vec(), usize::MAX, progress);
    let code = coder.finish();
    if code.len() > record.len() { [&[STORED], record].concat() } else { code }
}
/// The record of `code`, of `max_len` bytes at most.
pub(crate) fn decode(
    scratch: &mut Scratch,
    code: &[u8],
    max_len: usize,
    progress: &Progress,
) -> Result<Vec<u8>> {
    let too_long = || corrupt(format!("the record does not end within {max_len} bytes"));
    if let [STORED, record @ ..] = code {
        return if record.len() > max_len { Err(too_long()) } else { Ok(record.to_vec()) };
    }
    let mut coder = RangeDecoder::new(code);
    coder.bit(BitProb::new(CODED), true);
    let mut record = Vec::with_capacity(code.len().saturating_mul(8).min(max_len));
    let ended = scratch.code(&mut coder, &mut record, max_len, progress);
    progress.check()?;
    ended.ok_or_else(too_long)?;
    Ok(record)
}
pub(crate) fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}
