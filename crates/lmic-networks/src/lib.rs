//! The networks of lmic's levels 6 to 8, and the start of level 9: data without code. README.md beside this crate says how they were trained.
//!
//! A network is a safetensors file without its rows for contexts, and the start of its mix (docs/format/mix.md). The rows are one
//! table for all three.

/// A network's file and the start of its mix.
pub type Network = (&'static [u8], &'static [u8]);

macro_rules! network {
    ($number:literal) => {
        (
            include_bytes!(concat!("../data/", $number, ".safetensors")),
            include_bytes!(concat!("../data/", $number, ".start")),
        )
    };
}

/// Number 6.
pub const SMALL: Network = network!("6");
/// Number 7.
pub const DEFAULT: Network = network!("7");
/// Number 8.
pub const LARGE: Network = network!("8");

/// The start of the mix of number 9, whose network is a file of its own.
pub const APART_START: &[u8] = include_bytes!("../data/9.start");

/// The rows of all of them, of one kind of contexts after the other.
pub static ROWS: [&[u8]; 7] = {
    let [a, b, c, d] = lmic_rows_a::ROWS;
    let [e, f, g] = lmic_rows_b::ROWS;
    [a, b, c, d, e, f, g]
};
