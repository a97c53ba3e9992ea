//! `lmic cat [--range A..B] FILE...`: content to stdout. A range decodes only the blocks it touches.

use std::ops::Bound;

use anyhow::{Result, bail};
use lmic::{Archive, DecodeOptions};

use crate::args::{ByteRange, CatArgs};
use crate::console::Console;
use crate::sink::Sink;
use crate::source::{self, Policy, Source};
use crate::transform::{Direction, Target, Transform};

/// Writes the content of each file, one after the other.
pub fn run(args: CatArgs, options: DecodeOptions, console: &Console) -> Result<()> {
    let sources = source::from_names(args.files);
    let Some(range) = args.range else {
        return Transform {
            direction: Direction::Decompress(options),
            sources,
            recursive: false,
            target: Target::Stdout,
            force: false,
            remove_source: false,
        }
        .run(console);
    };
    for source in sources {
        console.outcome(source.name(), write_range(&source, range, &options))?;
    }
    Ok(())
}

fn write_range(source: &Source, range: ByteRange, options: &DecodeOptions) -> Result<()> {
    let opened = source.open(Policy::ANY)?;
    if !opened.is_seekable() {
        bail!("is not a regular file, so no range can be found (save it to a file first)");
    }
    let mut archive = Archive::open(opened.file, options.clone())?;
    let len = archive.raw_len();
    let end = match range.end {
        Bound::Excluded(end) | Bound::Included(end) => end,
        Bound::Unbounded => len.max(range.start),
    };
    if end > len {
        bail!(
            "has {len} bytes of content, range {}..{end} passes them (end at {len})",
            range.start
        );
    }
    archive.read_range(range.start..end, &mut Sink::stdout()?)?;
    Ok(())
}
