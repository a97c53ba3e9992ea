//! What the lanes of all teams have learned, averaged: weights and curves, which are too few to be worth copies of what changed.
//!
//! Between two averages most numbers stay as they are. So numbers are taken in chunks, a chunk that no lane has changed is only
//! compared, and lanes take over no others.

use crate::predict::cm::apm::{Curve, POINTS};

/// Numbers of one kind that a lane has learned.
pub enum Part<'a> {
    /// Of a mixer's first layer.
    Weights(&'a mut [i16]),
    /// Of its second layer.
    Last(&'a mut [i32]),
    /// Of adaptive maps.
    Curves(&'a mut [Curve]),
}

/// Numbers of a chunk. Each part has a multiple of it.
const CHUNK: usize = 16; // tunable
/// Chunks of a curve.
const OF_CURVE: usize = POINTS / CHUNK; // tunable
const _: () = assert!(POINTS.is_multiple_of(CHUNK));

type Chunk<N> = [N; CHUNK];

/// A number as a part has it.
trait Number: Copy + PartialEq {
    fn get(self) -> i32;
    fn of(value: i32) -> Self;
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Number for $type {
            #[inline(always)]
            fn get(self) -> i32 {
                self.into()
            }

            #[inline(always)]
            fn of(value: i32) -> Self {
                value as Self
            }
        }
    )*};
}

number!(i16 u16 i32);

/// What all lanes had of a part after the last average, and the chunks that it changed.
pub struct Average {
    numbers: Numbers,
    changed: Vec<u32>,
}

enum Numbers {
    Weights(Vec<Chunk<i16>>),
    Last(Vec<Chunk<i32>>),
    Curves(Vec<Chunk<u16>>),
}

impl Average {
    /// The numbers of `part`, which all lanes have.
    pub fn new(part: &Part<'_>) -> Self {
        let numbers = match part {
            Part::Weights(own) => Numbers::Weights(chunks(own).to_vec()),
            Part::Last(own) => Numbers::Last(chunks(own).to_vec()),
            Part::Curves(own) => Numbers::Curves(chunks_of_curves(own).copied().collect()),
        };
        Self { numbers, changed: Vec::new() }
    }

    /// Moves each number by the mean change of the lanes that changed it.
    pub fn update(&mut self, sums: &Sums) {
        self.changed.clear();
        self.changed.extend_from_slice(&sums.chunks);
        match &mut self.numbers {
            Numbers::Weights(numbers) => sums.update(numbers),
            Numbers::Last(numbers) => sums.update(numbers),
            Numbers::Curves(numbers) => sums.update(numbers),
        }
    }

    /// Gives a lane what the last average has changed.
    pub fn give(&self, part: &mut Part<'_>) {
        let changed = self.changed.iter().map(|&chunk| chunk as usize);
        match (part, &self.numbers) {
            (Part::Weights(own), Numbers::Weights(numbers)) => {
                let own = own.as_chunks_mut().0;
                changed.for_each(|chunk| own[chunk] = numbers[chunk]);
            }
            (Part::Last(own), Numbers::Last(numbers)) => {
                let own = own.as_chunks_mut().0;
                changed.for_each(|chunk| own[chunk] = numbers[chunk]);
            }
            (Part::Curves(own), Numbers::Curves(numbers)) => {
                changed.for_each(|chunk| {
                    let curve = own[chunk / OF_CURVE].0.as_chunks_mut().0;
                    curve[chunk % OF_CURVE] = numbers[chunk];
                });
            }
            _ => unreachable!("all lanes have the same parts"),
        }
    }

    fn chunks(&self) -> usize {
        match &self.numbers {
            Numbers::Weights(numbers) => numbers.len(),
            Numbers::Last(numbers) => numbers.len(),
            Numbers::Curves(numbers) => numbers.len(),
        }
    }
}

fn chunks<N>(own: &[N]) -> &[Chunk<N>] {
    let (chunks, rest) = own.as_chunks();
    assert!(rest.is_empty());
    chunks
}

fn chunks_of_curves(own: &[Curve]) -> impl Iterator<Item = &Chunk<u16>> {
    own.iter().flat_map(|curve| curve.0.as_chunks().0)
}

/// By how much lanes have changed a number, and how many of them have.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    sum: i32, // at most 16 teams of 64 lanes move a number by less than 2^20 each
    lanes: i32,
}

/// The changes of one part by all lanes.
pub struct Sums {
    /// For each chunk the number of its changes, from 1; 0 if no lane has changed it.
    places: Vec<u32>,
    /// The chunks that lanes have changed, and how.
    chunks: Vec<u32>,
    changes: Vec<Chunk<Change>>,
}

impl Sums {
    /// No changes since `average`.
    pub fn new(average: &Average) -> Self {
        Self { places: vec![0; average.chunks()], chunks: Vec::new(), changes: Vec::new() }
    }

    /// Adds what a lane has changed since `average`.
    pub fn add(&mut self, part: &Part<'_>, average: &Average) {
        match (part, &average.numbers) {
            (Part::Weights(own), Numbers::Weights(old)) => self.add_chunks(chunks(own).iter(), old),
            (Part::Last(own), Numbers::Last(old)) => self.add_chunks(chunks(own).iter(), old),
            (Part::Curves(own), Numbers::Curves(old)) => {
                self.add_chunks(chunks_of_curves(own), old);
            }
            _ => unreachable!("all lanes have the same parts"),
        }
    }

    fn add_chunks<'a, N: Number + 'a>(
        &mut self,
        own: impl Iterator<Item = &'a Chunk<N>>,
        old: &[Chunk<N>],
    ) {
        for (chunk, ((own, old), place)) in own.zip(old).zip(&mut self.places).enumerate() {
            if own == old {
                continue;
            }
            if *place == 0 {
                self.chunks.push(chunk as u32);
                self.changes.push(Chunk::default());
                *place = self.chunks.len() as u32;
            }
            let changes = &mut self.changes[*place as usize - 1];
            for ((own, old), change) in own.iter().zip(old).zip(changes) {
                let by = own.get() - old.get();
                change.sum += by;
                change.lanes += i32::from(by != 0);
            }
        }
    }

    fn update<N: Number>(&self, numbers: &mut [Chunk<N>]) {
        for (&chunk, changes) in self.chunks.iter().zip(&self.changes) {
            for (number, change) in numbers[chunk as usize].iter_mut().zip(changes) {
                if change.lanes > 0 {
                    *number = N::of(number.get() + change.sum / change.lanes);
                }
            }
        }
    }
}
