//! A team's view of what teams share by hash: the common store as it was at the last exchange, and over it what the team itself
//! has changed since.
//!
//! A line is copied from the store when a team first touches it, and from then on only the copy is read and written. At an
//! exchange the copies go back, team after team, so that of a line touched by several the last team's stays.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::predict::cm::store::{Store, Whole};
use crate::predict::cm::table::{Line, Slot, Slots, find_slot};
use crate::simd;

/// Parts of the store that threads write at the same time in an exchange: some for each thread, so that all are busy to the end.
pub const SHARDS: usize = 64; // tunable
const SHARD_BITS: u32 = SHARDS.ilog2(); // tunable
/// How many copies ahead memory is fetched in an exchange.
const AHEAD: usize = 16; // tunable

/// The store of a block, in shards of consecutive lines and heads.
pub struct Common<'s> {
    shards: Vec<RwLock<Shard<'s>>>,
    bits: Bits,
}

struct Shard<'s> {
    lines: &'s mut [Line],
    heads: Vec<&'s mut [u32]>, // a slice for each match model
}

#[derive(Debug, Clone, Copy)]
struct Bits {
    line: u32,
    head: u32,
}

/// The store while a team codes: nothing changes it.
pub struct Snapshot<'a, 's>(Vec<RwLockReadGuard<'a, Shard<'s>>>);

impl<'s> Common<'s> {
    /// Shares an empty store.
    pub fn new(store: &'s mut Whole) -> Self {
        let head = store.head_bits();
        let (lines, heads) = store.parts();
        let bits = Bits { line: lines.len().ilog2(), head };
        let mut heads: Vec<_> =
            heads.iter_mut().map(|heads| heads.chunks_mut((1 << head) / SHARDS)).collect();
        let shards = lines.chunks_mut(lines.len() / SHARDS).map(|lines| {
            let heads = heads.iter_mut().map(|heads| heads.next().expect("as many shards"));
            RwLock::new(Shard { lines, heads: heads.collect() })
        });
        Self { shards: shards.collect(), bits }
    }

    /// Keeps the store as it is while teams read it.
    pub fn snapshot(&self) -> Snapshot<'_, 's> {
        let read = |shard| RwLock::read(shard).unwrap_or_else(PoisonError::into_inner);
        Snapshot(self.shards.iter().map(read).collect())
    }

    /// Takes in what teams have changed in one shard, in the order of the teams.
    pub fn merge<'o>(
        &self,
        shard: usize,
        overlays: impl Iterator<Item = RwLockReadGuard<'o, Overlay>>,
    ) {
        let mut common = self.shards[shard].write().unwrap_or_else(PoisonError::into_inner);
        for overlay in overlays {
            let numbers = &overlay.touched[shard];
            let mask = common.lines.len() - 1;
            let line = |number: u16| overlay.lines_of[usize::from(number)] as usize & mask;
            for (i, &number) in numbers.iter().enumerate() {
                if let Some(&later) = numbers.get(i + AHEAD) {
                    simd::prefetch(common.lines, line(later));
                }
                common.lines[line(number)] = overlay.lines[usize::from(number)];
            }
            for (recent, heads) in overlay.recent.iter().zip(&mut common.heads) {
                let mask = heads.len() - 1;
                for &number in &recent.touched[shard] {
                    let head = recent.heads[usize::from(number)] as usize;
                    heads[head & mask] = recent.positions[usize::from(number)];
                }
            }
        }
    }
}

/// Finds keys that were seen since the last exchange: open addressing, at most half full.
#[derive(Debug, Default)]
struct Index {
    keys: Vec<u32>,
    /// The number of each key. It stands apart so that it is fetched while the key is compared.
    numbers: Vec<u16>,
    mask: usize,
}

/// No key is that large.
const FREE: u32 = u32::MAX; // tunable

impl Index {
    /// Forgets all, and makes room for `most` keys.
    fn clear(&mut self, most: usize) {
        let len = (2 * most).next_power_of_two();
        self.keys.clear();
        self.keys.resize(len, FREE);
        self.numbers.resize(len, 0);
        self.mask = len - 1;
    }

    /// Where `key` stands or has to stand, and its number, if there is one.
    #[inline(always)]
    fn locate(&self, key: u32) -> (usize, Option<usize>) {
        let mut place = key as usize & self.mask;
        loop {
            match self.keys[place] {
                own if own == key => return (place, Some(self.numbers[place].into())),
                FREE => return (place, None),
                _ => place = (place + 1) & self.mask,
            }
        }
    }

    /// Puts the number of a key where it has to stand.
    #[inline(always)]
    fn set(&mut self, place: usize, key: u32, number: usize) {
        self.keys[place] = key;
        self.numbers[place] = number as u16;
    }

    /// The number of `key`, if it stands in the first place where it is looked for.
    #[inline(always)]
    fn at_home(&self, key: u32) -> Option<usize> {
        let place = key as usize & self.mask;
        (self.keys[place] == key).then(|| self.numbers[place].into())
    }
}

/// The most keys that an index has room for.
pub const MOST_KEYS: usize = 1 << 15; // tunable
const _: () = assert!(MOST_KEYS <= 1 << u16::BITS);

/// What a team has changed since the last exchange.
#[derive(Debug)]
pub struct Overlay {
    /// How many of `lines` are copies.
    len: usize,
    lines: Vec<Line>,
    lines_of: Vec<u32>, // the number in the store of each of `lines`
    index: Index,
    touched: Vec<Vec<u16>>, // the numbers of the copies from each shard
    recent: Vec<Recent>,    // a match model each
}

/// Heads that a team has set.
#[derive(Debug)]
struct Recent {
    heads: Vec<u32>,
    positions: Vec<u32>,
    index: Index,
    touched: Vec<Vec<u16>>,
}

impl Recent {
    fn new() -> Self {
        let (heads, positions) = (Vec::new(), Vec::new());
        Self { heads, positions, index: Index::default(), touched: vec![Vec::new(); SHARDS] }
    }
}

impl Overlay {
    /// No changes.
    pub fn new(models: usize) -> Self {
        Self {
            len: 0,
            lines: Vec::new(),
            lines_of: Vec::new(),
            index: Index::default(),
            touched: vec![Vec::new(); SHARDS],
            recent: (0..models).map(|_| Recent::new()).collect(),
        }
    }

    /// Bytes that an overlay allocates for up to `lines` lines, at most: vectors hold their old content while they grow.
    pub fn memory(lines: usize) -> u64 {
        let places = (2 * lines).next_power_of_two();
        2 * (lines * (64 + 4 + 2) + places * (4 + 2)) as u64
    }

    /// Forgets all changes. Up to `lines` lines and `heads` heads of each match model follow.
    pub fn clear(&mut self, lines: usize, heads: usize) {
        assert!(lines <= MOST_KEYS);
        self.len = 0;
        if self.lines.len() < lines {
            self.lines.resize(lines, [0; 64]);
            self.lines_of.resize(lines, 0);
        }
        self.index.clear(lines);
        self.touched.iter_mut().for_each(Vec::clear);
        for recent in &mut self.recent {
            recent.heads.clear();
            recent.positions.clear();
            recent.index.clear(heads);
            recent.touched.iter_mut().for_each(Vec::clear);
        }
    }
}

/// What a team codes with.
pub struct Shared<'a> {
    lines: [&'a [Line]; SHARDS],
    heads: Vec<[&'a [u32]; SHARDS]>, // a match model each
    bits: Bits,
    overlay: &'a mut Overlay,
}

impl<'a> Shared<'a> {
    /// The store as it stands, under the changes of a team.
    pub fn new(
        common: &Common<'_>,
        snapshot: &'a Snapshot<'_, '_>,
        overlay: &'a mut Overlay,
    ) -> Self {
        let shard = |i: usize| &*snapshot.0[i];
        Self {
            lines: std::array::from_fn(|i| &*shard(i).lines),
            heads: (0..overlay.recent.len())
                .map(|model| std::array::from_fn(|i| &*shard(i).heads[model]))
                .collect(),
            bits: common.bits,
            overlay,
        }
    }

    /// The number of a hash's line.
    #[inline(always)]
    fn line_of(&self, hash: u32) -> u32 {
        hash & ((1 << self.bits.line) - 1)
    }

    /// The shard of a line, and its number there.
    #[inline(always)]
    fn in_shard(&self, line: u32) -> (usize, usize) {
        let lines = 1 << (self.bits.line - SHARD_BITS);
        ((line / lines) as usize & (SHARDS - 1), (line % lines) as usize)
    }

    /// Copies a line from the store; returns the number of the copy.
    #[inline(always)]
    fn copy(&mut self, line: u32, place: usize) -> usize {
        let (shard, at) = self.in_shard(line);
        let own = &mut *self.overlay;
        let number = own.len;
        own.len += 1;
        own.lines[number] = self.lines[shard][at];
        own.lines_of[number] = line;
        own.index.set(place, line, number);
        let touched = &mut own.touched[shard];
        touched.push(number as u16);
        number
    }
}

impl Slots for Shared<'_> {
    #[inline]
    fn bytes(&mut self) -> &mut [u8] {
        self.overlay.lines.as_flattened_mut()
    }

    #[inline]
    fn prefetch<const N: usize>(&mut self, hashes: &[u32; N]) {
        for &hash in hashes {
            let line = self.line_of(hash);
            // Few copies stand elsewhere than in the first place, and those are not worth a loop.
            let own = &*self.overlay;
            match own.index.at_home(line) {
                Some(number) => simd::prefetch(&own.lines, number),
                None => {
                    let (shard, at) = self.in_shard(line);
                    simd::prefetch(self.lines[shard], at);
                }
            }
        }
    }

    #[inline]
    fn find<const N: usize>(&mut self, hashes: &[u32; N], slots: &mut [Slot; N]) -> usize {
        // All copies come before anything that depends on what is in them, so that the CPU waits for several lines at once.
        let numbers = hashes.map(|hash| {
            let line = self.line_of(hash);
            let (place, number) = self.overlay.index.locate(line);
            number.unwrap_or_else(|| self.copy(line, place))
        });
        let mut seen = 0;
        for ((slot, &hash), number) in slots.iter_mut().zip(hashes).zip(numbers) {
            let (found, is_seen) = find_slot(&mut self.overlay.lines[number], number, hash);
            *slot = found;
            seen += usize::from(is_seen);
        }
        seen
    }
}

impl Store for Shared<'_> {
    #[inline]
    fn head_bits(&self) -> u32 {
        self.bits.head
    }

    #[inline]
    fn prefetch_head(&self, model: usize, head: usize) {
        let shift = self.bits.head - SHARD_BITS;
        let shard = self.heads[model][head >> shift & (SHARDS - 1)];
        simd::prefetch(shard, head & ((1 << shift) - 1));
    }

    #[inline]
    fn exchange_head(&mut self, model: usize, head: usize, position: u32) -> u32 {
        let recent = &mut self.overlay.recent[model];
        let (place, number) = recent.index.locate(head as u32);
        if let Some(number) = number {
            return std::mem::replace(&mut recent.positions[number], position);
        }
        let (shift, number) = (self.bits.head - SHARD_BITS, recent.heads.len());
        let shard = head >> shift & (SHARDS - 1);
        recent.heads.push(head as u32);
        recent.positions.push(position);
        recent.index.set(place, head as u32, number);
        recent.touched[shard].push(number as u16);
        self.heads[model][shard][head & ((1 << shift) - 1)]
    }
}
