//! The logistic domain, in integers: `stretch(p) = ln(p / (1 - p))` and its inverse `squash`.
//!
//! Probabilities are integers over 2^16 here; stretched values are in units of 1/256 ("8 fractional
//! bits"), between [`-STRETCH_MAX`](STRETCH_MAX) and `STRETCH_MAX`. Both tables are computed at compile time with IEEE
//! additions, multiplications and divisions only, so they are the same on every machine.

/// The largest stretched value: ln(65535) * 256 = 2839, that of the largest probability in 16 bits.
pub const STRETCH_MAX: i32 = 2839; // frozen

const SQUASH_LEN: usize = 2 * STRETCH_MAX as usize + 1; // frozen

/// e^x by halving into the series' range: only + * /, which const evaluation rounds as IEEE says.
pub const fn exp(x: f64) -> f64 {
    let y = x / 4096.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut n = 1;
    while n < 12 {
        term = term * y / n as f64;
        sum += term;
        n += 1;
    }
    let mut i = 0;
    while i < 12 {
        sum *= sum;
        i += 1;
    }
    sum
}

static SQUASH: [u16; SQUASH_LEN] = {
    let mut table = [0; SQUASH_LEN];
    let mut i = 0;
    while i < SQUASH_LEN {
        let x = (i as i32 - STRETCH_MAX) as f64 / 256.0;
        let p = (65536.0 / (1.0 + exp(-x)) + 0.5) as i32;
        table[i] = if p < 1 {
            1
        } else if p > 65535 {
            65535
        } else {
            p as u16
        };
        i += 1;
    }
    table
}; // frozen

/// The stretched value of a probability, by its upper 12 bits: that of the middle of all that share them.
static STRETCH: [i16; 4096] = {
    let mut table = [0; 4096];
    let mut cell = 0;
    // squash rises, so the table is filled by one pass over it: the first x with squash(x) >= middle.
    let mut x = 0;
    while cell < 4096 {
        let middle = cell as u32 * 16 + 8;
        while x + 1 < SQUASH_LEN && (SQUASH[x] as u32) < middle {
            x += 1;
        }
        table[cell] = (x as i32 - STRETCH_MAX) as i16;
        cell += 1;
    }
    table
}; // frozen

/// `65536 / (1 + e^(-x / 256))`, within 1..=65535. `x` is clamped to `±STRETCH_MAX`.
#[inline(always)]
pub fn squash(x: i32) -> u32 {
    squash_within(x.clamp(-STRETCH_MAX, STRETCH_MAX))
}

/// [`squash`] of a value known to lie within `±STRETCH_MAX`.
///
/// # Panics
/// If it does not.
#[inline(always)]
pub fn squash_within(x: i32) -> u32 {
    u32::from(SQUASH[(x + STRETCH_MAX) as usize])
}

/// `256 * ln(p / (65536 - p))` for a 16-bit probability.
#[inline(always)]
pub fn stretch(p: u32) -> i32 {
    i32::from(STRETCH[(p >> 4) as usize & 4095])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squash_is_symmetric_and_rises() {
        for x in -STRETCH_MAX..STRETCH_MAX {
            assert!(squash(x) <= squash(x + 1));
            assert!(squash(x).abs_diff(65536 - squash(-x)) <= 1, "{x}");
        }
        assert_eq!(squash(0), 32768);
    }

    #[test]
    fn stretch_inverts_squash() {
        for p in (64..65536 - 64).step_by(16) {
            // A cell is 16 wide: half of it is the error.
            assert!(squash(stretch(p)).abs_diff(p + 8) <= 8 + 128, "{p}");
        }
    }
}
