//! Bit histories: what has been seen in one context, in one byte.
//!
//! A state of a history stands for a pair of counts `(n0, n1)` of zeros and ones and, if both have occurred, for which came last.
//! The smaller count limits the larger one, so that 255 states suffice. A surprising bit makes the opposite count smaller,
//! because a history is evidence of what comes *next*, and sources change. That a history leads to an adaptive
//! probability instead of being one follows the PAQ family: M. Mahoney, "Adaptive weighing of context models for lossless
//! data compression" (2005).
//!
//! States are numbered by rising `n0 + n1`, so the number of a state also says how much it is worth when a slot of the table
//! is to be replaced. State 0 is "never seen".

/// The largest count that is allowed together with each smaller one, by the smaller one.
const CAP: [u8; 6] = [30, 24, 13, 9, 7, 6]; // frozen

/// What is left of a count when the opposite bit comes.
const fn discount(n: u8) -> u8 {
    match n {
        0..=2 => n,
        3 => 2,
        4..=7 => 3,
        8..=15 => 4,
        16..=24 => 5,
        _ => 6,
    }
}

const fn allowed(n0: u8, n1: u8) -> bool {
    let (low, high) = if n0 < n1 { (n0, n1) } else { (n1, n0) };
    (low as usize) < CAP.len() && high <= CAP[low as usize]
}

#[derive(Clone, Copy)]
struct State {
    n0: u8,
    n1: u8,
    last: u8,
}

const fn enumerate() -> ([State; 256], usize) {
    let mut states = [State { n0: 0, n1: 0, last: 0 }; 256];
    let mut len = 0;
    let mut total = 0;
    while total <= 2 * CAP[0] {
        let mut n1 = 0;
        while n1 <= total {
            let n0 = total - n1;
            let mut last = 0;
            while last < 2 {
                // If only one kind of bit has occurred, the last bit is known, and one state is enough.
                let certain = n0 == 0 || n1 == 0;
                let wanted = !certain || last == (n1 > 0) as u8;
                if allowed(n0, n1) && wanted {
                    states[len] = State { n0, n1, last };
                    len += 1;
                }
                last += 1;
            }
            n1 += 1;
        }
        total += 1;
    }
    (states, len)
}

const ENUMERATED: ([State; 256], usize) = enumerate(); // frozen
const STATES: [State; 256] = ENUMERATED.0; // frozen
/// How many states there are.
pub const LEN: usize = ENUMERATED.1; // frozen
const _: () = assert!(LEN <= 256);

const fn find(n0: u8, n1: u8, last: u8) -> u8 {
    let mut i = 0;
    while i < LEN {
        let s = STATES[i];
        if s.n0 == n0 && s.n1 == n1 && (s.last == last || n0 == 0 || n1 == 0) {
            return i as u8;
        }
        i += 1;
    }
    panic!("state out of the table")
}

const fn successor(s: State, bit: u8) -> u8 {
    let (mut same, mut other) = if bit == 0 { (s.n0, s.n1) } else { (s.n1, s.n0) };
    other = discount(other);
    // A lower other count never lowers the cap, so at worst the count stays where it is.
    if allowed(same + 1, other) {
        same += 1;
    }
    while !allowed(same, other) {
        if same > other { same -= 1 } else { other -= 1 }
    }
    if bit == 0 { find(same, other, 0) } else { find(other, same, 1) }
}

/// `NEXT[state][bit]`: the state after `bit`.
pub static NEXT: [[u8; 2]; 256] = {
    let mut next = [[0; 2]; 256];
    let mut i = 0;
    while i < LEN {
        next[i] = [successor(STATES[i], 0), successor(STATES[i], 1)];
        i += 1;
    }
    next
}; // frozen

/// The counts `(n0, n1)` behind a state.
pub const fn counts(state: u8) -> (u8, u8) {
    let s = STATES[state as usize];
    (s.n0, s.n1)
}

/// The state of `n` bits (at most 30) that were all `one`.
pub const fn run(n: u8, one: bool) -> u8 {
    static RUNS: [[u8; 2]; CAP[0] as usize + 1] = {
        let mut runs = [[0; 2]; CAP[0] as usize + 1];
        let mut n = 0;
        while n <= CAP[0] {
            runs[n as usize] = [find(n, 0, 0), find(0, n, 1)];
            n += 1;
        }
        runs
    }; // frozen
    let n = if n > CAP[0] { CAP[0] } else { n };
    RUNS[n as usize][one as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_rise_with_their_counts_and_stay_in_the_table() {
        for (i, s) in STATES[..LEN].iter().enumerate() {
            assert!(i == 0 || STATES[i - 1].n0 + STATES[i - 1].n1 <= s.n0 + s.n1);
            for next in NEXT[i] {
                assert!(usize::from(next) < LEN && next != 0);
            }
        }
    }

    #[test]
    fn a_run_counts_up_and_a_surprise_discounts_it() {
        let run = (0..20).fold(0, |s, _| NEXT[usize::from(s)][1]);
        assert_eq!(counts(run), (0, 20));
        assert_eq!(counts(NEXT[usize::from(run)][0]), (1, discount(20)));
    }
}
