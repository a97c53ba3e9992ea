//! Any program, by command lines: `cmd: ENCODE [; DECODE]`, or by name from a list of them.
//!
//! A line reads stdin and writes stdout, or names files: `{raw}`, `{coded}`, `{back}`. `{raw.any}` and `{back.any}` are files with the
//! header that the format of an item has elsewhere, of images PNM, of recordings WAV; `{coded.jxl}` is for a program that wants a suffix.
//! `{as}` is what lmic calls the format. `{train}` is what is learned from
//! before, `{state}` what `learn` made of it. Without DECODE, it is the program with `-d -c`. Lines with more to them than words and
//! `> FILE` are run by `sh`.
//!
//! Costs are those of the whole process: start and reading of files included.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::UsageWho;
use serde::Deserialize;

use super::{Codec, Learned, Made, ModelSize, Train, cpu_of};
use crate::item::{Format, Item, Told};
use crate::record::{Cost, commit};

/// What a name stands for: command lines, or a codec of this program.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    /// The codec of this program, in place of lines.
    #[serde(default)]
    pub codec: String,
    /// Encodes.
    #[serde(default)]
    pub encode: String,
    /// Decodes.
    #[serde(default)]
    pub decode: String,
    /// The code is an image that need not be decoded by the program: any decoder will do.
    #[serde(default)]
    pub image: bool,
    /// What it can code, if not everything.
    #[serde(default)]
    pub only: Option<Only>,
    /// The programs that lines need, first the one that codes; if nothing is said, the first word of `encode`.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Makes `{state}` of `{train}` before anything is coded.
    #[serde(default)]
    pub learn: String,
    /// The codec of this program that has the same model, whose size is counted.
    #[serde(default)]
    pub model: String,
}

/// Formats that a codec is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Only {
    /// Grey or in colour.
    Images,
    /// Of 8 or 16 bits.
    Speech,
}

impl Lines {
    /// Whether items of a format can be coded.
    pub fn takes(&self, format: Format) -> bool {
        let is = match format {
            Format::Bytes => None,
            Format::Gray { .. } | Format::Rgb { .. } => Some(Only::Images),
            Format::Pcm8 | Format::Pcm16 => Some(Only::Speech),
        };
        self.only.is_none() || self.only == is
    }
}

/// Codecs by name. A `*` in a name stands for one word, also in its lines.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Commands(BTreeMap<String, Lines>);

impl Commands {
    /// Reads a list; one that is not there is empty.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The lines of a codec.
    pub fn find(&self, name: &str) -> Option<Lines> {
        let with_star = || {
            self.0.iter().find_map(|(pattern, lines)| {
                let (before, after) = pattern.split_once('*')?;
                let word = name.strip_prefix(before)?.strip_suffix(after)?;
                let fill = |line: &String| line.replace('*', word);
                (!word.is_empty() && !word.contains(' ')).then(|| Lines {
                    codec: fill(&lines.codec),
                    encode: fill(&lines.encode),
                    decode: fill(&lines.decode),
                    learn: fill(&lines.learn),
                    model: fill(&lines.model),
                    image: lines.image,
                    only: lines.only,
                    programs: lines.programs.clone(),
                })
            })
        };
        self.0.get(name).cloned().or_else(with_star)
    }
}

/// A program.
pub struct Command {
    lines: Lines,
    model: Option<Box<dyn Codec>>,
    /// What was learned from, and what came of it.
    learned: Option<Made>,
}

impl Command {
    /// Reads a template.
    pub fn from_template(template: &str) -> Result<Self> {
        let (encode, decode) = match template.split_once(';') {
            Some((encode, decode)) => (encode.trim(), decode.trim().to_owned()),
            None => (template.trim(), String::new()),
        };
        Self::new(Lines { encode: encode.to_owned(), decode, ..Lines::default() })
    }

    /// Takes lines whose program is there.
    pub fn new(mut lines: Lines) -> Result<Self> {
        let first = lines.encode.split_whitespace().next().context("cmd: without a program")?;
        if lines.decode.is_empty() {
            lines.decode = if first == "cat" { first.into() } else { format!("{first} -d -c") };
        }
        let needed = lines.programs.iter().map(String::as_str);
        let first = lines.programs.is_empty().then_some(first);
        for program in needed.chain(first) {
            ensure!(find(program).is_some(), "{program} is not installed");
        }
        let model = (!lines.model.is_empty()).then(|| super::open(&lines.model)).transpose()?;
        Ok(Self { lines, model, learned: None })
    }

    /// Fills `line` in for items of a format.
    fn fill(&self, line: &str, format: Format) -> Result<String> {
        let (suffix, kind) = match format {
            Format::Bytes => ("", "bytes".into()),
            Format::Gray { row } => (".pgm", format!("gray:{row}")),
            Format::Rgb { row } => (".ppm", format!("rgb:{row}")),
            Format::Pcm8 => (".wav", "pcm8:1".into()),
            Format::Pcm16 => (".wav", "pcm16:1".into()),
        };
        let mut line = line.replace(".any}", &format!("{suffix}}}")).replace("{as}", &kind);
        if line.contains("{train}") || line.contains("{state}") {
            let learned = self.learned.as_ref().context("nothing to learn from")?;
            line = with_places(&line, learned.0.path());
        }
        Ok(line)
    }
}

impl Codec for Command {
    fn encode(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(self.encode_all(&[item], false)?.0.swap_remove(0))
    }

    fn decode(&self, coded: &[u8], told: Told) -> Result<Vec<u8>> {
        Ok(self.decode_all(&[coded.to_vec()], &[told], false)?.0.swap_remove(0))
    }

    fn encode_all(&self, items: &[&Item], peak: bool) -> Result<(Vec<Vec<u8>>, Cost)> {
        each(items, |item| {
            let folder = tempfile::tempdir()?;
            let line = self.fill(&self.lines.encode, item.format)?;
            if let Some(name) = named(&line, "{raw") {
                fs::write(folder.path().join(name), with_header(item, name))?;
            }
            run(&line, folder.path(), ["{raw", "{coded"], &item.bytes, peak)
        })
    }

    fn decode_all(
        &self,
        coded: &[Vec<u8>],
        told: &[Told],
        peak: bool,
    ) -> Result<(Vec<Vec<u8>>, Cost)> {
        let pairs: Vec<(&Vec<u8>, Told)> = coded.iter().zip(told.iter().copied()).collect();
        each(&pairs, |&(coded, told)| {
            if self.lines.image {
                return Ok((super::images::decode(coded, told)?, Cost::default()));
            }
            let folder = tempfile::tempdir()?;
            let line = self.fill(&self.lines.decode, told.format)?;
            if let Some(name) = named(&line, "{coded") {
                fs::write(folder.path().join(name), coded)?;
            }
            let (back, cost) = run(&line, folder.path(), ["{coded", "{back"], coded, peak)?;
            let back = match named(&line, "{back").and_then(|name| name.split_once('.')) {
                Some((_, "wav")) => from_wav(back)?,
                Some(_) => from_pnm(&back, told)?,
                None => back,
            };
            Ok((back, cost))
        })
    }

    fn learn(&mut self, train: &Train) -> Result<Option<Learned>> {
        let all = [&self.lines.encode, &self.lines.learn];
        if !all.iter().any(|line| line.contains("{train}")) {
            return Ok(None);
        }
        let mut made = train.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match made.entry(self.lines.learn.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(make(&self.lines.learn, &train.bytes)?),
        };
        self.learned = Some(Arc::clone(known));
        Ok(Some(Learned { bytes: train.bytes.len() as u64, cost: known.1 }))
    }

    fn model(&self, format: Format) -> Result<ModelSize> {
        let mut size = self.model.as_ref().map_or(Ok(ModelSize::default()), |m| m.model(format))?;
        if let Some(folder) = &self.learned {
            size.bytes +=
                fs::metadata(folder.0.path().join("state.lmicp")).map_or(0, |file| file.len());
        }
        Ok(size)
    }

    fn version(&self) -> String {
        version(self.lines.programs.first().unwrap_or(&self.lines.encode))
    }

    fn lines(&self) -> Option<&Lines> {
        Some(&self.lines)
    }
}

/// A line with the paths of what is learned from and of what was learned.
fn with_places(line: &str, folder: &Path) -> String {
    let place = |name: &str| folder.join(name).display().to_string();
    line.replace("{train}", &place("train")).replace("{state}", &place("state.lmicp"))
}

/// Learns by a line, if there is one.
fn make(line: &str, train: &[u8]) -> Result<Made> {
    let (folder, work) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::write(folder.path().join("train"), train)?;
    let cost = match line {
        "" => Cost::default(),
        line => {
            let line = with_places(line, folder.path());
            run(&line, work.path(), ["{raw", "{coded"], b"", false)?.1
        }
    };
    Ok(Arc::new((folder, cost)))
}

/// Does it for each, adding up what it takes.
fn each<T>(
    items: &[T],
    work: impl Fn(&T) -> Result<(Vec<u8>, Cost)>,
) -> Result<(Vec<Vec<u8>>, Cost)> {
    let mut total = Cost { cpu: Some(0.0), ..Cost::default() };
    let mut made = Vec::with_capacity(items.len());
    for item in items {
        let (bytes, cost) = work(item)?;
        made.push(bytes);
        total.add(cost);
    }
    Ok((made, total))
}

/// The folders of programs: that of this one first, as lmic lies beside it, unless `$LMIC` is another.
fn places() -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok();
    let lmic = std::env::var_os("LMIC").map(PathBuf::from).or(beside);
    let folder =
        lmic.as_deref().and_then(Path::parent).and_then(|folder| folder.canonicalize().ok());
    let path = std::env::var_os("PATH").unwrap_or_default();
    folder.into_iter().chain(std::env::split_paths(&path)).collect()
}

fn find(program: &str) -> Option<PathBuf> {
    places().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// What a program says about itself in its first line, without authors, dates of compilation and instruction sets. The bytes that lmic
/// writes are those of a commit.
fn version(line: &str) -> String {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_ours = first == "lmic" || words.any(|word| word == "lmic");
    let program = if is_ours { "lmic" } else { first };
    let argument = match program {
        "zpaq" | "7z" => None,
        "cwebp" => Some("-version"),
        _ => Some("--version"),
    };
    let Some(path) = find(program) else { return program.to_owned() };
    let said = Process::new(path).args(argument).stdin(Stdio::null()).output();
    let said = said.map(|said| [said.stdout, said.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let lines = said.lines().map(|line| line.trim_matches([' ', '*']));
    let mut first = lines.into_iter().find(|line| !line.is_empty()).unwrap_or(program);
    for mark in [", ", " : ", " | ", " -- ", " [AVX"] {
        first = first.split(mark).next().unwrap_or(first);
    }
    let named = if first.starts_with(|c: char| c.is_ascii_digit()) { program } else { "" };
    let of = if is_ours { format!(", commit {}", commit()) } else { String::new() };
    format!("{named} {first}{of}").trim().to_owned()
}

/// The name of the file that a placeholder stands for.
fn named<'a>(line: &'a str, placeholder: &str) -> Option<&'a str> {
    let start = line.find(placeholder)?;
    line[start + 1..].split('}').next()
}

/// Runs a line on what `files[0]` stands for, or stdin; its output is what `files[1]` stands for, or stdout.
fn run(
    line: &str,
    folder: &Path,
    files: [&str; 2],
    input: &[u8],
    peak: bool,
) -> Result<(Vec<u8>, Cost)> {
    let from_file = named(line, files[0]).is_some();
    let stdin = if from_file { Stdio::null() } else { Stdio::piped() };
    let mut running = Running::start(line, folder, stdin, Stdio::piped(), peak)?;
    let stdin = running.child.stdin.take();
    let stdout = running.child.stdout.take();
    let mut made = Vec::new();
    std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            scope.spawn(move || {
                // A program that reads a file, or enough, leaves the rest.
                let _ = stdin.write_all(input);
            });
        }
        stdout.map_or(Ok(0), |mut stdout| std::io::Read::read_to_end(&mut stdout, &mut made))
    })?;
    let cost = running.finish()?;
    if let Some(name) = named(line, files[1]) {
        made = fs::read(folder.join(name)).with_context(|| format!("{line} wrote no {name}"))?;
    }
    Ok((made, cost))
}

/// A line at work in a folder.
pub struct Running {
    /// The program, or `time` that waits for it.
    pub child: Child,
    bare: String,
    folder: PathBuf,
    start: Instant,
    cpu: Duration,
    peak: bool,
}

/// What a program complains about, and its peak: files in the folder.
const COMPLAINT: &str = "complaint";
const PEAK: &str = "peak";

impl Running {
    /// Starts it. `peak` puts GNU time between, if it is there: a child would start with the memory of this program in its own peak,
    /// which it keeps. That takes a millisecond, so what is timed closely is run without.
    pub fn start(
        line: &str,
        folder: &Path,
        stdin: Stdio,
        stdout: Stdio,
        peak: bool,
    ) -> Result<Self> {
        let bare = line.replace(['{', '}'], "");
        let peak = peak && find("time").is_some();
        let mut words: Vec<&str> = Vec::new();
        if peak {
            words.extend(["time", "--quiet", "-f", "%M", "-o", PEAK]);
        }
        let (command, target) =
            bare.split_once(" > ").map_or((&*bare, None), |(c, t)| (c, Some(t)));
        let is_plain = !bare.contains(['|', ';', '&', '$', '\'', '"', '<', '*']);
        if is_plain && !target.is_some_and(|target| target.contains([' ', '>'])) {
            words.extend(command.split_whitespace());
        } else {
            words.extend(["sh", "-c", &bare]);
        }
        let stdout = match target.filter(|_| words.last() != Some(&&*bare)) {
            Some(target) => File::create(folder.join(target))?.into(),
            None => stdout,
        };
        let path = std::env::join_paths(places())?;
        let mut process = Process::new(words[0]);
        process.args(&words[1..]).current_dir(folder).env("PATH", path);
        // Programs run elsewhere. The networks of level 8 and up are in the first, what else is measured in the second.
        for (name, default) in [("LMIC_MODELS", "models"), ("MODELS", "")] {
            let folder = std::env::var_os(name).unwrap_or(default.into());
            process.env(name, std::env::current_dir()?.join(folder));
        }
        process.stdin(stdin).stdout(stdout).stderr(File::create(folder.join(COMPLAINT))?);
        let cpu = cpu_of(UsageWho::RUSAGE_CHILDREN);
        let start = Instant::now();
        let child = process.spawn().with_context(|| bare.clone())?;
        Ok(Self { child, folder: folder.to_owned(), start, cpu, peak, bare })
    }

    /// Waits; what it took.
    pub fn finish(mut self) -> Result<Cost> {
        let status = self.child.wait()?;
        let wall = self.start.elapsed().as_secs_f64();
        let cpu = cpu_of(UsageWho::RUSAGE_CHILDREN).saturating_sub(self.cpu);
        if !status.success() {
            let said = fs::read(self.folder.join(COMPLAINT)).unwrap_or_default();
            bail!("{}: {status}: {}", self.bare, String::from_utf8_lossy(&said).trim());
        }
        let kib = match self.peak {
            true => fs::read_to_string(self.folder.join(PEAK))?.trim().parse::<u64>().ok(),
            false => None,
        };
        Ok(Cost { wall, cpu: Some(cpu.as_secs_f64()), peak: kib.map(|kib| kib << 10) })
    }
}

/// What a program is given: the bytes, an image or a recording as its suffix says.
fn with_header(item: &Item, name: &str) -> Vec<u8> {
    let mut file = Vec::new();
    match name.split_once('.').map_or("", |(_, suffix)| suffix) {
        "pgm" | "ppm" => {
            let (magic, samples) =
                if let Format::Rgb { .. } = item.format { (6, 3) } else { (5, 1) };
            let width = item.format.row() as usize;
            let height = item.bytes.len().div_ceil(samples * width).max(1);
            file.extend_from_slice(format!("P{magic}\n{width} {height}\n255\n").as_bytes());
            let end = file.len() + samples * width * height;
            file.extend_from_slice(&item.bytes);
            file.resize(end, 0);
        }
        "wav" => {
            let bits: u16 = if item.format == Format::Pcm16 { 16 } else { 8 };
            let (rate, len) = (crate::data::SAMPLE_RATE, item.bytes.len() as u32);
            let padding = len & 1;
            file.extend_from_slice(b"RIFF");
            file.extend_from_slice(&(36 + len + padding).to_le_bytes());
            file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
            file.extend_from_slice(&rate.to_le_bytes());
            file.extend_from_slice(&(rate * u32::from(bits / 8)).to_le_bytes());
            file.extend_from_slice(&(bits / 8).to_le_bytes());
            file.extend_from_slice(&bits.to_le_bytes());
            file.extend_from_slice(b"data");
            file.extend_from_slice(&len.to_le_bytes());
            file.extend_from_slice(&item.bytes);
            file.resize(file.len() + padding as usize, 0);
        }
        _ => file.extend_from_slice(&item.bytes),
    }
    file
}

/// The samples of a PGM or PPM file: its end, behind three numbers and one white space.
fn from_pnm(file: &[u8], told: Told) -> Result<Vec<u8>> {
    let channels = if matches!(told.format, Format::Rgb { .. }) { 3 } else { 1 };
    let row = channels * told.format.row() as usize;
    let samples = told.len.div_ceil(row).max(1) * row;
    let start = file.len().checked_sub(samples).context("an image that is too short")?;
    Ok(file[start..][..told.len].to_vec())
}

/// The samples of a WAV file.
fn from_wav(mut file: Vec<u8>) -> Result<Vec<u8>> {
    let mut at = 12;
    loop {
        let chunk = file.get(at..at + 8).context("a WAV without data")?;
        let len = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]) as usize;
        if &chunk[..4] == b"data" {
            file.drain(..at + 8);
            file.truncate(len);
            return Ok(file);
        }
        at += 8 + len + len % 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_star_are_filled_in() {
        let commands: Commands = toml::from_str(
            "[\"tool -*\"]\nencode = \"tool -* -c {raw}\"\n[\"tool -1\"]\nencode = \"one\"\n",
        )
        .unwrap();
        assert_eq!(commands.find("tool -9e").unwrap().encode, "tool -9e -c {raw}");
        assert_eq!(commands.find("tool -1").unwrap().encode, "one");
        let of_images = Lines { only: Some(Only::Images), ..Lines::default() };
        assert!(of_images.takes(Format::Rgb { row: 3 }) && !of_images.takes(Format::Pcm8));
        assert!(commands.find("tool -1 -T2").is_none() && commands.find("tool -").is_none());
    }

    #[test]
    fn a_process_is_measured_alone() {
        let codec = Command::from_template("cat {raw} > {coded}; sh -c 'sleep 0.2; cat' < {coded}");
        let codec = codec.unwrap();
        let item = Item { bytes: vec![7; 5000], format: Format::Bytes };
        let (coded, encoding) = codec.encode_all(&[&item, &item], true).unwrap();
        let (back, decoding) = codec.decode_all(&coded, &[item.told(); 2], true).unwrap();
        assert_eq!(back, [item.bytes.clone(), item.bytes]);
        assert!(decoding.wall > 0.4 && decoding.cpu.unwrap() < 0.2, "{decoding:?}");
        if find("time").is_some() {
            // Less than this test, whose memory a child would have started with.
            let peak = encoding.peak.unwrap();
            assert!((500 << 10..6 << 20).contains(&peak), "{peak}");
        }
    }

    #[test]
    fn what_is_not_installed_and_what_fails_is_said() {
        let error = Command::from_template("no-such-program-here -c").err().unwrap().to_string();
        assert_eq!(error, "no-such-program-here is not installed");
        let failing = Command::from_template("sh -c 'echo oh dear >&2 && exit 3'").unwrap();
        let item = Item { bytes: vec![1], format: Format::Bytes };
        let error = failing.encode(&item).unwrap_err().to_string();
        assert!(error.contains("oh dear") && error.contains('3'), "{error}");
    }

    #[test]
    fn images_and_recordings_get_their_headers_and_lose_them() {
        let codec = Command::from_template("cp {raw.any} {coded}; cp {coded} {back.any}").unwrap();
        let bytes: Vec<u8> = (0..63).collect();
        for format in [Format::Rgb { row: 7 }, Format::Gray { row: 9 }] {
            let item = Item { bytes: bytes.clone(), format };
            let coded = super::super::verified(&codec, &item).unwrap();
            assert!(coded.starts_with(if format.row() == 7 { b"P6\n7 3\n" } else { b"P5\n9 7\n" }));
        }
        let codec = Command::from_template("cp {raw.any} {coded}; cp {coded} {back.any}").unwrap();
        for format in [Format::Pcm8, Format::Pcm16] {
            let bytes = bytes[..if format == Format::Pcm8 { 63 } else { 62 }].to_vec();
            let coded = super::super::verified(&codec, &Item { bytes, format }).unwrap();
            let reader = hound::WavReader::new(&coded[..]).unwrap();
            assert_eq!((reader.spec().sample_rate, reader.spec().channels), (16_000, 1));
            assert_eq!(reader.len(), if format == Format::Pcm8 { 63 } else { 31 });
        }
    }

    #[test]
    fn what_was_learned_from_is_at_hand() {
        let mut codec = Command::new(Lines {
            encode: "diff -a --to-file={state} {raw} | wc -c".into(),
            learn: "cp {train} {state}".into(),
            ..Lines::default()
        })
        .unwrap();
        let item = Item { bytes: b"same\n".to_vec(), format: Format::Bytes };
        assert!(codec.encode(&item).unwrap_err().to_string().contains("learn"));
        let train = Train::new(b"same\n".to_vec());
        assert_eq!(codec.learn(&train).unwrap().unwrap().bytes, 5);
        assert_eq!(codec.encode(&item).unwrap(), b"0\n");
        assert_eq!(codec.model(Format::Bytes).unwrap().bytes, 5);
    }
}
