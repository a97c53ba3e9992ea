//! The streaming reader: reads blocks ahead, decodes them on worker threads, hands out checked bytes.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};

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
use crate::progress::Progress;

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
    pub(super) reader: PartReader<BufReader<R>>,
    models: Models,
    pub(super) reading_done: bool,
    /// A block whose header was read and that waits for room beside those in flight.
    pub(super) waiting: Option<Waiting>,
    /// What was read and not handed out, in order. The blocks' bytes come out of the pool.
    pub(super) events: VecDeque<Event>,
    pub(super) pool: Pool<Result<Decoded>>,
    past: Past,
    /// The hash of what was handed out of the current stream.
    hasher: blake3::Hasher,
    /// The block that is being handed out, and how many of its bytes were.
    current: Vec<u8>,
    used: usize,
    failure: Option<(ErrorKind, String)>,
}

/// A block whose payload is not read yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) block: PendingBlock,
    way: Option<Way>,
    share: Share,
    threads: usize,
}

#[derive(Debug)]
pub(super) enum Event {
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
        let progress = Progress::default();
        Self {
            reader: PartReader::new(BufReader::new(reader), progress.clone()),
            models: options.models,
            reading_done: false,
            waiting: None,
            events: VecDeque::new(),
            pool: Pool::new(options.threads, options.memory_limit, progress),
            past: Past::default(),
            hasher: blake3::Hasher::new(),
            current: Vec::new(),
            used: 0,
            failure: None,
        }
    }

    /// Bytes of content decoded so far, also while a call decodes a long block, for progress bars; and how to stop that call from
    /// another thread.
    pub fn progress(&self) -> Progress {
        self.pool.progress().clone()
    }

    /// Bytes of the archive read so far, for progress.
    pub fn archive_position(&self) -> u64 {
        self.reader.position()
    }

    /// The next decoded block; empty at the end of the archive.
    pub(super) fn next_block(&mut self) -> Result<Vec<u8>> {
        loop {
            self.read_ahead();
            match self.next_event()? {
                Some(block) if block.is_empty() => {}
                block => return Ok(block.unwrap_or_default()),
            }
        }
    }

    /// What comes of the oldest event, and `None` if there is no event. A block without content is the one of an empty stream,
    /// or stands for the end of a stream. After an error, there is only that error.
    pub(super) fn next_event(&mut self) -> Result<Option<Vec<u8>>> {
        self.check_failure()?;
        let result = self.take_event();
        if let Err(error) = &result {
            self.failure = Some((error.kind(), error.to_string()));
        }
        result
    }

    /// The error that was given out, if there was one.
    pub(super) fn check_failure(&self) -> Result<()> {
        match &self.failure {
            Some((kind, message)) => Err(Error::new(*kind, message.clone())),
            None => Ok(()),
        }
    }

    fn take_event(&mut self) -> Result<Option<Vec<u8>>> {
        match self.events.pop_front() {
            None => Ok(None),
            Some(Event::Failure(error)) => Err(error),
            Some(Event::EndOfStream(hash, end)) => {
                self.end_stream(hash, end).map(|()| Some(Vec::new()))
            }
            Some(Event::Block { last }) => {
                let block = self.pool.take().expect("a block event has its work in flight")??;
                let block = self.content(block, last)?;
                self.hasher.update(&block);
                Ok(Some(block))
            }
        }
    }

    /// Makes `block`, decoded, what is handed out next.
    pub(super) fn set_current(&mut self, block: Vec<u8>) {
        (self.current, self.used) = (block, 0);
    }

    /// Hands out bytes of the current block; returns how many. Once it is used up, its memory is given back.
    pub(super) fn hand_out(&mut self, out: &mut [u8]) -> usize {
        let left = &self.current[self.used..];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.used += len;
        if self.is_used_up() {
            self.set_current(Vec::new());
        }
        len
    }

    /// Whether all of the current block was handed out.
    pub(super) fn is_used_up(&self) -> bool {
        self.used == self.current.len()
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
            if self.waiting.is_none() {
                self.read_part();
            }
            if self.waiting.is_some() {
                if !self.has_room(0) {
                    return;
                }
                self.start_waiting();
            }
        }
    }

    /// Reads the next part of the archive, of a block the header only: it waits then.
    pub(super) fn read_part(&mut self) {
        let result = self.reader.next().and_then(|part| self.add_part(part));
        self.stop_at_failure(result);
    }

    fn add_part(&mut self, part: Option<Part>) -> Result<()> {
        match part {
            None => self.reading_done = true,
            Some(Part::EndOfStream(hash)) => {
                self.events.push_back(Event::EndOfStream(hash, self.reader.position()));
            }
            Some(Part::Block(block)) => {
                let mut way = block.way(&self.models)?;
                if let Some(way) = way.as_mut().filter(|_| block.header.last) {
                    way.set_threads(self.pool.idle_threads());
                }
                let (at_work, threads) = threads_of(&block.header, way.as_ref(), &self.pool);
                let cost = decode_cost(&block.header, way.as_ref());
                check_cost(cost, self.pool.memory_limit(), block.position)?;
                let share = Share { cost, threads };
                self.waiting = Some(Waiting { block, way, share, threads: at_work });
            }
        }
        Ok(())
    }

    fn stop_at_failure(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.reading_done = true;
            self.events.push_back(Event::Failure(error));
        }
    }

    /// Whether the block that waits may be started, with `beside` more bytes of memory in use.
    pub(super) fn has_room(&self, beside: u64) -> bool {
        self.pool.is_empty()
            || self.waiting.as_ref().is_some_and(|waiting| {
                self.pool.has_room(waiting.share, self.past.memory() + beside)
            })
    }

    /// Reads the payload of the block that waits, and starts to decode it.
    pub(super) fn start_waiting(&mut self) {
        let result = self.waiting.take().map_or(Ok(()), |waiting| self.start(waiting));
        self.stop_at_failure(result);
    }

    fn start(&mut self, Waiting { block, way, share, threads }: Waiting) -> Result<()> {
        if self.pool.is_empty() {
            // What a block needs goes before what later ones may copy.
            self.past.shrink(self.pool.memory_limit() - share.cost);
        }
        self.pool.check_available(share.cost)?;
        let last = block.header.last;
        let alone = last && self.pool.is_empty();
        let block = self.reader.payload(block)?;
        let work = move |progress: &Progress| block.decode(way.as_ref(), threads, progress);
        if alone {
            self.pool.run_here(share, work);
        } else {
            self.pool.start(share, work);
        }
        self.events.push_back(Event::Block { last });
        Ok(())
    }
}

/// How many threads decode a block, and as how many of a pool they count.
pub(super) fn threads_of<T: Send + 'static>(
    header: &BlockHeader,
    way: Option<&Way>,
    pool: &Pool<T>,
) -> (usize, usize) {
    let most = way.map_or(1, |way| way.most_threads(header.literal_len() as usize, false));
    let threads = most.clamp(1, pool.threads());
    (threads, way.map_or(threads, |way| way.busy(threads)))
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
        if self.is_used_up() && !buf.is_empty() {
            let block = self.next_block()?;
            self.set_current(block);
        }
        Ok(self.hand_out(buf))
    }
}
