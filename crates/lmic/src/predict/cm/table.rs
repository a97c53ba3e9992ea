//! The hash table of bit histories: for each context and half byte, 15 histories.
//!
//! A half byte has 1 + 2 + 4 + 8 = 15 inner nodes, whose histories lie together in a slot. Four slots and their four checks of one
//! byte fill a cache line of 64 bytes, so that to look a context up costs one miss of the CPU's cache. In a full line the
//! slot with the lowest first history is replaced: it has been seen least.

use crate::simd;

const LINE: usize = 64; // frozen
const WAYS: usize = 4; // frozen
const NODES: usize = 15; // frozen

/// Zeroed memory on huge pages where the system has them; untouched pages cost nothing.
enum Memory {
    #[cfg(any(unix, windows))]
    Map(memmap2::MmapMut),
    Heap(Vec<u8>),
}

impl Memory {
    fn zeroed(bytes: usize) -> Self {
        #[cfg(any(unix, windows))]
        if bytes >= 1 << 21
            && let Ok(map) = memmap2::MmapMut::map_anon(bytes)
        {
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage); // a hint: refusal only costs speed
            return Self::Map(map);
        }
        Self::Heap(vec![0; bytes])
    }
}

/// Where the 15 histories of a context lie: byte offset of the first, less one, as nodes count from 1.
pub type Slot = u32;

/// Four slots and their checks.
pub type Line = [u8; LINE];

/// Where the histories of contexts are found: a table, or a team's view of one.
pub trait Slots {
    /// All bytes, for access to histories by slot.
    fn bytes(&mut self) -> &mut [u8];

    /// Fetches the lines of all contexts ahead of [`Slots::find`].
    fn prefetch<const N: usize>(&mut self, hashes: &[u32; N]);

    /// Finds or claims the slots of all contexts, and counts those seen before. The upper 8 bits of a hash are the check.
    fn find<const N: usize>(&mut self, hashes: &[u32; N], slots: &mut [Slot; N]) -> usize;
}

/// A table of `1 << bits` lines.
pub struct HistoryTable {
    memory: Memory,
    mask: usize,
}

impl std::fmt::Debug for HistoryTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryTable").field("lines", &(self.mask + 1)).finish()
    }
}

impl HistoryTable {
    /// An empty table of `1 << line_bits` lines of 64 bytes.
    pub fn new(line_bits: u32) -> Self {
        let memory = Memory::zeroed(LINE << line_bits);
        Self { memory, mask: (1 << line_bits) - 1 }
    }

    /// All lines, for teams that share them.
    pub fn lines(&mut self) -> &mut [Line] {
        self.bytes().as_chunks_mut().0
    }
}

impl Slots for HistoryTable {
    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        match &mut self.memory {
            #[cfg(any(unix, windows))]
            Memory::Map(map) => &mut map[..],
            Memory::Heap(heap) => &mut heap[..],
        }
    }

    #[inline]
    fn prefetch<const N: usize>(&mut self, hashes: &[u32; N]) {
        let mask = self.mask;
        let lines = self.lines();
        for &hash in hashes {
            simd::prefetch(lines, hash as usize & mask);
        }
    }

    #[inline]
    fn find<const N: usize>(&mut self, hashes: &[u32; N], slots: &mut [Slot; N]) -> usize {
        let mut seen = 0;
        let mask = self.mask;
        let lines = self.lines();
        for (slot, &hash) in slots.iter_mut().zip(hashes) {
            let line = hash as usize & mask;
            let (found, is_seen) = find_slot(&mut lines[line], line, hash);
            *slot = found;
            seen += usize::from(is_seen);
        }
        seen
    }
}

/// The slot of a hash in its line, which is number `line` of [`Slots::bytes`], and whether its context was seen before.
#[inline(always)]
pub fn find_slot(bytes: &mut Line, line: usize, hash: u32) -> (Slot, bool) {
    let way = find_way(bytes, (hash >> 24) as u8);
    let at = WAYS + way * NODES;
    ((line * LINE + at - 1) as Slot, bytes[at] != 0)
}

#[inline]
fn find_way(bytes: &mut [u8; LINE], check: u8) -> usize {
    // A byte of `different` is zero where the check agrees; the lowest such byte is exact.
    let checks = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let different = checks ^ (u32::from(check) * 0x0101_0101);
    let zero = different.wrapping_sub(0x0101_0101) & !different & 0x8080_8080;
    if zero != 0 { zero.trailing_zeros() as usize / 8 } else { claim(bytes, check) }
}

/// Clears the least seen slot of a full line for a new context.
#[inline]
fn claim(bytes: &mut [u8; LINE], check: u8) -> usize {
    // Minimum of (first history, way) without branches: which slot loses cannot be foreseen.
    let key = |way: usize| u32::from(bytes[WAYS + way * NODES]) << 2 | way as u32;
    let way = (key(0).min(key(1)).min(key(2).min(key(3))) & 3) as usize;
    bytes[way] = check;
    bytes[WAYS + way * NODES..][..NODES].fill(0);
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_finds_its_histories_again() {
        let mut table = HistoryTable::new(4);
        let (a, b) = ([0x1100_0003], [0x2200_0003]);
        let mut slot = [0];
        assert_eq!(table.find(&a, &mut slot), 0);
        table.bytes()[slot[0] as usize + 1] = 7;
        let first = slot;
        table.find(&b, &mut slot);
        assert_ne!(slot, first);
        assert_eq!(table.find(&a, &mut slot), 1);
        assert_eq!(slot, first);
    }

    #[test]
    fn the_least_seen_slot_of_a_full_line_goes() {
        let mut table = HistoryTable::new(0);
        let hashes: Vec<u32> = (1..=4).map(|i| i << 24).collect();
        let mut slots = [0; 1];
        for (i, &hash) in hashes.iter().enumerate() {
            table.find(&[hash], &mut slots);
            table.bytes()[slots[0] as usize + 1] = [9, 4, 2, 8][i];
        }
        assert_eq!(table.find(&[5 << 24], &mut slots), 0); // takes the place of the third
        assert_eq!(table.find(&[hashes[0]], &mut slots), 1);
        assert_eq!(table.find(&[hashes[3]], &mut slots), 1);
        table.bytes()[slots[0] as usize + 1] = 8;
        assert_eq!(table.find(&[hashes[2]], &mut slots), 0);
    }
}
