//! How do I compress and restore a stream, of any length and without holding it in memory?
//!
//! ```text
//! cargo run --release -p lmic --example stream < FILE > FILE.lmic
//! cargo run --release -p lmic --example stream -- -d < FILE.lmic > FILE
//! ```

use std::io::{self, Write, stdin, stdout};

use lmic::{DEFAULT_LEVEL, Decoder, Encoder};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("-d") {
        // To the end: the check of the whole comes last.
        io::copy(&mut Decoder::new(stdin().lock()), &mut stdout().lock())?;
    } else {
        let mut encoder = Encoder::new(stdout().lock(), DEFAULT_LEVEL)?;
        io::copy(&mut stdin().lock(), &mut encoder)?;
        // Writes the last block and the index; without it the file is truncated.
        encoder.finish()?.flush()?;
    }
    Ok(())
}
