//! The streaming reader: reads blocks ahead, decodes them on worker threads, hands out checked bytes.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::block::{Decoded, Literals, PendingBlock, decode_cost};
use super::check::prefix;
use super::header::BlockHeader;
use super::options::DecodeOptions;
use super::past::Past;
use super::pool::{Pool, Share};
use super::reader::{Part, PartReader};
use super::source::corrupt;
use super::trailer::ContentHash;
use crate::block::{Models, Way};
use crate::error::{Error, ErrorKind, Result};

/// Decompresses an archive while it is read, without seeking. Streams that follow one another decode
/// as one. Bytes are handed out only after their block's check held; at the end of a stream of several
/// blocks, the index and the hash of the whole are compared too, so read to the end.
///
/// Errors come as [`io::Error`] with an [`Error`] inside (`error.downcast::<lmic::Error>()`).
///
/// ```
/// use std::io::Read;
/// let archive = lmic::compress(b"to be or not to be", 1)?;
/// let mut text = String::new();
/// lmic::Decoder::new(archive.as_slice()).read_to_string(&mut text)?;
/// assert_eq!(text, "to be or not to be");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder<R: Read> {
    reader: PartReader<BufReader<R>>,
    models: Models,
    reading_done: bool,
    /// A block whose header was read and that waits for room beside those in flight.
    waiting: Option<(PendingBlock, Option<Way>)>,
    /// What was read and not handed out, in order. The blocks' bytes come out of the pool.
    events: VecDeque<Event>,
    pool: Pool<Result<Decoded>>,
    past: Past,
    /// The hash of what was handed out of the current stream.
    hasher: blake3::Hasher,
    /// The block that is being handed out, and how many of its bytes were.
    current: Vec<u8>,
    used: usize,
    failure: Option<(ErrorKind, String)>,
}

#[derive(Debug)]
enum Event {
    /// A block, and whether later ones of its stream may copy from it.
    Block {
        last: bool,
    },
    /// The end of a stream: its content hash, if it has one, and where it ends in the archive.
    EndOfStream(Option<ContentHash>, u64),
    Failure(Error),
}

impl<R: Read> Decoder<R> {
    /// A decoder with default options.
    pub fn new(reader: R) -> Self {
        Self::with_options(reader, DecodeOptions::default())
    }

    /// A decoder with `options`.
    pub fn with_options(reader: R, options: DecodeOptions) -> Self {
        Self {
            reader: PartReader::new(BufReader::new(reader)),
            models: options.models,
            reading_done: false,
            waiting: None,
            events: VecDeque::new(),
            pool: Pool::new(options.threads, options.memory_limit),
            past: Past::default(),
            hasher: blake3::Hasher::new(),
            current: Vec::new(),
            used: 0,
            failure: None,
        }
    }

    /// Bytes of content decoded so far, also while a call decodes a long block: for progress bars.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.pool.progress().done()
    }

    /// Bytes of the archive read so far, for progress.
    pub fn archive_position(&self) -> u64 {
        self.reader.position()
    }

    /// The next decoded block; empty at the end of the archive.
    pub(super) fn next_block(&mut self) -> Result<Vec<u8>> {
        if let Some((kind, message)) = &self.failure {
            return Err(Error::new(*kind, message.clone()));
        }
        let result = self.advance();
        if let Err(error) = &result {
            self.failure = Some((error.kind(), error.to_string()));
        }
        result
    }

    fn advance(&mut self) -> Result<Vec<u8>> {
        loop {
            self.read_ahead();
            match self.events.pop_front() {
                None => return Ok(Vec::new()),
                Some(Event::Failure(error)) => return Err(error),
                Some(Event::EndOfStream(hash, end)) => self.end_stream(hash, end)?,
                Some(Event::Block { last }) => {
                    let block =
                        self.pool.take().expect("a block event has its work in flight")??;
                    let block = self.content(block, last)?;
                    self.hasher.update(&block);
                    // The empty block of an empty stream is not the end of the archive.
                    if !block.is_empty() {
                        return Ok(block);
                    }
                }
            }
        }
    }

    /// The content of a block, with what it copies of earlier ones.
    fn content(&mut self, block: Decoded, last: bool) -> Result<Vec<u8>> {
        let (content, literals) = match block {
            Decoded::Content(content) => (content, None),
            Decoded::Literals(block) => {
                (block.assemble(|place| self.past.from(place))?, Some(block))
            }
        };
        if !last {
            self.past.push(literals.as_ref().map_or(content.as_slice(), Literals::bytes));
        }
        Ok(content)
    }

    fn end_stream(&mut self, expected: Option<ContentHash>, end: u64) -> Result<()> {
        let found = prefix(&self.hasher.finalize());
        self.hasher.reset();
        self.past.clear();
        match expected {
            Some(expected) if expected != found => Err(corrupt(
                end,
                "the content does not match the hash of the stream that ends here",
            )),
            _ => Ok(()),
        }
    }

    /// Reads and starts blocks while there is room, but not once the oldest is decoded: a slow input
    /// must not keep back what is there.
    fn read_ahead(&mut self) {
        while !self.reading_done && (self.events.is_empty() || !self.pool.is_ready()) {
            match self.read_event() {
                Ok(Some(event)) => self.events.push_back(event),
                Ok(None) => return,
                Err(error) => {
                    self.reading_done = true;
                    self.events.push_back(Event::Failure(error));
                }
            }
        }
    }

    /// The next event; `None` at the end of the archive, or while a block waits for room.
    fn read_event(&mut self) -> Result<Option<Event>> {
        let (block, way) = match self.waiting.take() {
            Some(waiting) => waiting,
            None => match self.reader.next()? {
                Some(Part::Block(block)) => {
                    let mut way = block.way(&self.models)?;
                    if let Some(way) = way.as_mut().filter(|_| block.header.last) {
                        way.set_threads(self.pool.idle_threads());
                    }
                    (block, way)
                }
                Some(Part::EndOfStream(hash)) => {
                    return Ok(Some(Event::EndOfStream(hash, self.reader.position())));
                }
                None => {
                    self.reading_done = true;
                    return Ok(None);
                }
            },
        };
        let threads = threads_of(&block.header, way.as_ref(), &self.pool);
        let cost = decode_cost(&block.header, way.as_ref());
        let share = Share { cost, threads };
        check_cost(cost, self.pool.memory_limit(), block.position)?;
        if !self.pool.is_empty() && !self.pool.has_room(share, self.past.memory()) {
            self.waiting = Some((block, way));
            return Ok(None);
        }
        if self.pool.is_empty() {
            // What a block needs goes before what later ones may copy.
            self.past.shrink(self.pool.memory_limit() - cost);
        }
        self.pool.check_available(cost)?;
        let last = block.header.last;
        self.start(share, block, way)?;
        Ok(Some(Event::Block { last }))
    }

    fn start(&mut self, share: Share, block: PendingBlock, way: Option<Way>) -> Result<()> {
        let alone = block.header.last && self.pool.is_empty();
        let block = self.reader.payload(block)?;
        if alone {
            self.pool.run_here(share, move |progress| {
                block.decode(way.as_ref(), share.threads, progress)
            });
        } else {
            self.pool
                .start(share, move |progress| block.decode(way.as_ref(), share.threads, progress));
        }
        Ok(())
    }
}

/// How many threads of a pool a block keeps busy.
pub(super) fn threads_of<T: Send + 'static>(
    header: &BlockHeader,
    way: Option<&Way>,
    pool: &Pool<T>,
) -> usize {
    way.map_or(1, |way| way.most_threads(header.literal_len() as usize)).clamp(1, pool.threads())
}

/// Refuses a block that does not fit into the memory limit even alone.
pub(super) fn check_cost(cost: u64, limit: u64, position: u64) -> Result<()> {
    if cost <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::MemoryLimit,
        format!(
            "at byte {position}: decoding this block needs {cost} bytes of memory, the limit is {limit}"
        ),
    ))
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.used == self.current.len() && !buf.is_empty() {
            self.used = 0;
            self.current = Vec::new(); // its memory goes back before the next block is waited for
            self.current = self.next_block()?;
        }
        let left = &self.current[self.used..];
        let len = left.len().min(buf.len());
        buf[..len].copy_from_slice(&left[..len]);
        self.used += len;
        Ok(len)
    }
}
