//! What of an encoder is sequential: cuts input into blocks, finds what they copy of earlier ones, hashes. Coding them is the
//! heavy part, and each block may be coded anywhere.
//!
//! It never needs the input's length: a full block is held back until either more input or the end comes, so that the last block
//! can say that it is the last.

use super::block::{check_cost, encode_cost};
use super::check::prefix;
use super::cut::Cutter;
use super::message::Place;
use super::options::EncodeOptions;
use super::task::Task;
use super::trailer::ContentHash;
use crate::block::{Choice, Content, Finder, Found, HEAD_LEN, StreamModel, are_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::out_of_memory;

/// Samples of which this part repeats, beside what is copied of them, may be coded as bytes.
const WORTH_A_TRY: usize = 4; // tunable

/// Makes tasks from the input of one stream. What comes of them, in order, is for a [`StreamWriter`](super::StreamWriter).
///
/// ```
/// use lmic::container::{Planner, StreamWriter, Task};
/// use lmic::{DecodeOptions, EncodeOptions, progress::Progress};
///
/// let text = b"to be or not to be, ".repeat(100);
/// let options = EncodeOptions { level: 1, block_size: Some(512), ..EncodeOptions::default() };
/// let mut planner = Planner::new(options.clone())?;
/// let (mut input, mut tasks) = (&text[..], Vec::new());
/// while let Some(task) = planner.take(&mut input)? {
///     tasks.push(task);
/// }
/// tasks.extend(planner.finish()?);
///
/// let mut writer = StreamWriter::new(Vec::new(), &planner);
/// for task in tasks {
///     let task = Task::from_bytes(&task.to_bytes())?; // on another machine
///     writer.write(&task.encode(&DecodeOptions::default(), &Progress::default())?)?;
/// }
/// assert_eq!(writer.finish(planner.content_hash())?, lmic::compress_with(&text, &options)?);
/// # Ok::<(), lmic::Error>(())
/// ```
#[derive(Debug)]
pub struct Planner {
    options: EncodeOptions,
    model: StreamModel,
    block_size: usize,
    /// `None` until enough input is there to recognise its content.
    cutter: Option<Cutter>,
    buffer: Vec<u8>,
    /// Where the buffer begins in the input.
    position: u64,
    hasher: blake3::Hasher,
    /// Finds what later blocks copy; `None` where blocks have no copies.
    finder: Option<Finder>,
    /// The next block.
    place: Place,
    /// No more is taken: the input has ended, or a part of it could not be taken, without which the rest would be wrong.
    finished: bool,
}

impl Planner {
    /// A planner for `options`. Of the memory limit it takes only care not to gather a block that could not be coded within it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if an option is outside its documented range.
    pub fn new(options: EncodeOptions) -> Result<Self> {
        let (model, block_size) = options.validate()?;
        // Lines are bytes throughout, whatever they begin with.
        let content = options.content.or(options.records.then_some(Content::Bytes));
        let options = EncodeOptions { content, ..options };
        Ok(Self {
            model,
            block_size,
            cutter: content.map(|_| Cutter::new(block_size, content, &[])),
            buffer: Vec::new(),
            position: 0,
            hasher: blake3::Hasher::new(),
            finder: options.finder(block_size),
            place: Place::first(),
            finished: false,
            options,
        })
    }

    /// The model that the stream names.
    pub fn model(&self) -> &StreamModel {
        &self.model
    }

    /// The place of the next block.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Bytes of content in a full block.
    pub fn block_size(&self) -> usize {
        self.block_size
    }

    /// Bytes of memory that coding a full block of bytes takes.
    ///
    /// # Errors
    /// [`ErrorKind::WrongModel`] if a network of the library was left out of this build.
    pub fn block_memory(&self) -> Result<u64> {
        Ok(encode_cost(&self.block_choice()?, self.block_size, self.block_size))
    }

    /// Threads that coding a full block of bytes keeps busy.
    ///
    /// # Errors
    /// As [`Planner::block_memory`].
    pub fn block_threads(&self) -> Result<usize> {
        Ok(self.block_choice()?.take_threads(self.block_size, usize::MAX, 1))
    }

    fn block_choice(&self) -> Result<Choice> {
        let kind = self.options.kind(Content::Bytes, &self.model);
        let may_choose = self.options.content.is_none();
        Choice::new(&self.model, kind, &self.options.models(), may_choose)
    }

    /// Takes bytes from the front of `input`, up to where a block is full. `None`: all of them were taken, and no block is.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] or [`ErrorKind::OutOfMemory`] if there is no room for the block;
    /// [`ErrorKind::InvalidArgument`] after [`Planner::finish`].
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Task>> {
        self.check_open()?;
        while !input.is_empty() {
            self.look();
            let room = match self.cutter {
                None if self.buffer.len() < HEAD_LEN => HEAD_LEN - self.buffer.len(),
                // There is more input, so this block is not the last.
                _ => match self.cutter().block_len().checked_sub(self.buffer.len()) {
                    None | Some(0) => return Ok(Some(self.task(false))),
                    Some(room) => room,
                },
            };
            // Little more is gathered than what was looked at: what stands behind the end of a block is moved.
            let (now, later) = input.split_at(room.min(HEAD_LEN).min(input.len()));
            self.grow(now.len()).inspect_err(|_| self.finished = true)?;
            self.buffer.extend_from_slice(now);
            *input = later;
        }
        Ok(None)
    }

    /// The blocks of what is left at the end of the input. The last of them is the last of the stream.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it was called before.
    pub fn finish(&mut self) -> Result<Vec<Task>> {
        self.check_open()?;
        self.finished = true;
        let mut tasks = Vec::new();
        // The head that is needed to recognise what an input holds may be several blocks, and more than all of it.
        self.cutter();
        self.look();
        while self.buffer.len() > self.cutter().block_len() {
            tasks.push(self.task(false));
            self.look();
        }
        tasks.push(self.task(true));
        self.finder = None; // it may hold hundreds of MB, and no later block copies
        Ok(tasks)
    }

    /// The hash of the content of all tasks so far.
    pub fn content_hash(&self) -> ContentHash {
        prefix(&self.hasher.finalize())
    }

    fn check_open(&self) -> Result<()> {
        if self.finished {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the input was ended before, or could not be taken",
            ));
        }
        Ok(())
    }

    fn cutter(&mut self) -> &mut Cutter {
        self.cutter
            .get_or_insert_with(|| Cutter::new(self.block_size, self.options.content, &self.buffer))
    }

    /// Looks for the header of a file inside of the input, where the next block then ends.
    fn look(&mut self) {
        let gathered = self.position;
        if let Some(cutter) = &mut self.cutter {
            cutter.look(&self.buffer, gathered);
        }
    }

    /// Makes space for `more` bytes: doubling, but never beyond a block, and within the limit.
    fn grow(&mut self, more: usize) -> Result<()> {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            // What the block will need without its model, which is known when it is complete. (The
            // head may be longer than a block of the smallest sizes.)
            let cost = 2 * needed.min(self.block_size) as u64;
            check_cost(cost, self.options.memory_limit.unwrap_or(u64::MAX))?;
            let most = self.block_size.max(HEAD_LEN);
            let target = needed.max((2 * self.buffer.capacity()).min(most));
            let more = target - self.buffer.len();
            self.buffer.try_reserve_exact(more).map_err(|_| out_of_memory(more as u64))?;
        }
        Ok(())
    }

    /// The next block of the buffer.
    fn task(&mut self, last: bool) -> Task {
        let (mut block_len, content) = (self.cutter().block_len(), self.cutter().content());
        if self.options.records && !last {
            block_len = whole_lines(&self.buffer[..block_len]).unwrap_or(block_len);
        }
        let raw = if block_len < self.buffer.len() {
            self.buffer.drain(..block_len).collect()
        } else {
            std::mem::take(&mut self.buffer)
        };
        self.cutter().advance();
        self.position += raw.len() as u64;
        self.hasher.update(&raw);
        let (content, found) = self.copies(&raw, content, last);
        let place = self.place;
        self.place = place.next();
        let mut task = Task {
            place,
            model: self.model.clone(),
            kind: self.options.kind(content, &self.model),
            may_choose: self.options.content.is_none(),
            records: self.options.records,
            last,
            raw,
            found,
            undone: None,
        };
        let has_memory = self.options.memory_limit.is_none_or(|limit| limit >= Task::UNDONE_MEMORY);
        if self.may_choose() && has_memory && content == Content::Bytes {
            task.undo();
        }
        task
    }

    /// Whether content may be coded as another. Models of tokens, transformers alone and primed states know bytes as they are.
    fn may_choose(&self) -> bool {
        let is_known = matches!(self.model, StreamModel::Profile(_)) || self.model.is_mixed();
        is_known && self.options.content.is_none()
    }

    /// What of a block are copies, and what the rest is: samples that repeat themselves may be bytes to better advantage.
    fn copies(&mut self, raw: &[u8], content: Content, last: bool) -> (Content, Option<Found>) {
        let may_choose = self.may_choose();
        let Some(finder) = &mut self.finder else { return (content, None) };
        let repeats = finder.look(raw);
        let (content, found) = match content {
            Content::Bytes | Content::Binary | Content::Program(_) => {
                (content, finder.found(raw, &repeats, content.unit()))
            }
            Content::Samples(format) => {
                let units = Finder::found_in_samples(raw, &repeats, format);
                let left = units.as_ref().map_or(raw.len(), |found| found.literals.len());
                // What stands a row above or before, the models of samples know.
                let all = repeats.bytes(raw.len(), format.unit() as u64);
                let more = all.saturating_sub(raw.len() - left);
                let found = finder.found(raw, &repeats, 1);
                match may_choose
                    && more >= left / WORTH_A_TRY
                    && are_bytes(format, raw, units.as_ref(), found.as_ref())
                {
                    true => (Content::Binary, found),
                    false => (content, units),
                }
            }
        };
        if !last {
            finder.keep(raw, &repeats, found.as_ref());
        }
        (content, found)
    }

    /// Bytes of memory that are held while blocks before the end are coded: the next block, which gathers, and what later ones
    /// may copy.
    pub(super) fn memory(&self) -> u64 {
        let gathers = if self.finished { 0 } else { self.block_size.max(self.buffer.len()) as u64 };
        gathers + self.finder.as_ref().map_or(0, Finder::memory)
    }

    /// Bytes of memory that what later blocks may copy takes at most.
    pub(super) fn most_kept(&self) -> u64 {
        self.finder.as_ref().map_or(0, Finder::most_memory)
    }
}

/// Bytes up to the end of the last line that ends in `data`.
fn whole_lines(data: &[u8]) -> Option<usize> {
    data.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
}
