//! `lmic cat [--range A..B | --record N] FILE...`: content to stdout. A range decodes only the blocks it touches, a record
//! only itself.

use std::ops::Bound;

use anyhow::{Result, bail};
use lmic::{Archive, DecodeOptions};

use crate::args::{ByteRange, CatArgs};
use crate::console::Console;
use crate::keys::Keys;
use crate::needed::Needed;
use crate::sink::Sink;
use crate::source::{self, Policy, Source};
use crate::transform::{Direction, Target, Transform};

/// Writes the content of each file, one after the other.
pub fn run(args: CatArgs, options: DecodeOptions, needed: Needed, console: &Console) -> Result<()> {
    let keys = Keys::of(&args.keys, &args.files)?;
    let sources = source::from_names(args.files);
    let of_records = args.record.is_some();
    let Some(range) = args.range.or(args.record) else {
        return Transform {
            direction: Direction::Decompress(options, keys),
            sources,
            recursive: false,
            target: Target::Stdout,
            force: false,
            remove_source: false,
            isolate: false,
            needed,
        }
        .run(console);
    };
    let out = Sink::stdout()?;
    needed.check_output(&out)?;
    source::check_apart(&sources, &out)?;
    for source in sources {
        console
            .outcome(source.name(), write_range(&source, &range, of_records, &options, &keys))?;
    }
    Ok(())
}

fn write_range(
    source: &Source,
    range: &ByteRange,
    of_records: bool,
    options: &DecodeOptions,
    keys: &Keys,
) -> Result<()> {
    let opened = source.open(Policy::ANY)?;
    if !opened.is_seekable() {
        bail!("is not a regular file, so no range can be found (save it to a file first)");
    }
    let mut archive = Archive::open(keys.open(opened.file)?, options.clone())?;
    let (len, unit, option) = match of_records {
        true => (archive.records()?, "records (the first is 0)", "--record"),
        false => (archive.raw_len(), "bytes of content", "--range"),
    };
    let end = match range.end {
        Bound::Excluded(end) | Bound::Included(end) => end,
        Bound::Unbounded => len.max(range.start),
    };
    if end > len {
        bail!("has {len} {unit}, which is less than {option} {} asks for", range.text);
    }
    let mut out = Sink::stdout()?;
    match of_records {
        true => archive.read_records(range.start..end, &mut out)?,
        false => archive.read_range(range.start..end, &mut out)?,
    }
    out.finish(false)?;
    Ok(())
}
