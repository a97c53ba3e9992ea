//! What teams have learned, averaged: weights and curves, which are too few to be worth copies of what changed.

use crate::predict::cm::apm::{Curve, POINTS};

/// Numbers of one kind that a team has learned.
pub enum Part<'a> {
    /// Of a mixer's first layer.
    Weights(&'a mut [i16]),
    /// Of its second layer.
    Last(&'a mut [i32]),
    /// Of adaptive maps.
    Curves(&'a mut [Curve]),
}

/// A number as a part has it.
trait Number: Copy {
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

/// By how much teams have changed a number, and how many of them have.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    sum: i32, // 16 teams move a number by less than 2^20 each
    teams: i32,
}

impl Part<'_> {
    /// All numbers.
    pub fn values(&self) -> Vec<i32> {
        match self {
            Self::Weights(own) => own.iter().map(|x| x.get()).collect(),
            Self::Last(own) => own.to_vec(),
            Self::Curves(own) => own.iter().flat_map(|curve| curve.0.map(Number::get)).collect(),
        }
    }

    /// Sets all numbers.
    pub fn set(&mut self, values: &[i32]) {
        match self {
            Self::Weights(own) => set(own, values),
            Self::Last(own) => own.copy_from_slice(values),
            Self::Curves(own) => {
                let values = values.as_chunks::<POINTS>().0;
                own.iter_mut().zip(values).for_each(|(own, values)| set(&mut own.0, values));
            }
        }
    }

    fn add(&self, old: &[i32], changes: &mut [Change]) {
        match self {
            Self::Weights(own) => add(own, old, changes),
            Self::Last(own) => add(own, old, changes),
            Self::Curves(own) => {
                let old = old.as_chunks::<POINTS>().0;
                let changes = changes.as_chunks_mut::<POINTS>().0;
                for ((own, old), changes) in own.iter().zip(old).zip(changes) {
                    add(&own.0, old, changes);
                }
            }
        }
    }
}

fn set<N: Number>(own: &mut [N], values: &[i32]) {
    own.iter_mut().zip(values).for_each(|(own, &value)| *own = N::of(value));
}

fn add<N: Number>(own: &[N], old: &[i32], changes: &mut [Change]) {
    for ((own, old), change) in own.iter().zip(old).zip(changes) {
        let by = own.get() - old;
        change.sum += by;
        change.teams += i32::from(by != 0);
    }
}

/// Sums for one part of all teams.
pub struct Averager(Vec<Change>);

impl Averager {
    /// For a part of `len` numbers.
    pub fn new(len: usize) -> Self {
        Self(vec![Change::default(); len])
    }

    /// Adds what a team has changed since all had `old`.
    pub fn add(&mut self, part: &Part<'_>, old: &[i32]) {
        part.add(old, &mut self.0);
    }

    /// Moves each number by the mean change of the teams that changed it.
    pub fn finish(self, values: &mut [i32]) {
        for (value, change) in values.iter_mut().zip(self.0) {
            if change.teams > 0 {
                *value += change.sum / change.teams;
            }
        }
    }
}
