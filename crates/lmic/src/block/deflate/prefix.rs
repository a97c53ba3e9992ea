//! The prefix codes of deflate (RFC 1951, 3.2): reading with them, their lengths in the header of a block, and the lengths that zlib
//! gives to symbols that occur so often.

use super::bits::{BitReader, BitWriter};

/// Symbols of literals and lengths, and of distances.
pub(super) const LITERALS: usize = 286; // frozen
pub(super) const DISTANCES: usize = 30; // frozen

/// The symbol that ends a block.
pub(super) const END: usize = 256; // frozen

/// The order in which the lengths of the code of code lengths stand.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]; // frozen

/// Lengths of the codes of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) literals: Vec<u8>,
    pub(super) distances: Vec<u8>,
}

impl Lengths {
    /// Those of blocks that do not say any.
    pub(super) fn fixed() -> Self {
        let mut literals = vec![8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        Self { literals, distances: vec![5; 30] }
    }

    /// What zlib chooses for symbols that occur so often.
    pub(super) fn chosen(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> Self {
        Self { literals: chosen(literals, 15), distances: chosen(distances, 15) }
    }

    /// Reads the header of a block; `take` hands out so many bits. `None` if they are no header.
    pub(super) fn read(mut take: impl FnMut(u32) -> Option<u32>) -> Option<Self> {
        let (literals, distances) = (257 + take(5)? as usize, 1 + take(5)? as usize);
        let count = 4 + take(4)? as usize;
        if literals > LITERALS || distances > DISTANCES {
            return None;
        }
        let mut lengths = [0; 19];
        for &symbol in &ORDER[..count] {
            lengths[symbol] = take(3)? as u8;
        }
        let (codes, mut found) = (codes(&lengths)?, Vec::with_capacity(LITERALS + DISTANCES));
        while found.len() < literals + distances {
            let (length, times) = match next_symbol(&lengths, &codes, &mut take)? {
                16 => (*found.last()?, 3 + take(2)?),
                17 => (0, 3 + take(3)?),
                18 => (0, 11 + take(7)?),
                length => (length as u8, 1),
            };
            found.resize(found.len() + times as usize, length);
        }
        (found.len() == literals + distances).then_some(())?;
        let distances = found.split_off(literals);
        Some(Self { literals: found, distances })
    }

    /// Writes the header as zlib does.
    pub(super) fn write(&self, out: &mut BitWriter) {
        let (literals, distances) = (used(&self.literals, 257), used(&self.distances, 1));
        let runs = [runs(literals), runs(distances)].concat();
        let mut counts = [0; 19];
        runs.iter().for_each(|run| counts[usize::from(run.symbol)] += 1);
        let lengths = chosen(&counts, 7);
        let length = |symbol: usize| lengths.get(symbol).map_or(0, |&length| u32::from(length));
        let count = ORDER.iter().rposition(|&symbol| length(symbol) > 0).map_or(0, |at| at + 1);
        let count = count.max(4);
        out.push(literals.len() as u32 - 257, 5);
        out.push(distances.len() as u32 - 1, 5);
        out.push(count as u32 - 4, 4);
        ORDER[..count].iter().for_each(|&symbol| out.push(length(symbol), 3));
        let codes = codes(&lengths).expect("lengths of a code");
        for Run { symbol, extra, bits } in runs {
            out.push(codes[usize::from(symbol)].into(), length(symbol.into()));
            out.push(extra, bits);
        }
    }
}

/// Lengths up to the last one that is not 0, at least so many.
fn used(lengths: &[u8], least: usize) -> &[u8] {
    let end = lengths.iter().rposition(|&length| length > 0).map_or(0, |at| at + 1);
    &lengths[..end.max(least)]
}

/// A symbol of the code of code lengths, and the bits behind it.
#[derive(Debug, Clone, Copy)]
struct Run {
    symbol: u8,
    extra: u32,
    bits: u32,
}

/// Lengths as symbols, as zlib cuts them into runs.
fn runs(lengths: &[u8]) -> Vec<Run> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < lengths.len() {
        let length = lengths[at];
        let repeats = at > 0 && lengths[at - 1] == length;
        let most = if length == 0 { 138 } else { 7 - usize::from(repeats) };
        let same = lengths[at..].iter().take(most).take_while(|&&other| other == length).count();
        at += same;
        let plain = Run { symbol: length, extra: 0, bits: 0 };
        let least = if length == 0 || repeats { 3 } else { 4 };
        match (length, same) {
            (_, same) if same < least => found.extend(vec![plain; same]),
            (0, 3..=10) => found.push(Run { symbol: 17, extra: same as u32 - 3, bits: 3 }),
            (0, _) => found.push(Run { symbol: 18, extra: same as u32 - 11, bits: 7 }),
            _ => {
                let first = usize::from(!repeats);
                found.extend(vec![plain; first]);
                found.push(Run { symbol: 16, extra: (same - first) as u32 - 3, bits: 2 });
            }
        }
    }
    found
}

/// The codes of symbols with these lengths, the first bit of each the lowest; `None` if there are more than fit.
pub(super) fn codes(lengths: &[u8]) -> Option<Vec<u16>> {
    let mut counts = [0u32; 16];
    lengths.iter().for_each(|&length| counts[usize::from(length)] += 1);
    counts[0] = 0;
    let (mut next, mut code) = ([0u32; 16], 0);
    for length in 1..16 {
        code = (code + counts[length - 1]) << 1;
        next[length] = code;
        if code + counts[length] > 1 << length {
            return None;
        }
    }
    let code = |&length: &u8| match length {
        0 => 0,
        _ => {
            let code = &mut next[usize::from(length)];
            *code += 1;
            (*code as u16 - 1).reverse_bits() >> (16 - length)
        }
    };
    Some(lengths.iter().map(code).collect())
}

/// One symbol, bit by bit.
fn next_symbol(
    lengths: &[u8],
    codes: &[u16],
    mut take: impl FnMut(u32) -> Option<u32>,
) -> Option<usize> {
    let mut bits = 0;
    for length in 1..=7 {
        bits |= (take(1)? as u16) << (length - 1);
        let is_it = |(&own, &code): (&u8, &u16)| own == length && code == bits;
        if let Some(symbol) = lengths.iter().zip(codes).position(is_it) {
            return Some(symbol);
        }
    }
    None
}

/// Finds symbols by their codes.
#[derive(Debug)]
pub(super) struct Decoder {
    /// By the next ten bits: symbol and length of a code, 0 if there is none that short.
    short: Vec<(u16, u8)>,
    /// Symbols of longer codes, and the codes.
    long: Vec<(u16, u16, u8)>,
}

impl Decoder {
    const SHORT: u8 = 10; // tunable

    /// `None` if the lengths are of no code.
    pub(super) fn new(lengths: &[u8]) -> Option<Self> {
        let (mut short, mut long) = (vec![(0, 0); 1 << Self::SHORT], Vec::new());
        for (symbol, (&length, code)) in lengths.iter().zip(codes(lengths)?).enumerate() {
            if length > Self::SHORT {
                long.push((code, symbol as u16, length));
            } else if length > 0 {
                let step = 1 << length;
                short[usize::from(code)..]
                    .iter_mut()
                    .step_by(step)
                    .for_each(|entry| *entry = (symbol as u16, length));
            }
        }
        long.sort_unstable_by_key(|&(_, _, length)| length);
        Some(Self { short, long })
    }

    /// The next symbol.
    #[inline]
    pub(super) fn next(&self, bits: &mut BitReader<'_>) -> Option<usize> {
        let next = bits.peek();
        let (symbol, length) = match self.short[(next & 0x3ff) as usize] {
            (_, 0) => {
                let is_it = |&&(code, _, length): &&(u16, u16, u8)| {
                    next & ((1 << length) - 1) == u64::from(code)
                };
                self.long.iter().find(is_it).map(|&(_, symbol, length)| (symbol, length))?
            }
            short => short,
        };
        bits.skip(length.into())?;
        Some(symbol.into())
    }
}

/// The lengths that zlib gives to symbols that occur so often: of an optimal code, but for the limit, with its way to break ties.
/// They end with the last symbol that has one.
fn chosen(counts: &[u32], limit: u8) -> Vec<u8> {
    // A node is a symbol, or stands for two nodes.
    let mut nodes: Vec<Node> =
        counts.iter().map(|&count| Node { count, depth: 0, parent: 0 }).collect();
    let mut heap: Vec<usize> = (0..counts.len()).filter(|&symbol| counts[symbol] > 0).collect();
    let mut last = heap.last().copied();
    while heap.len() < 2 {
        let added = match last {
            None => 0,
            Some(last) if last < 2 => last + 1,
            Some(_) => 0,
        };
        last = last.max(Some(added));
        nodes[added].count = 1;
        heap.push(added);
    }
    let end = last.expect("two symbols") + 1;
    for at in (0..heap.len() / 2).rev() {
        sift(&nodes, &mut heap, at);
    }
    // Nodes, the least frequent ones first.
    let mut sorted = Vec::new();
    while heap.len() > 1 {
        let least = heap[0];
        heap[0] = heap.pop().expect("two nodes");
        sift(&nodes, &mut heap, 0);
        let second = heap[0];
        sorted.extend([least, second]);
        let [a, b] = [nodes[least], nodes[second]];
        let parent = nodes.len();
        nodes[least].parent = parent;
        nodes[second].parent = parent;
        nodes.push(Node { count: a.count + b.count, depth: a.depth.max(b.depth) + 1, parent: 0 });
        heap[0] = parent;
        sift(&nodes, &mut heap, 0);
    }
    lengths(&nodes, &sorted, end, counts.len(), limit)
}

#[derive(Debug, Clone, Copy)]
struct Node {
    count: u32,
    depth: u8,
    parent: usize,
}

/// Moves the node at `at` down to where none below it is less.
fn sift(nodes: &[Node], heap: &mut [usize], mut at: usize) {
    let key = |node: usize| (nodes[node].count, nodes[node].depth);
    let moved = heap[at];
    while 2 * at + 1 < heap.len() {
        let mut below = 2 * at + 1;
        if below + 1 < heap.len() && key(heap[below + 1]) <= key(heap[below]) {
            below += 1;
        }
        if key(moved) <= key(heap[below]) {
            break;
        }
        heap[at] = heap[below];
        at = below;
    }
    heap[at] = moved;
}

/// Lengths of the codes of a tree, whose last node is the root, and whose others are `sorted`. Symbols are below `symbols`.
fn lengths(nodes: &[Node], sorted: &[usize], end: usize, symbols: usize, limit: u8) -> Vec<u8> {
    let mut depths = vec![0u8; nodes.len()];
    let (mut counts, mut over) = ([0u32; 16], 0i32);
    for &node in sorted.iter().rev() {
        let depth = depths[nodes[node].parent] + 1;
        over += i32::from(depth > limit);
        depths[node] = depth.min(limit);
        if node < symbols {
            counts[usize::from(depths[node])] += 1;
        }
    }
    if over == 0 {
        depths.truncate(end);
        return depths;
    }
    let limit = usize::from(limit);
    while over > 0 {
        // A leaf goes down by one, and one of the deepest becomes its brother.
        let above = (1..limit).rev().find(|&depth| counts[depth] > 0).expect("a leaf above");
        counts[above] -= 1;
        counts[above + 1] += 2;
        counts[limit] -= 1;
        over -= 2;
    }
    let mut found = vec![0; end];
    let mut leaves = sorted.iter().filter(|&&node| node < symbols);
    for depth in (1..=limit).rev() {
        leaves.by_ref().take(counts[depth] as usize).for_each(|&leaf| found[leaf] = depth as u8);
    }
    found
}
