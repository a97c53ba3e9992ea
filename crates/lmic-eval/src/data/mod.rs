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

use crate::item::{Format, Item, ROW};
pub use fetch::{Download, fetch_and_unpack};
pub use images::read as read_image;
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
    /// For what is generated.
    #[serde(default)]
    pub seed: u64,
    /// For what is generated: bytes.
    #[serde(default)]
    pub bytes: usize,
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

/// A data set in memory.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The items, in order.
    pub items: Vec<Item>,
    /// BLAKE3 over them: what exactly was measured.
    pub hash: String,
}

impl Loaded {
    fn new(items: Vec<Item>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for item in &items {
            hasher.update(&(item.bytes.len() as u64).to_le_bytes());
            hasher.update(&item.bytes);
        }
        Self { items, hash: hasher.finalize().to_hex()[..32].to_owned() }
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
        let mut items = Vec::new();
        let mut total = 0;
        for item in self.items(root, cut)? {
            let mut item = item.with_context(|| self.title.clone())?;
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
        }
        ensure!(!items.is_empty(), "{}: no items within {limit} bytes", self.title);
        Ok(Loaded::new(items))
    }

    /// The items, each read when it is its turn.
    ///
    /// # Errors
    /// If there are no files.
    pub fn items(&self, root: &Path, cut: Cut) -> Result<Box<dyn Iterator<Item = Result<Item>>>> {
        if let Some(item) = generated::item(self) {
            return Ok(Box::new(self.pieces(item, cut).into_iter().map(Ok)));
        }
        let set = self.clone();
        let read = files(&self.place(root)?)?.into_iter().filter(move |path| set.wants(path));
        let set = self.clone();
        Ok(Box::new(read.flat_map(move |path| {
            let items = set.read(&path, cut).with_context(|| path.display().to_string());
            let (items, error) = match items {
                Ok(items) => (items, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            items.into_iter().map(Ok).chain(error)
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
        match self.kind {
            Kind::Images => matches!(suffix.as_str(), "jpg" | "jpeg" | "png"),
            Kind::Speech => matches!(suffix.as_str(), "flac" | "wav"),
            Kind::Parquet => suffix == "parquet",
            _ => true,
        }
    }

    fn read(&self, path: &Path, cut: Cut) -> Result<Vec<Item>> {
        Ok(match self.kind {
            Kind::Jsonl => rows::lines(path)?,
            Kind::Parquet => rows::column(path, self.column.as_deref().unwrap_or("text"))?,
            Kind::Text => self.pieces(text::read(path)?, cut),
            Kind::Images => self.pieces(images::read(path)?, cut),
            Kind::Speech => self.pieces(speech::read(path, self.bits)?, cut),
            Kind::Random | Kind::Words | Kind::Picture | Kind::Tone => bail!("generated, not read"),
        })
    }

    /// A file in chunks: an image in patches row by row, anything else from front to back.
    fn pieces(&self, whole: Item, cut: Cut) -> Vec<Item> {
        let Cut::Chunk(len) = cut else { return vec![whole] };
        let count = match whole.format {
            Format::Gray { row } => images::patches(&whole.bytes, row, len / ROW as usize),
            _ => whole.bytes.len() / len.max(1),
        };
        let wanted = if self.per_file == 0 { count } else { self.per_file.min(count) };
        let piece = |i| match whole.format {
            Format::Gray { row } => images::patch(&whole.bytes, row, len / ROW as usize, i),
            format => Item { bytes: whole.bytes[i * len..][..len].to_vec(), format },
        };
        (0..wanted).map(|i| piece(i * count / wanted)).collect()
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
