//! Random access to blocks with copies: decodes the literals of the blocks that they refer to.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::sync::Arc;

use super::super::block::{Decoded, Literals, ReadBlock, decode_cost};
use super::super::decoder::threads_of;
use super::super::pool::Pool;
use super::super::source::corrupt;
use super::{Archive, BlockInfo, Place};
use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// Literals of blocks that were decoded, as more than one block may copy from them.
#[derive(Debug)]
pub(super) struct Known {
    /// By stream, the last of the blocks with copies that are to be read. What comes after it is not kept.
    until: BTreeMap<usize, usize>,
    /// With the number of their last use.
    blocks: BTreeMap<Place, (u64, Arc<Vec<u8>>)>,
    by_use: BTreeMap<u64, Place>,
    uses: u64,
    memory: u64,
    /// Bytes that are kept at most: what copies reach, or more where the blocks of which a block copies a part are longer together.
    most: u64,
}

impl Known {
    /// For reading some blocks with copies, which are given in order.
    pub(super) fn new(with_copies: impl Iterator<Item = Place>) -> Self {
        Self {
            until: with_copies.map(|place| (place.stream, place.block)).collect(),
            blocks: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            memory: 0,
            most: MAX_REACH,
        }
    }

    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    fn get(&mut self, place: Place) -> Option<Arc<Vec<u8>>> {
        let (used, literals) = self.blocks.get_mut(&place)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, place);
        Some(Arc::clone(literals))
    }

    /// Whether a later block may need the literals of this one.
    fn wants(&self, place: Place) -> bool {
        self.until.get(&place.stream).is_some_and(|&last| place.block < last)
    }

    fn push(&mut self, place: Place, literals: Arc<Vec<u8>>) {
        self.uses += 1;
        self.memory += literals.len() as u64;
        self.by_use.insert(self.uses, place);
        if let Some((used, before)) = self.blocks.insert(place, (self.uses, literals)) {
            self.by_use.remove(&used);
            self.memory -= before.len() as u64;
        }
        self.shrink(self.most);
    }

    /// Forgets those that have not been used for longest until the others fit into `memory` bytes.
    pub(super) fn shrink(&mut self, memory: u64) {
        while self.memory > memory {
            let oldest = self.by_use.pop_first().and_then(|(_, place)| self.blocks.remove(&place));
            self.memory -= oldest.map_or(0, |(_, literals)| literals.len() as u64);
        }
    }
}

/// The literals of some blocks, each with its place among all literals of its stream, in order.
type Needed = Vec<(u64, Arc<Vec<u8>>)>;

impl<R: Read + Seek> Archive<R> {
    /// The content of a decoded block. With what it needs of others it takes at most `room` bytes of memory.
    pub(super) fn content(
        &mut self,
        place: Place,
        decoded: Decoded,
        known: &mut Known,
        room: u64,
    ) -> Result<Vec<u8>> {
        match decoded {
            Decoded::Content(content) => {
                if known.wants(place) {
                    known.push(place, Arc::new(content.clone()));
                }
                Ok(content)
            }
            Decoded::Literals(block) => {
                let needed = self.referenced(place, &block, known, room)?;
                let content = block.assemble(|at| {
                    let i = needed.partition_point(|(start, _)| *start <= at).wrapping_sub(1);
                    let within = needed.get(i).map(|(start, part)| (part, (at - start) as usize));
                    match within.and_then(|(part, within)| part.get(within..)) {
                        Some(bytes) if !bytes.is_empty() => Ok(bytes),
                        _ => unreachable!("all blocks that the copies refer to were decoded"),
                    }
                })?;
                if known.wants(place) {
                    known.push(place, Arc::new(block.into_bytes()));
                }
                Ok(content)
            }
        }
    }

    /// The literals of the blocks that a block refers to.
    fn referenced(
        &mut self,
        place: Place,
        block: &Literals,
        known: &mut Known,
        room: u64,
    ) -> Result<Needed> {
        let numbers = self.numbers(place, block)?;
        let blocks = &self.streams[place.stream].blocks;
        let total = numbers.iter().map(|&number| blocks[number].literals).sum::<u64>();
        let Some(room) = room.checked_sub(total) else { return Err(no_room()) };
        // And this block's own literals, which are kept next.
        known.most = MAX_REACH.max(total + self.block(place).literals);
        // All that is known is held before anything else is decoded, which might push it out.
        let held = numbers.iter().map(|&block| known.get(Place { block, ..place }));
        let held: Vec<_> = numbers.iter().copied().zip(held).collect();
        let mut needed = Vec::new();
        for (number, literals) in held {
            let other = Place { block: number, ..place };
            let literals = match literals {
                Some(literals) => literals,
                None => {
                    let literals = Arc::new(self.literals(other, known, room)?);
                    if known.wants(place) {
                        known.push(other, Arc::clone(&literals));
                    }
                    literals
                }
            };
            needed.push((self.block(other).literal_offset, literals));
        }
        known.shrink(room);
        Ok(needed)
    }

    /// The numbers of the blocks that a block refers to, in order. The time that it takes grows with the number of copies and of
    /// these blocks, not with their product, whatever the copies are.
    fn numbers(&self, place: Place, block: &Literals) -> Result<Vec<usize>> {
        let blocks = &self.streams[place.stream].blocks;
        let mut numbers = Vec::new();
        // Where the blocks found so far begin and end, those that follow one another joined.
        let mut found = BTreeMap::<u64, u64>::new();
        block.references(|mut range| {
            while range.start < range.end {
                let before =
                    found.range(..=range.start).next_back().map(|(&start, &end)| (start, end));
                if let Some((_, end)) = before.filter(|&(_, end)| end > range.start) {
                    range.start = end;
                    continue;
                }
                let number = blocks
                    .partition_point(|info| info.literal_offset + info.literals <= range.start);
                numbers.push(number);
                let BlockInfo { literal_offset: own, literals, .. } = blocks[number];
                let end = own + literals;
                let start = before.filter(|&(_, end)| end == own).map_or(own, |(start, _)| start);
                range.start = found.remove(&end).unwrap_or(end);
                found.insert(start, range.start);
            }
        })?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Decodes the literals of a block, with `room` bytes of memory. They are compared with its check only if it has no copies:
    /// else the check of the block that needs them must do.
    fn literals(&mut self, place: Place, known: &mut Known, room: u64) -> Result<Vec<u8>> {
        let pending = self.read_header(place)?;
        let (header, position) = (pending.header, pending.position);
        let way = pending.way(&self.options.models)?;
        let cost = decode_cost(&header, way.as_ref());
        let Some(others) = room.checked_sub(cost) else { return Err(no_room()) };
        known.shrink(others);
        let mut pool = Pool::new(self.options.threads, Some(room), self.progress.part());
        pool.check_available(cost)?;
        let (threads, busy) = threads_of(&header, way.as_ref(), &pool);
        let read = ReadBlock::read(&mut self.source, pending)?;
        let share = super::Share { cost, threads: busy };
        pool.run_here(share, move |progress| read.decode(way.as_ref(), threads, progress));
        match pool.take().transpose()? {
            Some(decoded) => Ok(match decoded? {
                Decoded::Content(content) => content,
                Decoded::Literals(block) => block.into_bytes(),
            }),
            None => Err(corrupt(position, "a block that is not there")),
        }
    }
}

fn no_room() -> Error {
    let message =
        "a block copies from others, and to decode these takes more than the memory limit";
    Error::new(ErrorKind::MemoryLimit, message)
}
