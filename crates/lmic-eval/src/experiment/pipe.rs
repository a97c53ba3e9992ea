//! Cells in which more data than there is memory for go through pipes into a program, and its code through pipes into its decoder.
//! Only the code is stored; what comes back is compared by length and hash.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::{Cell, Run};
use crate::codec::Running;
use crate::data::{DataSet, Loaded};
use crate::record::Record;

/// Bytes that are made and read at a time.
const PIECE: usize = 1 << 20;

/// So much generated data, which is never in memory: pieces of a seed that is counted up.
pub fn described(set: &DataSet, limit: usize) -> Loaded {
    Loaded::endless(DataSet { bytes: set.bytes.min(limit), ..set.clone() })
}

/// Encodes, decodes and compares.
pub fn measure(run: &Run<'_>, cell: &Cell) -> Result<Record> {
    let codec = run.open(&cell.codec)?;
    let lines = codec.lines().context("only programs have pipes")?;
    let set = run.loaded[&cell.data].endless.clone().context("no generated data")?;
    let folder = tempfile::tempdir()?;
    let coded = folder.path().join("coded");
    let mut record = run.record(cell);

    let output = File::create(&coded)?.into();
    let mut running = Running::start(&lines.encode, folder.path(), Stdio::piped(), output, true)?;
    let mut stdin = running.child.stdin.take().context("no stdin")?;
    let mut sent = blake3::Hasher::new();
    for piece in set.pieces_of(PIECE) {
        sent.update(&piece);
        // A program that ended says why below.
        if stdin.write_all(&piece).is_err() {
            break;
        }
    }
    drop(stdin);
    let encoding = running.finish()?;

    let input = File::open(&coded)?.into();
    let mut running = Running::start(&lines.decode, folder.path(), input, Stdio::piped(), true)?;
    let mut stdout = running.child.stdout.take().context("no stdout")?;
    let mut received = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE];
    loop {
        let len = stdout.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        received.update(&buffer[..len]);
    }
    let decoding = running.finish()?;
    ensure!(
        sent.finalize() == received.finalize() && sent.count() == received.count(),
        "{} bytes were sent, {} came back",
        sent.count(),
        received.count()
    );
    (record.items, record.raw_bytes) = (1, sent.count());
    record.coded_bytes = coded.metadata()?.len();
    record.coded_bytes_header_once = record.coded_bytes;
    record.version = codec.version();
    record.set_costs(&[[encoding, decoding]]);
    Ok(record)
}
