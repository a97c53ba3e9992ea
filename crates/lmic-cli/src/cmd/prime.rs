//! `lmic prime --examples PATH -o OUT`: learns from examples, writes a primed state.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lmic::MAX_MODEL_NAME;
use lmic::models::{PRIMED, is_plain};
use lmic::records::{PrimeOptions, Primed};
use serde_json::Value;

use crate::args::{PrimeArgs, usage_error};
use crate::console::{Console, display_name};
use crate::file_id::FileId;
use crate::sink::Sink;
use crate::size;
use crate::source::{self, Policy, Source};

/// How a file is cut into examples, which are records like those to be coded later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut<'a> {
    /// The whole file.
    Whole,
    /// Each line, as `--records` codes it.
    Lines,
    /// Pieces of so many bytes.
    Chunks(usize),
    /// Of each line, which is a JSON object, the string of this name.
    Field(&'a str),
}

/// Learns from all examples and writes the state.
pub fn run(args: PrimeArgs, console: &Console) -> Result<()> {
    let started = Instant::now();
    if args.examples.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        usage_error("--examples -: stdin can be read once only");
    }
    let out = output(&args.output).unwrap_or_else(|message| usage_error(message));
    let cut = match &args.field {
        Some(name) => Cut::Field(name),
        None if args.whole => Cut::Whole,
        None => args
            .chunk
            .map_or(Cut::Lines, |len| Cut::Chunks(usize::try_from(len).unwrap_or(usize::MAX))),
    };
    // All files are found before the output is created: it may be in a folder of examples, and is none of them.
    let found = find(&args.examples, cut)?;
    let name = out.as_deref().map_or_else(|| "(stdout)".into(), display_name);
    let stdout = Path::new("/dev/stdout");
    let id = match &out {
        Some(out) => FileId::at(out),
        // Stdout is compared with the inputs only if it is a file: a terminal or a socket may be stdin and stdout at once.
        None => FileId::at(stdout).filter(|_| stdout.is_file()),
    };
    if id.is_some() && found.iter().any(|file| file.id == id) {
        bail!("{name}: is an example and the output at once (choose another name for -o)");
    }
    let mut sink = match &out {
        Some(out) => Sink::named(out, args.force, None)?,
        None => Sink::stdout()?,
    };
    if sink.is_terminal() && !args.force {
        bail!(
            "a primed state is not written to a terminal \
             (redirect it, name a file with -o, or force it with -f)"
        );
    }
    let examples = read(&found)?;
    let bytes: usize = examples.iter().map(Vec::len).sum();
    let examples: Vec<&[u8]> = examples.iter().map(Vec::as_slice).collect();
    let options = PrimeOptions { table_bits: args.table_bits, private: args.private };
    let file = Primed::learn(&examples, &options)?.to_bytes();
    sink.write_all(&file)?;
    sink.finish(false)?;
    if !args.quiet {
        console.note(format_args!(
            "{name}: {} examples, {} -> {}, {:.1} s",
            examples.len(),
            size::human(bytes as u64),
            size::human(file.len() as u64),
            started.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

/// The file to write; `None` is stdout. Archives will hold its name, and the model folder perhaps the file: a name that they
/// would refuse is refused here, before anything is learned.
fn output(path: &Path) -> Result<Option<PathBuf>, String> {
    if path.as_os_str() == "-" {
        return Ok(None);
    }
    if Sink::is_direct(path) {
        return Ok(Some(path.to_owned()));
    }
    let shown = display_name(path);
    let ends_as_folder = path.as_os_str().as_encoded_bytes().last().is_some_and(|&last| {
        std::path::is_separator(last.into()) // `with_file_name` would not see it
    });
    let Some(name) = path.file_name().filter(|_| !ends_as_folder) else {
        return Err(format!("--output {shown} is a folder; name a file in it"));
    };
    let Some(name) = name.to_str() else {
        return Err(format!("--output {shown}: the name is not UTF-8, which archives want"));
    };
    let extension = format!(".{}", PRIMED);
    let at = name.len().saturating_sub(extension.len());
    let (name, given) = match name.get(at..) {
        Some(end) if end.eq_ignore_ascii_case(&extension) => name.split_at(at),
        _ => (name, &extension[..]),
    };
    if name.len() > MAX_MODEL_NAME {
        return Err(format!(
            "--output {shown}: the name has {} bytes; at most {MAX_MODEL_NAME} are allowed, as archives have it",
            name.len()
        ));
    }
    if !is_plain(name) || name.contains(char::is_control) {
        return Err(format!(
            "--output {shown}: {name:?} is no name for a model; it may not be empty, begin with a dot, or have '\\', ':' or control characters in it"
        ));
    }
    Ok(Some(path.with_file_name(format!("{name}{given}"))))
}

/// A file to learn from.
#[derive(Debug)]
pub struct Input<'a> {
    source: Source,
    id: Option<FileId>,
    cut: Cut<'a>,
    /// Whether it was found below a folder instead of being named: then it may be empty.
    is_found: bool,
}

/// The files of `paths`, and those below the folders among them, each once. A file that is found below a folder is one
/// record, unless it is cut into pieces. They come in an order that does not depend on the file system, because the state
/// depends on the order.
pub fn find<'a>(paths: &[PathBuf], cut: Cut<'a>) -> Result<Vec<Input<'a>>> {
    let (mut inputs, mut seen) = (Vec::new(), HashSet::new());
    for source in source::from_names(paths.to_vec()) {
        let is_found = matches!(&source, Source::File(path) if path.is_dir());
        let cut = match cut {
            Cut::Lines | Cut::Field(_) if is_found => Cut::Whole,
            _ => cut,
        };
        for (source, found) in source::walk(vec![source], |path| !source::has_suffix(path)) {
            found.with_context(|| source.name())?;
            let id = FileId::at(match &source {
                Source::File(path) => path,
                Source::Stdin => Path::new("/dev/stdin"),
            });
            if id.clone().is_none_or(|id| seen.insert(id)) {
                inputs.push(Input { source, id, cut, is_found });
            }
        }
    }
    Ok(inputs)
}

/// The examples of all `inputs`.
pub fn read(inputs: &[Input<'_>]) -> Result<Vec<Vec<u8>>> {
    let mut examples = Vec::new();
    for input in inputs {
        input.read(&mut examples).with_context(|| input.source.name())?;
    }
    Ok(examples)
}

impl Input<'_> {
    fn read(&self, examples: &mut Vec<Vec<u8>>) -> Result<()> {
        let mut content = Vec::new();
        let mut opened = self.source.open(Policy::ANY)?;
        opened.file.read_to_end(&mut content).context("cannot read")?;
        if self.is_found && content.is_empty() && self.cut != Cut::Whole {
            return Ok(()); // no piece
        }
        split(&content, self.cut, examples)
    }
}

/// Appends the examples that a file's content is cut into.
pub fn split(content: &[u8], cut: Cut<'_>, examples: &mut Vec<Vec<u8>>) -> Result<()> {
    if cut == Cut::Whole {
        examples.push(content.to_vec());
        return Ok(());
    }
    if content.is_empty() {
        bail!("is empty, there are no records");
    }
    if let Cut::Chunks(len) = cut {
        examples.extend(content.chunks(len).map(<[u8]>::to_vec));
        return Ok(());
    }
    let lines = content.strip_suffix(b"\n").unwrap_or(content).split(|&byte| byte == b'\n');
    for (number, line) in (1..).zip(lines) {
        examples.push(match cut {
            Cut::Field(name) => text_of(line, name).with_context(|| {
                format!("line {number} is no JSON object with a string {name:?} (without --field lines are records as they are)")
            })?,
            _ => line.to_vec(),
        });
    }
    Ok(())
}

/// The string `name` of the JSON object that a line is.
fn text_of(line: &[u8], name: &str) -> Option<Vec<u8>> {
    let object: Value = serde_json::from_slice(line).ok()?;
    Some(object.get(name)?.as_str()?.as_bytes().to_vec())
}
