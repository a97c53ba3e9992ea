//! Random access to blocks with copies: decodes the literals of the blocks that they refer to.

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Seek};
use std::sync::Arc;

use super::super::block::{Decoded, Literals, ReadBlock, decode_cost};
use super::super::decoder::threads_of;
use super::super::pool::Pool;
use super::super::source::corrupt;
use super::{Archive, Place};
use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// Literals of blocks that were decoded, as more than one block may copy from them.
#[derive(Debug)]
pub(super) struct Known {
    /// The last of the blocks with copies that are to be read. What comes after it is not kept.
    until: Option<Place>,
    blocks: VecDeque<(Place, Arc<Vec<u8>>)>,
    memory: u64,
}

impl Known {
    pub(super) fn new(until: Option<Place>) -> Self {
        Self { until, blocks: VecDeque::new(), memory: 0 }
    }

    pub(super) fn memory(&self) -> u64 {
        self.memory
    }

    fn get(&self, place: Place) -> Option<&Arc<Vec<u8>>> {
        self.blocks.iter().find(|(at, _)| *at == place).map(|(_, literals)| literals)
    }

    /// Whether a later block may need the literals of this one.
    fn wants(&self, place: Place) -> bool {
        self.until.is_some_and(|last| last.stream == place.stream && place.block < last.block)
    }

    fn push(&mut self, place: Place, literals: Arc<Vec<u8>>) {
        self.memory += literals.len() as u64;
        self.blocks.push_back((place, literals));
        self.shrink(MAX_REACH);
    }

    /// Forgets the oldest until the others fit into `memory` bytes.
    pub(super) fn shrink(&mut self, memory: u64) {
        while self.memory > memory {
            self.memory -= self.blocks.pop_front().map_or(0, |(_, literals)| literals.len() as u64);
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
        let blocks = &self.streams[place.stream].blocks;
        let mut numbers = BTreeSet::new();
        block.references(|mut range| {
            while range.start < range.end {
                let number = blocks
                    .partition_point(|info| info.literal_offset + info.literals <= range.start);
                numbers.insert(number);
                range.start = blocks[number].literal_offset + blocks[number].literals;
            }
        })?;
        let total = numbers.iter().map(|&number| blocks[number].literals).sum::<u64>();
        let Some(room) = room.checked_sub(total) else { return Err(no_room()) };
        let mut needed = Vec::new();
        for number in numbers {
            let other = Place { stream: place.stream, block: number };
            let info = self.block(other);
            let literals = match known.get(other) {
                Some(literals) => Arc::clone(literals),
                None => {
                    let literals = Arc::new(self.literals(other, known, room)?);
                    if known.wants(place) {
                        known.push(other, Arc::clone(&literals));
                    }
                    literals
                }
            };
            needed.push((info.literal_offset, literals));
        }
        known.shrink(room);
        Ok(needed)
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
        let mut pool = Pool::new(self.options.threads, Some(room));
        pool.check_available(cost)?;
        let threads = threads_of(&header, way.as_ref(), &pool);
        let read = ReadBlock::read(&mut self.source, pending)?;
        let share = super::Share { cost, threads };
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
