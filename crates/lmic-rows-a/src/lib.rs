//! Rows for frequent contexts of the networks of lmic, of its first 4 kinds of contexts: data without code.

/// The rows of each kind (docs/format/recurrent.md).
pub const ROWS: [&[u8]; 4] = [
    include_bytes!("../data/rows-0.bin"),
    include_bytes!("../data/rows-1.bin"),
    include_bytes!("../data/rows-2.bin"),
    include_bytes!("../data/rows-3.bin"),
];
