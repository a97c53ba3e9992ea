//! A block that is to be coded, with all that coding it needs but the models: on a thread of this process, or of another machine.

use super::MAX_BLOCK_LEN;
use super::block::{CodedBlock, check_cost, encode_cost};
use super::header::{FORMAT_VERSION, StreamHeader};
use super::message::{Place, damaged, open, seal};
use super::options::DecodeOptions;
use super::pool::{Pool, Share};
use crate::block::{Choice, Copies, Found, Kind, Models, StreamModel, Undone, undo, write_copies};
use crate::error::Result;
use crate::progress::Progress;
use crate::varint;

/// One block to be coded, as a [`Planner`](super::Planner) hands it out. The code depends on nothing but the task and the models
/// that it names, so any process may make it.
#[derive(Debug, Clone)]
pub struct Task {
    pub(super) place: Place,
    pub(super) model: StreamModel,
    /// What the block is asked to be coded as.
    pub(super) kind: Kind,
    /// Whether another way may be taken if that is shorter.
    pub(super) may_choose: bool,
    /// Whether each line is coded alone.
    pub(super) records: bool,
    pub(super) last: bool,
    pub(super) raw: Vec<u8>,
    pub(super) found: Option<Found>,
    /// The bytes that are coded, if there are deflate streams in them.
    pub(super) undone: Option<Undone>,
}

impl Task {
    const MAGIC: [u8; 4] = *b"LMCt";
    const LAST: u8 = 1;
    const MAY_CHOOSE: u8 = 2;
    const RECORDS: u8 = 4;
    const COPIES: u8 = 8;
    const UNDONE: u8 = 16;

    /// Bytes that a block with undone streams may have at most: coding takes time for each.
    const MOST_UNDONE: usize = 64 << 20; // tunable
    /// Without so much memory none are undone. (To find out whether it can be done takes some times the bytes.)
    pub(super) const UNDONE_MEMORY: u64 = 1 << 30; // tunable

    /// The number of the block in its stream, from 0.
    pub fn number(&self) -> u64 {
        self.place.number
    }

    /// Whether the stream ends with this block.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Bytes of content.
    pub fn raw_len(&self) -> usize {
        self.raw.len()
    }

    /// Codes the block. What a decoder of it has to be told is what this needs: threads, memory limit, and the models that the
    /// stream names. The code is the same for any number of threads.
    ///
    /// # Errors
    /// [`WrongModel`](crate::ErrorKind::WrongModel) if the model is not at hand, [`MemoryLimit`](crate::ErrorKind::MemoryLimit) and
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if coding takes more memory than there is,
    /// [`Stopped`](crate::ErrorKind::Stopped) if the `progress` was stopped.
    pub fn encode(mut self, options: &DecodeOptions, progress: &Progress) -> Result<CodedBlock> {
        let mut choice = self.choice(&options.models)?;
        let mut pool = Pool::new(options.threads, options.memory_limit, progress.part());
        let (threads, limit) = (pool.threads(), pool.memory_limit());
        let share = self.fitted(&mut choice, threads, threads, limit);
        check_cost(share.cost, pool.memory_limit())?;
        pool.check_available(share.cost - self.raw.len() as u64)?;
        pool.run_here(share, |progress| CodedBlock::encode(self, &choice, progress));
        pool.take().expect("it was run")
    }

    /// Undoes deflate streams in what is to be coded.
    pub(super) fn undo(&mut self) {
        let bytes = self.found.as_ref().map_or(&self.raw, |found| &found.literals);
        let level = match self.model {
            StreamModel::Profile(number) | StreamModel::BuiltIn(number) => number,
            _ => 6,
        };
        self.undone = undo(bytes, Self::MOST_UNDONE, level, &Progress::default());
    }

    /// How the block is to be coded.
    pub(super) fn choice(&self, models: &Models) -> Result<Choice> {
        match &self.model {
            StreamModel::Primed(named) if self.records => {
                Ok(Choice::lines(models.get_primed(named)?))
            }
            model => Choice::new(model, self.kind, models, self.may_choose),
        }
    }

    /// The share of the block, of which streams are undone only if that fits into `limit` bytes of memory.
    pub(super) fn fitted(
        &mut self,
        choice: &mut Choice,
        threads: usize,
        idle: usize,
        limit: u64,
    ) -> Share {
        let share = self.share(choice, threads, idle);
        if share.cost <= limit || self.undone.take().is_none() {
            return share;
        }
        self.share(choice, threads, idle)
    }

    /// Memory and threads that coding takes, of at most `threads`. The last block of an input may have the `idle` ones for what
    /// would otherwise be worth one.
    pub(super) fn share(&self, choice: &mut Choice, threads: usize, idle: usize) -> Share {
        let literals = self.found.as_ref().map_or(self.raw.len(), |found| found.literals.len());
        let bytes = self.undone.as_ref().map_or(literals, |undone| undone.bytes.len());
        let threads = choice.take_threads(bytes, threads, idle);
        let cost = encode_cost(choice, self.raw.len(), literals);
        let undone = self.undone.as_ref();
        let undone = undone.map_or(0, |undone| choice.undone_memory(undone, self.raw.len()));
        Share { cost: cost.max(undone), threads }
    }

    /// The task as bytes, for [`Task::from_bytes`] of the same version of lmic in another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(Self::MAGIC, |out| {
            self.place.write(out);
            let flag = |set, bit| if set { bit } else { 0 };
            out.push(
                flag(self.last, Self::LAST)
                    | flag(self.may_choose, Self::MAY_CHOOSE)
                    | flag(self.records, Self::RECORDS)
                    | flag(self.found.is_some(), Self::COPIES)
                    | flag(self.undone.is_some(), Self::UNDONE),
            );
            let stream = StreamHeader { version: FORMAT_VERSION, model: self.model.clone() };
            out.extend(stream.bytes());
            self.kind.write(0, out);
            varint::write(out, self.raw.len() as u64);
            out.reserve(self.raw.len() + 64);
            out.extend_from_slice(&self.raw);
            if let Some(found) = &self.found {
                varint::write(out, found.literals.len() as u64);
                out.extend(write_copies(&found.copies));
            }
        })
    }

    /// The task that [`Task::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the bytes are no task or are damaged,
    /// [`NeedsNewer`](crate::ErrorKind::NeedsNewer) if another version of lmic
    /// wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut source = open(Self::MAGIC, bytes)?;
        let place = Place::read(&mut source)?;
        let flags = source.byte("the flags of a task")?;
        let first = source.byte("the model of a task")?;
        let StreamHeader { model, .. } = StreamHeader::read(&mut source, first)?;
        let tag = source.byte("the kind of a task")?;
        let kind = Kind::read(tag, || source.varint("the kind of a task"))?;
        let is_asked = matches!(
            kind,
            Kind::Bytes | Kind::Unmixed | Kind::Samples(_) | Kind::Program(_) | Kind::Guided { .. }
        );
        let records = flags & Self::RECORDS != 0;
        if !is_asked || records && !matches!(model, StreamModel::Primed(_)) {
            return Err(damaged("no block is asked to be of such a kind"));
        }
        let raw_len = source.varint("the length of a task")?;
        if raw_len > MAX_BLOCK_LEN as u64 {
            return Err(damaged("its block is too long"));
        }
        let raw = source.bytes(raw_len, "the content of a task")?;
        let found = match flags & Self::COPIES {
            0 => None,
            _ => {
                let literals = source.varint("the literals of a task")?;
                Some(Self::found(&raw, literals, source.inner)?)
            }
        };
        let (last, may_choose) = (flags & Self::LAST != 0, flags & Self::MAY_CHOOSE != 0);
        let mut task =
            Self { place, model, kind, may_choose, records, last, raw, found, undone: None };
        if flags & Self::UNDONE != 0 {
            task.undo();
        }
        Ok(task)
    }

    /// What was found in `raw`, from the list of its copies.
    fn found(raw: &[u8], literals: u64, list: &[u8]) -> Result<Found> {
        let mut copies = Vec::new();
        // What the earlier blocks hold is not known here, but that was known where the list was made.
        let (mut list, _) = Copies::read(list, raw.len() as u64, literals, u64::MAX)?;
        while let Some(copy) = list.next()? {
            copies.push(copy);
        }
        Found::new(raw, copies).ok_or_else(|| damaged("its copies are none that are looked for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{EncodeOptions, Planner};
    use crate::random::SplitMix64;

    /// A message of a body that nobody wrote, with a check that holds, is an error or a block.
    #[test]
    fn no_body_makes_a_worker_panic() {
        let mut random = SplitMix64::new(1);
        let once: Vec<u8> = (0..700).map(|_| random.next_u64() as u8 & 15).collect();
        let options = EncodeOptions { level: 1, ..EncodeOptions::default() };
        let mut planner = Planner::new(options).unwrap();
        assert!(planner.take(&mut &once.repeat(3)[..]).unwrap().is_none());
        let task = planner.finish().unwrap().pop().unwrap();
        assert!(task.found.is_some());
        let block = task.clone().encode(&DecodeOptions::default(), &Progress::default()).unwrap();
        let (task, block) = (task.to_bytes(), block.to_bytes());
        let mut coded = 0;
        for i in 0..20_000 {
            let whole = if i % 2 == 0 { &task } else { &block };
            let mut body = whole[5..whole.len() - 16].to_vec();
            for _ in 0..1 + random.next_u64() % 3 {
                // Most of the damage where the fields are: before the content and behind it.
                let at = random.next_u64() as usize % 40;
                let at = if at < 20 { at } else { body.len() - at + 19 };
                body[at] = random.next_u64() as u8;
            }
            if i % 2 == 0 {
                let message = seal(Task::MAGIC, |out| out.extend(&body));
                let Ok(task) = Task::from_bytes(&message) else { continue };
                let options = DecodeOptions { threads: 1, ..DecodeOptions::default() };
                coded += usize::from(task.encode(&options, &Progress::default()).is_ok());
            } else {
                let _ = CodedBlock::from_bytes(&seal(*b"LMCb", |out| out.extend(&body)));
            }
        }
        assert!(coded > 100, "some are tasks: {coded}");
    }
}
