//! Data sets: a TOML file says what one is, where it comes from and under which licence; here it becomes items.
//!
//! ```toml
//! title = "grey patches"
//! kind = "images"
//! path = "images/dev"      # below the data folder
//! per_file = 4             # pieces of each file, evenly spaced; 0 or nothing: all of them
//! licence = "research use"
//! source = "EliSchwartz/imagenet-sample-images"
//! ```
//!
//! To add a kind: a variant of `Kind`, a reader of one file that gives an `Item`.

mod fetch;
mod generated;
mod images;
mod rows;
mod speech;
mod text;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::codec::Train;
use crate::item::{Format, Item, ROW};
pub use fetch::{Download, fetch_and_unpack};
pub use images::read as read_image;
pub use rows::lines;
pub use speech::{SAMPLE_RATE, read as read_speech};
pub use text::read as read_text;

/// Rows of a patch of an image; with [`ROW`] samples each they fill a chunk of the paper.
pub const PATCH_ROWS: u32 = 32;

/// What a data set is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// What tables call it.
    pub title: String,
    /// What its files are.
    pub kind: Kind,
    /// File or folder below the data folder; nothing for what is generated.
    pub path: Option<PathBuf>,
    /// Pieces of each file, evenly spaced; 0 is all.
    #[serde(default)]
    pub per_file: usize,
    /// For speech: 8 or 16.
    #[serde(default = "default_bits")]
    pub bits: u8,
    /// For Parquet: the column.
    #[serde(default)]
    pub column: Option<String>,
    /// Whether the lowest bit of each byte is lost, as in the data that the paper's language models see: a byte `b` is `b >> 1`.
    #[serde(default)]
    pub masked: bool,
    /// For what is generated. For images: pieces are patches from anywhere, drawn by it; 0 is from a grid.
    #[serde(default)]
    pub seed: u64,
    /// For what is generated: bytes. Else so many first bytes of each file; 0 is all.
    #[serde(default)]
    pub bytes: usize,
    /// For images: in colour, not grey.
    #[serde(default)]
    pub colour: bool,
    /// Only files of this suffix.
    #[serde(default)]
    pub suffix: Option<String>,
    /// At most so many files; 0 is all.
    #[serde(default)]
    pub files: usize,
    /// File below the data folder that codecs may learn from before.
    #[serde(default)]
    pub train: Option<PathBuf>,
    /// What one may do with it.
    pub licence: String,
    /// Where it comes from.
    pub source: String,
    /// SHA-256 of the file, or of the lines `HASH  NAME` of a folder's files; checked when it is there.
    pub sha256: Option<String>,
    /// Where it can be fetched.
    pub download: Option<Download>,
}

fn default_bits() -> u8 {
    16
}

/// What the files of a data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bytes of any kind, perhaps in xz.
    Text,
    /// JPEG or PNG, to grey.
    Images,
    /// FLAC or WAV, to 16 kHz and one channel.
    Speech,
    /// A JSON object with the string `t` a line, or lines: each an item.
    Jsonl,
    /// A column of a Parquet file: each value an item.
    Parquet,
    /// Uniform bytes of a seed.
    Random,
    /// Text of a grammar, made from a seed.
    Words,
    /// A picture, made from a seed.
    Picture,
    /// A tone, made from a seed.
    Tone,
}

/// What is coded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes; what is left at the end of a file is left out, as in the paper.
    Chunk(usize),
    /// A file.
    Whole,
}

/// The data sets of a folder of TOML files, by the names of these.
///
/// # Errors
/// If a file is none.
pub fn catalogue(folder: &Path) -> Result<BTreeMap<String, DataSet>> {
    let mut sets = BTreeMap::new();
    for path in files(folder)? {
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            let set = toml::from_str(&text).with_context(|| path.display().to_string())?;
            sets.insert(name, set);
        }
    }
    Ok(sets)
}

/// Items with the names of their files.
type Items = Box<dyn Iterator<Item = Result<(String, Item)>>>;

/// A data set in memory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The items, in order.
    pub items: Vec<Item>,
    /// The file that each is of.
    pub names: Vec<String>,
    /// What may be learned from.
    pub train: Option<Train>,
    /// In place of items: generated data that are made on the way.
    pub endless: Option<DataSet>,
    /// BLAKE3 over them: what exactly was measured.
    pub hash: String,
}

impl Loaded {
    fn new((names, items): (Vec<String>, Vec<Item>), train: Option<Train>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let learned = train.iter().map(|train| &train.bytes);
        for bytes in items.iter().map(|item| &item.bytes).chain(learned) {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        let hash = hasher.finalize().to_hex()[..32].to_owned();
        Self { items, names, train, endless: None, hash }
    }

    /// Generated data that are never in memory as a whole.
    pub fn endless(set: DataSet) -> Self {
        let hash = format!("{:?} of seed {}, {} bytes", set.kind, set.seed, set.bytes);
        let empty = Item { bytes: Vec::new(), format: Format::Bytes };
        Self {
            items: vec![empty],
            names: vec![String::new()],
            train: None,
            endless: Some(set),
            hash,
        }
    }

    /// Bytes of all items.
    pub fn raw_bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes.len() as u64).sum()
    }
}

impl DataSet {
    /// Reads items until there are `limit` bytes.
    ///
    /// # Errors
    /// If a file is missing, broken, or not the one that the description has the hash of.
    pub fn load(&self, root: &Path, cut: Cut, limit: usize) -> Result<Loaded> {
        self.check_hash(root)?;
        let (mut names, mut items) = (Vec::new(), Vec::new());
        let mut total = 0;
        for item in self.items(root, cut)? {
            let (name, mut item) = item.with_context(|| self.title.clone())?;
            if total + item.bytes.len() > limit {
                let left = (limit - total) / 2 * 2;
                if cut != Cut::Whole || left == 0 {
                    break;
                }
                item = item.prefix(left);
            }
            total += item.bytes.len();
            if self.masked {
                item.bytes.iter_mut().for_each(|byte| *byte >>= 1);
            }
            items.push(item);
            names.push(name);
        }
        ensure!(!items.is_empty(), "{}: no items within {limit} bytes", self.title);
        let train = self.train.as_ref().map(|path| text::read(&root.join(path))).transpose();
        let train = train.with_context(|| format!("{}: what is learned from", self.title))?;
        Ok(Loaded::new((names, items), train.map(|item| Train::new(item.bytes))))
    }

    /// The items and the names of their files, each read when it is its turn.
    fn items(&self, root: &Path, cut: Cut) -> Result<Items> {
        if let Some(item) = generated::item(self) {
            let pieces = self.pieces(item, cut, &[]).into_iter();
            return Ok(Box::new(pieces.map(|piece| Ok((String::new(), piece)))));
        }
        let set = self.clone();
        let read = files(&self.place(root)?)?.into_iter().filter(move |path| set.wants(path));
        let set = self.clone();
        let most = if self.files == 0 { usize::MAX } else { self.files };
        Ok(Box::new(read.take(most).flat_map(move |path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let items = set.read(&path, cut).with_context(|| path.display().to_string());
            let (items, error) = match items {
                Ok(items) => (items, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            items.into_iter().map(move |item| Ok((name.clone(), item))).chain(error)
        })))
    }

    fn place(&self, root: &Path) -> Result<PathBuf> {
        let path = self.path.as_ref().with_context(|| format!("{}: no path", self.title))?;
        let place = root.join(path);
        if !place.exists() {
            let fetch =
                if self.download.is_some() { "; `lmic eval data fetch` gets it" } else { "" };
            bail!("{}: {} is not there{fetch}", self.title, place.display());
        }
        Ok(place)
    }

    /// Whether a file of a folder is one of the kind.
    fn wants(&self, path: &Path) -> bool {
        let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if self.suffix.as_ref().is_some_and(|wanted| *wanted != suffix) {
            return false;
        }
        match self.kind {
            Kind::Images => matches!(suffix.as_str(), "jpg" | "jpeg" | "png"),
            Kind::Speech => matches!(suffix.as_str(), "flac" | "wav"),
            Kind::Parquet => suffix == "parquet",
            _ => true,
        }
    }

    fn read(&self, path: &Path, cut: Cut) -> Result<Vec<Item>> {
        let whole = match self.kind {
            Kind::Jsonl => return Ok(rows::lines(&text::read(path)?.bytes)),
            Kind::Parquet => return rows::column(path, self.column.as_deref().unwrap_or("text")),
            Kind::Text => text::read(path)?,
            Kind::Images if self.colour => images::read_colour(path)?,
            Kind::Images => images::read(path)?,
            Kind::Speech => speech::read(path, self.bits)?,
            Kind::Random | Kind::Words | Kind::Picture | Kind::Tone => bail!("generated, not read"),
        };
        let whole = if self.bytes > 0 { whole.prefix(self.bytes) } else { whole };
        Ok(self.pieces(whole, cut, path.file_name().unwrap_or_default().as_encoded_bytes()))
    }

    /// A file in chunks: an image in patches row by row, anything else from front to back.
    fn pieces(&self, whole: Item, cut: Cut, name: &[u8]) -> Vec<Item> {
        let Cut::Chunk(len) = cut else { return vec![whole] };
        let count = match whole.format {
            Format::Gray { row } => images::patches(&whole.bytes, row, len / ROW as usize),
            _ => whole.bytes.len() / len.max(1),
        };
        let wanted = if self.per_file == 0 { count } else { self.per_file.min(count) };
        let piece = |i: usize| match whole.format {
            Format::Gray { row } if self.seed > 0 && count > 0 && !name.is_empty() => {
                let seed = [&self.seed.to_le_bytes()[..], &i.to_le_bytes(), name].concat();
                images::drawn_patch(&whole.bytes, row, len / ROW as usize, &seed)
            }
            Format::Gray { row } => images::patch(&whole.bytes, row, len / ROW as usize, i),
            format => Item { bytes: whole.bytes[i * len..][..len].to_vec(), format },
        };
        (0..wanted).map(|i| piece(i * count / wanted)).collect()
    }

    /// For what is generated: its bytes in pieces, each of a seed of its own.
    pub fn pieces_of(&self, len: usize) -> impl Iterator<Item = Vec<u8>> {
        let starts = (0..self.bytes).step_by(len.max(1));
        starts.zip(self.seed..).filter_map(move |(start, seed)| {
            let bytes = len.min(self.bytes - start);
            generated::item(&Self { bytes, seed, ..self.clone() }).map(|item| item.bytes)
        })
    }

    fn check_hash(&self, root: &Path) -> Result<()> {
        let Some(expected) = &self.sha256 else { return Ok(()) };
        let found = sha256_of(&self.place(root)?)?;
        ensure!(
            *expected == found,
            "{}: SHA-256 is {found}, not {expected}: another version of the data",
            self.title
        );
        Ok(())
    }
}

/// The files of a folder in the order of their names, or the one file.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

/// SHA-256 of a file, or of the lines `HASH  NAME` of a folder's files.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    if path.is_dir() {
        for file in files(path)? {
            let name = file.strip_prefix(path).unwrap_or(&file).display().to_string();
            hasher.update(format!("{}  {name}\n", sha256_of(&file)?));
        }
    } else {
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        std::io::copy(&mut file, &mut Update(&mut hasher))?;
    }
    Ok(lmic::hex(&hasher.finalize()))
}

/// A hasher to write to.
struct Update<'a>(&'a mut Sha256);

impl std::io::Write for Update<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
