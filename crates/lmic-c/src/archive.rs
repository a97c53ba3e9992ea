//! Any range of an archive.

use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use lmic::{Archive, Error, Result};

use crate::memory::{at, bytes, bytes_mut, free, into_pointer, put};
use crate::options::{lmic_options, to_decode};
use crate::status::lmic_status::{self, LMIC_OK};
use crate::status::{Handle, guard, invalid};

/// An archive of which ranges are read, and only the blocks decoded that they touch.
pub struct lmic_archive(Handle<Archive<Box<dyn ReadSeek>>>);

trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

/// Reads up to `len` bytes at `offset` of a file to `buffer`, as pread() does; returns their number, 0 behind the end, or a
/// negative number if it fails. `context` is what was given to lmic_archive_open_with().
pub type lmic_read_at = Option<
    unsafe extern "C" fn(context: *mut c_void, offset: u64, buffer: *mut c_void, len: usize) -> i64,
>;

/// One block of an archive.
#[repr(C)]
pub struct lmic_block {
    /// Where its content begins in the content of the archive.
    raw_offset: u64,
    /// Bytes of content.
    raw_len: u64,
    /// Where it begins in the file.
    file_offset: u64,
    /// Bytes that code it, without its header and check.
    coded_len: u64,
}

/// Opens the archive in a file and reads its index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_open(
    path: *const c_char,
    options: *const lmic_options,
    archive: *mut *mut lmic_archive,
) -> lmic_status {
    // SAFETY: the header says what the pointers of callers must be.
    guard(|| unsafe {
        open(options, archive, || {
            if path.is_null() {
                return Err(invalid("the path is a null pointer"));
            }
            let path = path_of(CStr::from_ptr(path))?;
            let file = File::open(&path).map_err(|e| Error::from(e).at(path.display()))?;
            Ok(Box::new(file))
        })
    })
}

/// Opens an archive in memory, which must stay as it is until the archive is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_open_memory(
    data: *const c_void,
    len: usize,
    options: *const lmic_options,
    archive: *mut *mut lmic_archive,
) -> lmic_status {
    // SAFETY: the header says what the pointers of callers must be, and how long these bytes stay.
    guard(|| unsafe { open(options, archive, || Ok(Box::new(Cursor::new(bytes(data, len)?)))) })
}

/// Opens an archive of `len` bytes that a function reads. It is called during calls with this archive only, on their threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_open_with(
    read_at: lmic_read_at,
    context: *mut c_void,
    len: u64,
    options: *const lmic_options,
    archive: *mut *mut lmic_archive,
) -> lmic_status {
    // SAFETY: the header says what the pointers of callers must be.
    guard(|| unsafe {
        open(options, archive, || {
            let read_at = read_at.ok_or_else(|| invalid("the function is a null pointer"))?;
            let read_at = move |offset, buffer: &mut [u8]| {
                // SAFETY: the function is the caller's, and the buffer holds the bytes that it may write.
                read_at(context, offset, buffer.as_mut_ptr().cast(), buffer.len())
            };
            Ok(Box::new(Called { read_at, len, position: 0 }))
        })
    })
}

/// Frees an archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_free(archive: *mut lmic_archive) {
    // SAFETY: the caller's pointer is null, or of an archive that is not freed yet.
    guard(|| unsafe {
        free(archive);
        Ok(LMIC_OK)
    });
}

/// Bytes of content; of null 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_raw_len(archive: *const lmic_archive) -> u64 {
    // SAFETY: the caller's pointer is null or of an archive.
    unsafe { archive.as_ref() }.map_or(0, |archive| archive.0.value().raw_len())
}

/// The number of blocks; of null 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_block_count(archive: *const lmic_archive) -> usize {
    // SAFETY: the caller's pointer is null or of an archive.
    unsafe { archive.as_ref() }.map_or(0, |archive| archive.0.value().blocks().count())
}

/// Finds the block of a byte of the content: `offset` is less than lmic_archive_raw_len(). All blocks are found by going on at
/// `raw_offset + raw_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_block_at(
    archive: *mut lmic_archive,
    offset: u64,
    block: *mut lmic_block,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let archive = unsafe { at(archive, "the archive") }?.0.value();
        let streams = archive.streams();
        let stream = streams.partition_point(|stream| {
            stream.blocks.first().is_some_and(|first| first.raw_offset <= offset)
        });
        // An empty stream begins where the next one does.
        let found = streams[..stream].iter().rev().find_map(|stream| {
            let blocks = stream.blocks.partition_point(|block| block.raw_offset <= offset);
            stream.blocks[..blocks]
                .iter()
                .rev()
                .find(|block| offset - block.raw_offset < block.raw_len)
        });
        let found = found.ok_or_else(|| {
            invalid(format!("byte {offset} of {} bytes of content", archive.raw_len()))
        })?;
        let found = lmic_block {
            raw_offset: found.raw_offset,
            raw_len: found.raw_len,
            file_offset: found.file_offset,
            coded_len: found.coded_len,
        };
        // SAFETY: as above.
        unsafe { put(block, found) }?;
        Ok(LMIC_OK)
    })
}

/// Writes `len` bytes of content from `offset` on to `buffer`: all of them, or it fails. A range that passes the end is
/// LMIC_INVALID_ARGUMENT. The checks of all blocks that it touches are compared. After an error other ranges may be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lmic_archive_read(
    archive: *mut lmic_archive,
    offset: u64,
    buffer: *mut c_void,
    len: usize,
) -> lmic_status {
    guard(|| {
        // SAFETY: the header says what the pointers of callers must be.
        let (archive, mut buffer) =
            unsafe { (at(archive, "the archive")?, bytes_mut(buffer, len)?) };
        let end = offset.checked_add(len as u64).ok_or_else(|| invalid("the range passes 2^64"))?;
        archive.0.with(|archive| archive.read_range(offset..end, &mut buffer))?;
        Ok(LMIC_OK)
    })
}

/// Opens what `source` gives.
///
/// # Safety
/// `options` is null or points to options; `place` is null or may be written.
unsafe fn open(
    options: *const lmic_options,
    place: *mut *mut lmic_archive,
    source: impl FnOnce() -> Result<Box<dyn ReadSeek>>,
) -> Result<lmic_status> {
    // SAFETY: as the caller ensures.
    let options = unsafe {
        put(place, std::ptr::null_mut())?;
        to_decode(options)?
    };
    let archive = lmic_archive(Handle::new(Archive::open(source()?, options)?));
    // SAFETY: as the caller ensures.
    unsafe { put(place, into_pointer(archive)) }?;
    Ok(LMIC_OK)
}

#[cfg(unix)]
fn path_of(path: &CStr) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(path.to_bytes()).into())
}

#[cfg(not(unix))]
fn path_of(path: &CStr) -> Result<PathBuf> {
    Ok(path.to_str().map_err(|_| invalid("the path is not UTF-8"))?.into())
}

/// A file that a function of the caller reads.
struct Called<F> {
    read_at: F,
    len: u64,
    position: u64,
}

impl<F: FnMut(u64, &mut [u8]) -> i64> Read for Called<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if len == 0 {
            return Ok(0);
        }
        let read = (self.read_at)(self.position, &mut buffer[..len]);
        let read = usize::try_from(read).ok().filter(|&read| read <= len).ok_or_else(|| {
            io::Error::other(format!("reading {len} bytes at {} returned {read}", self.position))
        })?;
        self.position += read as u64;
        Ok(read)
    }
}

impl<F> Seek for Called<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
