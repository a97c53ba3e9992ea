//! `lmic generate`.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use image::RgbImage;
use lmic_eval::codec::open;
use lmic_eval::data::{read_image, read_speech};
use lmic_eval::generate::{Choice, Given, beside, complete, gray, spectrogram};
use lmic_eval::item::{Format, Item};

/// Shown under the help.
pub const EXAMPLES: &str = "\
Without an image or a recording, the text to continue is FILE or stdin, and what follows goes to stdout.

Examples:
  lmic generate --from default --length 300 --temperature 0.7 notes.txt
  echo -n 'to be or ' | lmic generate --from cm --greedy
  lmic generate --from gzip --from cm --from default --part lower -o halves.png photo.jpg
  lmic generate --from flac --from default -o speech.wav utterance.flac   also speech.png, spectrograms";

/// What may be asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A codec (gzip, xz, zstd, cm, default, lmic:level=7...), or a model file; may be repeated
    #[arg(long, value_name = "CODEC", required = true)]
    pub from: Vec<String>,
    /// Text: how many bytes to add
    #[arg(short, long, value_name = "N", default_value_t = 200)]
    pub length: usize,
    /// Images: the half to make up
    #[arg(long, value_enum, default_value_t = Part::Lower)]
    pub part: Part,
    /// Images: the middle, so many samples high and wide
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub size: u32,
    /// Audio: so many samples from the first second on, of which the second half is made up
    #[arg(long, value_name = "N", default_value_t = 16_000)]
    pub samples: usize,
    /// Audio: 8 or 16
    #[arg(long, value_name = "BITS", default_value_t = 8)]
    pub bits: u8,
    /// Below 1, the likely becomes likelier
    #[arg(short, long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f64,
    /// Always the likeliest
    #[arg(short, long)]
    pub greedy: bool,
    /// The same seed gives the same bytes
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Images: a PNG with original, what is given and what each codec makes of it side by side; audio: a WAV, with the name of the codec
    /// in its name if there are several, and spectrograms as PNG
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Text, JPEG, PNG, FLAC or WAV; - is stdin
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
}

/// The half of an image to make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Lower,
    Right,
}

impl Args {
    fn choice(&self) -> Choice {
        Choice { temperature: self.temperature, greedy: self.greedy, seed: self.seed }
    }

    /// What each codec makes of an item.
    fn complete(&self, item: &Item, given: Given) -> Result<Vec<Item>> {
        let each = |name: &String| {
            let name =
                if Path::new(name).exists() { format!("lmic:model={name}") } else { name.clone() };
            complete(&*open(&name)?, item, given, self.choice()).context(name)
        };
        self.from.iter().map(each).collect()
    }
}

/// Makes it up.
pub fn run(args: &Args) -> Result<()> {
    let suffix = args.file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match suffix.as_str() {
        "jpg" | "jpeg" | "png" => image(args),
        "flac" | "wav" => audio(args),
        _ => text(args),
    }
}

fn text(args: &Args) -> Result<()> {
    let mut bytes = Vec::new();
    match args.file.as_os_str() == "-" {
        true => _ = std::io::stdin().read_to_end(&mut bytes)?,
        false => bytes = fs::read(&args.file).with_context(|| args.file.display().to_string())?,
    }
    let given = bytes.len();
    bytes.resize(given + args.length, 0);
    let made = args.complete(&Item { bytes, format: Format::Bytes }, Given::First(given))?;
    let mut out = std::io::stdout().lock();
    for (name, item) in args.from.iter().zip(&made) {
        if made.len() > 1 {
            writeln!(out, "== {name}")?;
        }
        out.write_all(&item.bytes[given..])?;
        if made.len() > 1 {
            writeln!(out)?;
        }
    }
    Ok(())
}

fn image(args: &Args) -> Result<()> {
    let output = args.output.as_ref().context("where shall the picture go? -o OUT.png")?;
    let item = middle(&read_image(&args.file)?, args.size)?;
    let row = item.format.row() as usize;
    let given = match args.part {
        Part::Lower => Given::First(item.bytes.len() / row / 2 * row),
        Part::Right => Given::Left { row, left: row / 2 },
    };
    let made = args.complete(&item, given)?;
    let mut pictures: Vec<RgbImage> = vec![gray(&item), gray(&only(&item, given))];
    pictures.extend(made.iter().map(gray));
    beside(&pictures, false).save(output).with_context(|| output.display().to_string())
}

/// What is given, on grey.
fn only(item: &Item, given: Given) -> Item {
    let shown = item.bytes.iter().enumerate().map(|(at, &b)| if given.has(at) { b } else { 128 });
    Item { bytes: shown.collect(), format: item.format }
}

fn middle(item: &Item, size: u32) -> Result<Item> {
    let width = item.format.row();
    let height = item.bytes.len() as u32 / width;
    let (wide, high) = (size.min(width), size.min(height));
    ensure!(wide > 1 && high > 1, "an image of {width} x {height}");
    let (left, top) = ((width - wide) / 2, (height - high) / 2);
    let row = |y: u32| &item.bytes[((top + y) * width + left) as usize..][..wide as usize];
    Ok(Item {
        bytes: (0..high).flat_map(row).copied().collect(),
        format: Format::Gray { row: wide },
    })
}

fn audio(args: &Args) -> Result<()> {
    let output = args.output.as_ref().context("where shall the recording go? -o OUT.wav")?;
    let whole = read_speech(&args.file, args.bits)?;
    let width = usize::from(args.bits / 8);
    let second = (lmic_eval::data::SAMPLE_RATE as usize * width).min(whole.bytes.len());
    let len = (args.samples * width).min(whole.bytes.len() - second);
    if len < 2 * width {
        bail!("{}: less than a second and some samples", args.file.display());
    }
    let item = Item { bytes: whole.bytes[second..][..len].to_vec(), format: whole.format };
    let made = args.complete(&item, Given::First(len / 2 / width * width))?;
    for (name, item) in args.from.iter().zip(&made) {
        let path = match made.len() {
            1 => output.clone(),
            _ => {
                let stem = output.file_stem().unwrap_or_default().display();
                let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
                output.with_file_name(format!("{stem}-{name}.wav"))
            }
        };
        write_wav(&path, item).with_context(|| path.display().to_string())?;
    }
    let mut pictures = vec![spectrogram(&item)];
    pictures.extend(made.iter().map(spectrogram));
    Ok(beside(&pictures, true).save(output.with_extension("png"))?)
}

fn write_wav(path: &Path, item: &Item) -> Result<()> {
    let is_wide = item.format == Format::Pcm16;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: lmic_eval::data::SAMPLE_RATE,
        bits_per_sample: if is_wide { 16 } else { 8 },
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    match is_wide {
        true => {
            for &pair in item.bytes.as_chunks::<2>().0 {
                writer.write_sample(i16::from_le_bytes(pair))?;
            }
        }
        false => {
            for &byte in &item.bytes {
                writer.write_sample((i16::from(byte) - 128) as i8)?;
            }
        }
    }
    Ok(writer.finalize()?)
}
