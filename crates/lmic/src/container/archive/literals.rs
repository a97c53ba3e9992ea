//! Random access to blocks with copies: decodes the literals of the blocks that they refer to.

use std::collections::VecDeque;
use std::io::{Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use super::super::block::{Decoded, ReadBlock, decode_cost};
use super::super::decoder::{check_cost, threads_of};
use super::super::pool::Pool;
use super::super::source::corrupt;
use super::{Archive, Place};
use crate::block::MAX_REACH;
use crate::error::{Error, ErrorKind, Result};

/// Literals of blocks that were decoded, as more than one block may copy from them.
#[derive(Debug, Default)]
pub(super) struct Known(VecDeque<(Place, Arc<Vec<u8>>)>);

impl Known {
    fn get(&self, place: Place) -> Option<&Arc<Vec<u8>>> {
        self.0.iter().find(|(at, _)| *at == place).map(|(_, literals)| literals)
    }

    /// Keeps a block's literals, and as many of those before as are `most` bytes together.
    fn push(&mut self, place: Place, literals: Arc<Vec<u8>>, most: u64) {
        self.0.push_back((place, literals));
        let mut total: u64 = self.0.iter().map(|(_, literals)| literals.len() as u64).sum();
        while total > most && self.0.len() > 1 {
            total -= self.0.pop_front().map_or(0, |(_, literals)| literals.len() as u64);
        }
    }
}

impl<R: Read + Seek> Archive<R> {
    /// The content of a decoded block.
    pub(super) fn content(
        &mut self,
        place: Place,
        decoded: Decoded,
        known: &mut Known,
    ) -> Result<Vec<u8>> {
        let most = MAX_REACH.min(self.options.memory_limit.unwrap_or(u64::MAX) / 2);
        // Where no block has copies, nothing needs to be kept for them.
        let blocks = &self.streams[place.stream].blocks;
        let later = blocks[place.block + 1..].iter().any(|block| block.literals < block.raw_len);
        match decoded {
            Decoded::Content(content) => {
                if later {
                    known.push(place, Arc::new(content.clone()), most);
                }
                Ok(content)
            }
            Decoded::Literals(block) => {
                let needed = self.referenced(place, &block.references()?, known, most)?;
                if later {
                    known.push(place, Arc::new(block.bytes().to_vec()), most);
                }
                block.assemble(|at| {
                    let i = needed.partition_point(|(start, _)| *start <= at).wrapping_sub(1);
                    let within = needed.get(i).map(|(start, part)| (part, (at - start) as usize));
                    match within.and_then(|(part, within)| part.get(within..)) {
                        Some(bytes) if !bytes.is_empty() => Ok(bytes),
                        _ => unreachable!("all blocks that the copies refer to were decoded"),
                    }
                })
            }
        }
    }

    /// The literals of the blocks that hold `references`, each with its place among all literals of the stream, in order.
    fn referenced(
        &mut self,
        place: Place,
        references: &[Range<u64>],
        known: &mut Known,
        most: u64,
    ) -> Result<Vec<(u64, Arc<Vec<u8>>)>> {
        let mut needed = Vec::new();
        let mut total = 0;
        for block in 0..place.block {
            let info = self.streams[place.stream].blocks[block];
            let own = info.literal_offset..info.literal_offset + info.literals;
            if !references.iter().any(|range| range.start < own.end && own.start < range.end) {
                continue;
            }
            total += info.literals;
            if self.options.memory_limit.is_some_and(|limit| total > limit) {
                let message = "a block copies from more blocks than the memory limit has room for";
                return Err(Error::new(ErrorKind::MemoryLimit, message));
            }
            let other = Place { stream: place.stream, block };
            let literals = match known.get(other) {
                Some(literals) => Arc::clone(literals),
                None => {
                    let literals = Arc::new(self.literals(other)?);
                    known.push(other, Arc::clone(&literals), most);
                    literals
                }
            };
            needed.push((info.literal_offset, literals));
        }
        Ok(needed)
    }

    /// Decodes the literals of a block. They are compared with its check only if it has no copies: else the check of the block
    /// that needs them must do.
    fn literals(&mut self, place: Place) -> Result<Vec<u8>> {
        let pending = self.read_header(place)?;
        let (header, position) = (pending.header, pending.position);
        let way = pending.way(&self.options.models)?;
        let cost = decode_cost(&header, way.as_ref());
        let mut pool = Pool::new(self.options.threads, self.options.memory_limit);
        check_cost(cost, pool.memory_limit(), position)?;
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
