//! A primed state as bytes. As with everything that is coded, one walk through a coder writes it and reads it. The table is most
//! of it; each of its quarters has a coder of its own, so that threads can share the reading.
//!
//! Numbers are coded by adaptive bits, and histories with what their parent in the slot says: after a bit that was never seen
//! nothing came, and mostly one of the two sides has all of the parent's count.

use super::contexts::CONTEXTS;
use super::integers::{RawBits, Signed, Tree, bit};
use super::parameters::{
    APM_CONTEXTS, APMS, Parameters, ROWS, SETS, STARTS, WIDTH, fresh_curve, fresh_weight,
};
use super::table::{Line, NODES, WAYS};
use crate::coder::Coder;
use crate::predict::cm::counter::Adaptive;
use crate::predict::cm::history;

/// Weights are kept in steps of 1/256.
const WEIGHT_STEP: u32 = 6; // frozen
/// Weights of the last layer are kept in steps of 1/1024.
const LAST_STEP: u32 = 6; // frozen

/// Codes all parameters: an encoder reads them, a decoder fills them.
pub fn code_parameters<C: Coder>(coder: &mut C, parameters: &mut Parameters) {
    code_maps(coder, parameters);
    code_weights(coder, parameters);
    code_last(coder, parameters);
    code_curves(coder, parameters);
}

fn code_maps<C: Coder>(coder: &mut C, parameters: &mut Parameters) {
    let mut delta = Signed::new();
    for context in 0..CONTEXTS {
        for state in 1..history::LEN {
            // Contexts agree on most histories.
            let near = if context == 0 { 128 } else { parameters.map(context - 1, state) >> 8 };
            let known = (parameters.map(context, state) >> 8) as i32 - near as i32;
            let p = (near as i32).wrapping_add(delta.code(coder, known)).clamp(0, 255) as u32;
            parameters.set_map(context, state, p << 8 | 128);
        }
    }
}

fn code_weights<C: Coder>(coder: &mut C, parameters: &mut Parameters) {
    let fresh = fresh_weight();
    for set in 0..SETS {
        let mut columns: Vec<Signed> = vec![Signed::new(); WIDTH];
        let mut touched = Adaptive::new(32768, 0);
        let mut before = [i32::from(fresh) >> WEIGHT_STEP; WIDTH];
        for row in 0..ROWS[set] {
            let start = STARTS[set] + row * WIDTH;
            let weights = &mut parameters.weights[start..start + WIDTH];
            let known = weights.iter().any(|&w| w != fresh);
            if !bit(coder, &mut touched, known) {
                weights.fill(fresh);
                continue;
            }
            for ((w, before), column) in weights.iter_mut().zip(&mut before).zip(&mut columns) {
                let known = (i32::from(*w) + (1 << (WEIGHT_STEP - 1))) >> WEIGHT_STEP;
                *before = before.wrapping_add(column.code(coder, known.wrapping_sub(*before)));
                *before = (*before).clamp(-512, 511);
                *w = (*before << WEIGHT_STEP) as i16;
            }
        }
    }
}

fn code_last<C: Coder>(coder: &mut C, parameters: &mut Parameters) {
    for rows in &mut parameters.last {
        let mut delta = Signed::new();
        let mut before = [0i32; SETS];
        for row in rows.iter_mut() {
            for (w, before) in row.iter_mut().zip(&mut before) {
                let known = *w >> LAST_STEP;
                let value = before.wrapping_add(delta.code(coder, known.wrapping_sub(*before)));
                *before = value.clamp(-(8 << (16 - LAST_STEP)), 8 << (16 - LAST_STEP));
                *w = *before << LAST_STEP;
            }
        }
    }
}

fn code_curves<C: Coder>(coder: &mut C, parameters: &mut Parameters) {
    let mut touched = [Adaptive::new(32768, 0); 2];
    let mut after = 0;
    let mut delta = Signed::new();
    for curve in &mut parameters.apms[..APMS * APM_CONTEXTS] {
        for (j, point) in curve.iter_mut().enumerate() {
            let fresh = fresh_curve(j);
            let known = (i32::from(*point) - i32::from(fresh)) >> 6;
            let is_touched = bit(coder, &mut touched[after], known != 0);
            after = usize::from(is_touched);
            let moved = if is_touched { delta.code(coder, known) << 6 } else { 0 };
            *point = (i32::from(fresh).wrapping_add(moved)).clamp(0, 65535) as u16;
        }
    }
}

/// The adaptive bits with which the slots of the table are coded.
struct Histories {
    slots: Tree<2>,
    more: Vec<Tree<1>>,
    first: Tree<8>,
    /// (depth, count): whether a child has all of its parent's count.
    all: Vec<Adaptive>,
    child: Vec<Tree<8>>,
}

/// Codes lines of the table. A decoder knows how many there are, and passes empty lines to be filled.
pub fn code_lines<C: Coder, B: RawBits>(coder: &mut C, raw: &mut B, lines: &mut [Line]) {
    let mut histories = Histories {
        slots: Tree::new(),
        more: vec![Tree::new(); 2],
        first: Tree::new(),
        all: vec![Adaptive::new(32768, 0); 4 * 64],
        child: vec![Tree::new(); 64],
    };
    for line in lines {
        let known = line.0.iter().take_while(|&&slot| slot != 0).count() as u32;
        let full = histories.more[0].code(coder, u32::from(known == WAYS as u32)) == 1;
        let len = match full {
            true => WAYS,
            false => histories.slots.code(coder, known) as usize,
        };
        for slot in &mut line.0[..len] {
            let mut bytes = slot.to_le_bytes();
            bytes[0] = raw.code(bytes[0], 8);
            histories.code(coder, raw, &mut bytes);
            *slot = u128::from_le_bytes(bytes);
        }
    }
}

impl Histories {
    fn code<C: Coder, B: RawBits>(
        &mut self,
        coder: &mut C,
        raw: &mut B,
        slot: &mut [u8; 1 + NODES],
    ) {
        slot[1] = self.first.code(coder, slot[1].into()) as u8;
        for node in 1..8 {
            let (n0, n1) = history::counts(slot[node]);
            let depth = node.ilog2() as usize;
            for (child, n) in [(2 * node, n0), (2 * node + 1, n1)] {
                slot[child] = match n {
                    0 => 0,
                    _ => self.child(coder, raw, depth, n, n0 == 0 || n1 == 0, slot[child]),
                };
            }
        }
    }

    /// A history whose parent has counted its side `n` times.
    fn child<C: Coder, B: RawBits>(
        &mut self,
        coder: &mut C,
        raw: &mut B,
        depth: usize,
        n: u8,
        sure: bool,
        known: u8,
    ) -> u8 {
        let at = usize::from(n & 31) << 1 | usize::from(sure);
        let side = |one| history::run(n, one);
        if bit(coder, &mut self.all[depth << 6 | at], known == side(false) || known == side(true)) {
            return side(raw.code(u8::from(known == side(true)), 1) == 1);
        }
        self.child[at].code(coder, known.into()) as u8
    }
}
