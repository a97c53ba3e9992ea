//! What an encoder of zlib's kind would do next: it finds earlier occurrences by chains of equal hashes, as zlib does at each of its
//! levels. docs/format/deflate.md specifies it.
//!
//! It is told what the stream really does and goes on from there, so a stream of another encoder costs bits and nothing else.

/// Longest and shortest match.
pub(super) const MOST: usize = 258; // frozen
pub(super) const LEAST: usize = 3; // frozen

/// A match of the shortest length is not worth a distance above this.
const TOO_FAR: usize = 4096; // frozen

/// A distance is shorter than the window by at least this.
const MARGIN: usize = MOST + LEAST + 1; // frozen

/// Places that chains remember: a power of two.
const CHAINED: usize = 1 << 15; // frozen

/// Links that are looked at for a match that was not predicted.
const LOOKED_AT: usize = 256; // frozen

/// Links of chains that may be followed for each byte of content, and beside that, so that no content takes hours.
const LINKS_A_BYTE: u64 = 512; // frozen
const LINKS: u64 = 1 << 24; // frozen

/// What a level means.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// From a match of this length on, a quarter of the chain is followed for a better one at the next byte.
    good: usize,
    /// A match of this length is taken without a look at the next byte; of a greedy level, the longest whose bytes are all chained.
    lazy: usize,
    /// A match of this length is long enough.
    nice: usize,
    /// Links that are followed.
    chain: u32,
}

const fn effort(good: usize, lazy: usize, nice: usize, chain: u32) -> Effort {
    Effort { good, lazy, nice, chain }
}

/// Of levels 1 to 9.
const EFFORTS: [Effort; 9] = [
    effort(4, 4, 8, 4),
    effort(4, 5, 16, 8),
    effort(4, 6, 32, 32),
    effort(4, 4, 16, 16),
    effort(8, 16, 32, 32),
    effort(8, 16, 128, 128),
    effort(8, 32, 128, 256),
    effort(32, 128, 258, 1024),
    effort(32, 258, 258, 4096),
]; // frozen

/// Levels up to this take a match without a look at the next byte.
const GREEDY: u8 = 3; // frozen

/// How an encoder of zlib's kind was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// 1 to 9.
    pub(super) level: u8,
    pub(super) strategy: Strategy,
    /// Bits of a hash less 7, 1 to 9.
    pub(super) memory: u8,
    /// The window has 2^this bytes, 8 to 15.
    pub(super) window: u8,
    /// A block has at most 2^(6 + this) - 1 tokens, 1 to 9.
    pub(super) tokens: u8,
}

impl Settings {
    /// Tokens of a full block.
    pub(super) fn capacity(self) -> usize {
        (1 << (6 + self.tokens)) - 1
    }
}

/// What matches are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    All,
    /// None of 5 bytes or fewer.
    Filtered,
    None,
    /// Repeats of the last byte.
    Runs,
}

impl Strategy {
    pub(super) const LIST: [Self; 4] = [Self::All, Self::Filtered, Self::None, Self::Runs]; // frozen
}

/// Bytes and how far back they stand; none are of length 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Match {
    pub(super) len: usize,
    pub(super) distance: usize,
}

#[derive(Debug)]
pub(super) struct Matcher<'a> {
    content: &'a [u8],
    settings: Settings,
    effort: Effort,
    /// The last place of each hash, and before each place the one with the same hash. There is none at place 0, which means none.
    heads: Vec<u32>,
    chain: Vec<u32>,
    /// Places before this are chained, or will not be.
    chained: usize,
    /// The match at the next place, if it is known from a look at the next byte.
    known: Option<Match>,
    /// Links that may still be followed.
    links: u64,
}

impl<'a> Matcher<'a> {
    /// Bytes of memory that it takes at most.
    pub(super) const MEMORY: u64 = 4 * ((1 << 16) + CHAINED as u64); // tunable

    pub(super) fn new(content: &'a [u8], settings: Settings) -> Self {
        Self {
            content,
            settings,
            effort: EFFORTS[usize::from(settings.level) - 1],
            heads: vec![0; 1 << (7 + settings.memory)],
            chain: vec![0; CHAINED],
            chained: 0,
            known: None,
            links: LINKS + LINKS_A_BYTE * content.len() as u64,
        }
    }

    fn is_greedy(&self) -> bool {
        self.settings.level <= GREEDY
    }

    /// What comes at `at`: a match, or none if it is a literal.
    pub(super) fn predict(&mut self, at: usize) -> Match {
        match self.settings.strategy {
            Strategy::None => return Match::default(),
            Strategy::Runs => return self.run(at),
            Strategy::All | Strategy::Filtered => {}
        }
        let known = self.known.take();
        let found = known.unwrap_or_else(|| self.find(at, LEAST - 1));
        if found.len == 0 || self.is_greedy() {
            return found;
        }
        if found.len < self.effort.lazy {
            let next = self.find(at + 1, found.len);
            if next.len > 0 {
                self.known = Some(next);
                return Match::default();
            }
        }
        found
    }

    /// Goes on behind `len` bytes at `at`, which were one token, and were `right` predicted.
    pub(super) fn pass(&mut self, at: usize, len: usize, right: bool) {
        if !right || len > 1 {
            self.known = None;
        }
        if self.is_greedy() && len > self.effort.lazy {
            self.chained = self.chained.max(at + 1).max(at + len);
        }
    }

    /// Passes bytes that are no tokens.
    pub(super) fn pass_stored(&mut self) {
        self.known = None;
    }

    /// Bytes of content.
    pub(super) fn len(&self) -> usize {
        self.content.len()
    }

    /// A byte of content.
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.content[at]
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether a literal was predicted because a longer match begins behind it.
    pub(super) fn looks_ahead(&self) -> bool {
        self.known.is_some()
    }

    /// Places where the `len` bytes at `at`, which content has, stand as well: those of the chain, the last one first, each with how
    /// many links led there.
    fn links(&self, at: usize, len: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut place = at;
        let next = move || {
            place = self.chain[place % CHAINED] as usize;
            (place > 0 && at - place < CHAINED).then_some(place)
        };
        let here = &self.content[at..at + len];
        let there = move |place: usize| &self.content[place..place + len];
        let places = std::iter::from_fn(next).take(LOOKED_AT);
        (1..).zip(places).filter(move |&(_, place)| there(place) == here)
    }

    /// The number of the link that has this distance, if there is one.
    pub(super) fn link_of(&mut self, at: usize, len: usize, distance: usize) -> Option<usize> {
        self.chain_to(at + 1);
        let is_it = |(_, (_, place)): &(usize, (u64, usize))| at - place == distance;
        let (link, (links, _)) = self.links(at, len).enumerate().find(is_it)?;
        self.links = self.links.checked_sub(links)?;
        Some(link)
    }

    /// The distance of a link.
    pub(super) fn linked(&mut self, at: usize, len: usize, link: usize) -> Option<usize> {
        self.chain_to(at + 1);
        let (links, place) = self.links(at, len).nth(link)?;
        self.links = self.links.checked_sub(links)?;
        Some(at - place)
    }

    fn run(&self, at: usize) -> Match {
        let Some(&last) = at.checked_sub(1).and_then(|at| self.content.get(at)) else {
            return Match::default();
        };
        let len = self.content[at..].iter().take(MOST).take_while(|&&byte| byte == last).count();
        if len >= LEAST { Match { len, distance: 1 } } else { Match::default() }
    }

    fn hash(&self, at: usize) -> usize {
        let bits = u32::from(self.settings.memory) + 7;
        let shift = bits.div_ceil(3);
        let three = self.content[at..at + 3].iter();
        let hash = three.fold(0, |hash, &byte| (hash << shift) ^ u32::from(byte));
        (hash & ((1 << bits) - 1)) as usize
    }

    /// Chains places before `end`.
    pub(super) fn chain_to(&mut self, end: usize) {
        let last = self.content.len().saturating_sub(LEAST - 1);
        for at in self.chained..end.min(last) {
            let hash = self.hash(at);
            self.chain[at % CHAINED] = std::mem::replace(&mut self.heads[hash], at as u32);
        }
        self.chained = self.chained.max(end);
    }

    /// The longest match at `at` that is longer than `best` bytes, and worth it; none otherwise.
    fn find(&mut self, at: usize, best: usize) -> Match {
        let none = Match::default();
        let left = self.content.len().saturating_sub(at);
        if left < LEAST || best >= left {
            return none;
        }
        self.chain_to(at + 1);
        let found = self.longest(at, best, left);
        let short = match self.settings.strategy {
            _ if self.is_greedy() => false,
            Strategy::Filtered => found.len <= 5,
            _ => found.len == LEAST && found.distance > TOO_FAR,
        };
        if short { none } else { found }
    }

    fn longest(&mut self, at: usize, mut best: usize, left: usize) -> Match {
        let (content, mut found) = (self.content, Match::default());
        let reach = (1 << self.settings.window) - MARGIN.min(1 << self.settings.window);
        let (most, nice) = (MOST.min(left), self.effort.nice.min(left));
        let mut chain = self.effort.chain;
        if best >= self.effort.good {
            chain >>= 2;
        }
        let here = &content[at..at + most];
        let mut place = self.chain[at % CHAINED] as usize;
        // The first link may be as far back as a distance goes, the others not quite.
        let mut farthest = reach;
        while place > 0 && at - place <= farthest && self.links > 0 {
            farthest = reach.saturating_sub(1);
            self.links -= 1;
            let there = &content[place..place + most];
            if best < most && there[best] == here[best] && there[best - 1] == here[best - 1] {
                let len = here.iter().zip(there).take_while(|(a, b)| a == b).count();
                if len > best {
                    best = len;
                    found = Match { len, distance: at - place };
                    if len >= nice {
                        break;
                    }
                }
            }
            chain -= 1;
            if chain == 0 {
                break;
            }
            place = self.chain[place % CHAINED] as usize;
        }
        found
    }
}
