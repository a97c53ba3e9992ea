//! `cm`: online context mixing. Predicts bit by bit, learns while it codes, integers only.

pub mod apm;
pub mod contexts;
pub mod counter;
pub mod history;
pub mod logistic;
pub mod matcher;
pub mod mixer;
pub mod table;

use crate::coder::Coder;
use crate::quantize::BitProb;
use crate::walk::Model;
use apm::Apm;
use contexts::Past;
use counter::{Adaptive, HistoryMap};
use logistic::{squash, stretch, par};
use matcher::Matcher;
use mixer::{Layer, ONE};
use table::{HistoryTable, Slot};

const N: usize = 16;
const SETS: usize = 8;
const INPUTS: usize = 48;

/// The context-mixing model for bytes of any kind.
#[derive(Debug)]
pub struct Cm {
    past: Past,
    table: HistoryTable,
    hashes: [u32; N],
    slots: [Slot; N],
    order0: Box<[u8; 256]>,
    order1: Box<[u8; 65536]>,
    maps: Box<[HistoryMap; N + 2]>,
    matcher: Matcher,
    matcher2: Matcher,
    expect: Vec<Adaptive>,
    inputs: [i16; INPUTS],
    first: Layer<SETS>,
    last: Layer<2>,
    apms: [Apm; 3],
    seen: usize,
    rate: i32,
}

fn line_bits(len: usize) -> u32 {
    (len.max(256).next_power_of_two().ilog2()).min(24)
}

impl Cm {
    /// A fresh model for a block of `len` bytes.
    pub fn new(_profile: u8, len: usize) -> Self {
        let bits = (line_bits(len) as i32 - 1 + par(44,1)).min(22) as u32;
        Self {
            past: Past::new(),
            table: HistoryTable::new(bits),
            hashes: [0; N],
            slots: [0; N],
            order0: Box::new([0; 256]),
            order1: vec![0; 65536].try_into().unwrap(),
            maps: vec![HistoryMap::new(); N + 2].try_into().unwrap(),
            matcher: Matcher::new(line_bits(len).min(20), par(49,6) as usize),
            matcher2: Matcher::new(line_bits(len).min(20), par(50,12) as usize),
            expect: vec![Adaptive::new(32768, 0); 65536*2],
            inputs: [0; INPUTS],
            first: Layer::new(INPUTS, &[256, 256, 256 * 8, 16 * 16, 17 * 8, 2048, 2048, 2048], ONE / par(5, 14)),
            last: Layer::new(SETS, &[256, 256], ONE / 5),
            apms: [Apm::new(256 * 2), Apm::new(65536), Apm::new(65536)],
            seen: 0,
            rate: par(3,36),
        }
    }

    /// Bytes that [`Cm::new`] with the same arguments allocates.
    pub fn memory(_profile: u8, len: usize) -> u64 {
        (64 << (line_bits(len) - 1)) + 4_000_000
    }
}

#[inline(always)]
fn history_inputs(map: &mut HistoryMap, state: u8, inputs: &mut [i16]) {
    let p = map.entry(state).p();
    // A history never seen says nothing.
    let seen = if state == 0 { 0 } else { -1 };
    inputs[0] = stretch(p) as i16 & seen;
    inputs[1] = (((p as i32 - 32768) * par(40, 8)) >> 8) as i16 & seen;
}

#[inline(always)]
fn learn(map: &mut HistoryMap, state: &mut u8, bit: bool) {
    map.entry(*state).update(bit, par(41,255) as u32);
    *state = history::NEXT[usize::from(*state)][usize::from(bit)];
}

#[inline]
fn nibble_hashes(hashes: &[u32; N], node: usize) -> [u32; N] {
    hashes.map(|h| {
        let h = (h ^ (node as u32).wrapping_mul(0x9e3779b1)).wrapping_mul(0x85eb_ca6b);
        h ^ h >> 15
    })
}

impl Model for Cm {
    fn code<C: Coder>(&mut self, coder: &mut C, past: &[u8], next: &mut [u8]) -> usize {
        self.past.push(past);
        self.past.hashes(past, &mut self.hashes);
        if par(13,-1) >= 0 { self.hashes[par(13,0) as usize] = 0; }
        self.table.prefetch(&self.hashes);
        self.matcher.advance(past);
        if par(50,12)>0 { self.matcher2.advance(past); }
        let c1 = usize::from(self.past.c8 as u8);
        let c2 = usize::from((self.past.c8 >> 8) as u8);
        let expected_byte = self.matcher.predicted().unwrap_or(0);
        let ebase = if self.matcher.predicted().is_some() { (usize::from(expected_byte) | (self.matcher.bucket()>8) as usize * 256 ) << 8 } else { 0 };
        let mut node = 1usize;
        for nibble in 0..2 {
            let hs = if nibble == 0 { self.hashes } else { nibble_hashes(&self.hashes, node) };
            self.table.find(&hs, &mut self.slots);
            { let table = self.table.bytes();
            self.seen = self.slots.iter().filter(|&&s| table[s as usize + 1] != 0).count(); }
            let mut inner = 1usize;
            for _ in 0..4 {
                let table = self.table.bytes();
                let known = next[0] >> (7 - node.ilog2()) & 1 == 1;
                for i in 0..N {
                    let state = table[self.slots[i] as usize + inner];
                    history_inputs(&mut self.maps[i], state, &mut self.inputs[2 * i..2 * i + 2]);
                }
                history_inputs(&mut self.maps[N], self.order0[node], &mut self.inputs[2 * N..2 * N + 2]);
                history_inputs(&mut self.maps[N + 1], self.order1[c1 << 8 | node], &mut self.inputs[2 * N + 2..2 * N + 4]);
                let m = 2 * (N + 2);
                let expected = self.matcher.expected(node);
                let bucket = self.matcher.bucket();
                let eidx = ebase | node;
                match expected {
                    None => self.inputs[m..m + 3].fill(0),
                    Some((_, p)) => {
                        self.inputs[m] = stretch(p) as i16;
                        self.inputs[m + 1] = ((p as i32 - 32768) >> 4) as i16;
                        self.inputs[m + 2] = stretch(self.expect[eidx].p()) as i16;
                    }
                }
                self.inputs[m + 3] = 256;
                let expected2 = self.matcher2.expected(node);
                match expected2 {
                    None => self.inputs[m + 4..m + 6].fill(0),
                    Some((_, p)) => {
                        self.inputs[m + 4] = stretch(p) as i16;
                        self.inputs[m + 5] = ((p as i32 - 32768) >> 4) as i16;
                    }
                }
                let bit_pos = node.ilog2() as usize;
                let w = self.past.word_len_hint();
                let pos = bit_pos;
                let alt = |k: i32| match k { 0 => 0, 1 => expected_byte as usize, 2 => w * 8 + pos, 3 => self.past.class_hint() * 8 + pos , 4 => (self.past.c8 >> 16) as usize & 255, 5 => (self.past.column()).min(255), 6 => inner | (c1 >> 5) << 4, 7 => inner | (c1>>4) << 4, 8 => { let mut x = 0; for i in 0..3 { let s = table[self.slots[i+par(45,1) as usize] as usize + inner]; x = x * 4 + (history::conf(s)); } x }, _ => self.past.tok_hint() };
                self.first.select(&[node, c1, c2 * 8 + bit_pos, bucket * 16 + inner, if par(42,1)==1 {expected.map_or(0,|(b,_)|1+b as usize) * 17 + self.seen} else {self.seen * 8 + bit_pos}, alt(par(46,3)), alt(par(47,4)), alt(par(48,5))]);
                let mut hidden = [0i16; 16];
                for (h, &o) in hidden.iter_mut().zip(self.first.mix(&self.inputs)) { *h = o as i16; }
                self.last.select(&[node, match par(43,0) {0=>bucket,1=>c1,2=>c2,3=>self.past.class_hint(),_=>self.seen}]);
                let o = self.last.mix(&hidden);
                let st = (o[0] + o[1]) >> 1;
                let p = squash(st);
                let c0 = node & 255;
                let a0 = self.apms[0].refine(st, c0 | (expected.is_some() as usize) << 8);
                let a1 = self.apms[1].refine(st, c1 << 8 | c0);
                let h = (((self.past.c8 as u32 & 0xffff) << 8 | c0 as u32).wrapping_mul(0x9e37_79b1) >> (16 + par(12,4))) as usize;
                let a2 = self.apms[2].refine(st, h);
                let p = match par(11, 3) { 0 => (p + a0 + a1 + a2) / 4, 1 => (2 * p + a0 + a1) / 4, 2 => (p + a1) / 2, 3=> (p + a1*2+a2) / 4, 4 => (p + a2) / 2, 5=> (p+a0*2+a1)/4, _ => p };
                let bit = coder.bit(BitProb::new(p), known);
                // learn
                let r = self.rate;
                self.first.update(&self.inputs, bit, r.max(par(2,14)));
                self.last.update(&hidden, bit, par(4,7));
                for (a, rate) in self.apms.iter_mut().zip([6, 6, 6]) { a.update(bit, rate); }
                if expected2.is_some() { self.matcher2.update(bit); }
                if expected.is_some() { self.matcher.update(bit); self.expect[eidx].update(bit, 250); }
                for i in 0..N {
                    learn(&mut self.maps[i], &mut table[self.slots[i] as usize + inner], bit);
                }
                learn(&mut self.maps[N], &mut self.order0[node], bit);
                learn(&mut self.maps[N + 1], &mut self.order1[c1 << 8 | node], bit);
                if node >> 2 == 1 {
                    let first = (node << 1 | usize::from(bit)) << 1;
                    for guess in [first, first | 1] {
                        let hs = nibble_hashes(&self.hashes, guess);
                        self.table.prefetch(&hs);
                    }
                }
                inner = inner << 1 | usize::from(bit);
                node = node << 1 | usize::from(bit);
            }
        }
        if self.rate > 1 && past.len() % 4096 == 4095 { self.rate -= 1; }
        next[0] = node as u8;
        1
    }
}
