//! Rows for frequent contexts of the networks of lmic, of its last 3 kinds of contexts: data without code.

/// The rows of each kind (docs/format/recurrent.md).
pub const ROWS: [&[u8]; 3] = [
    include_bytes!("../data/rows-4.bin"),
    include_bytes!("../data/rows-5.bin"),
    include_bytes!("../data/rows-6.bin"),
];
