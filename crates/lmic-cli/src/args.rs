//! What the user may write. Two forms share their options: `lmic [-d...] FILE...` as in xz and zstd,
//! and `lmic COMMAND ...`. The first argument decides: the name of a command is that command, anything
//! else is the short form (so a file called `list` is written `./list`).

use std::ffi::OsString;
use std::io::Write;
use std::ops::Bound;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{
    Arg, ArgAction, ArgGroup, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
};

use lmic::block::{Content, content_of};
use lmic::nn::{Network, Windows};
use lmic::size::parse as parse_size;

use crate::console::Console;
use crate::device::Device;
use crate::levels::{self, Level};
use crate::size::{self, Limit};
use crate::stdio;

#[derive(Debug, Parser)]
#[command(
    name = "lmic",
    version,
    about = ABOUT,
    args_conflicts_with_subcommands = true,
    args_override_self = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    override_usage = "lmic [OPTIONS] [FILE]...\n       lmic COMMAND [OPTIONS] ...",
    after_help = AFTER_HELP
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub short_form: ShortForm,
}

/// What the command is, in a line and in a paragraph.
pub const ABOUT: &str = "\
Compress files by predicting them; nothing is lost.

Without a command, FILE becomes FILE.lmic and stays where it is. Without FILE, or when FILE is -,
stdin goes to stdout.";

/// What the lines of the levels have no room for.
macro_rules! of_levels {
    () => {
        "\
Times are of a CPU with AVX2; with AVX-512 levels 6, 7 and 8 take 2.2, 3.6 and 10.5 x that of -5. \
The network of -9 does not come with the program: `lmic model fetch lmic-9`, or `lmic model add FILE`. \
Memory is that of one block. An input of several takes up to 352 MiB more, to find what repeats in earlier ones; \
several threads take that of several blocks.

"
    };
}

const AFTER_HELP: &str = concat!(
    of_levels!(),
    "\
A file named like a command is written with its folder: ./cat, not cat.
Sizes are bytes, or K, M, G in powers of 1024 (64K = 65536 bytes).
Exit status: 0 done, 1 something failed or was skipped, 2 wrong usage, or all was done but owner or \
permissions of an output could not be set.
Environment: NO_COLOR turns colours off; LMIC_MODELS is the model folder [default: lmic/models in \
~/.local/share].

Examples:
  lmic notes.txt               write notes.txt.lmic, keep notes.txt
  lmic -d notes.txt.lmic       write notes.txt again
  tar c photos | lmic -3 > photos.tar.lmic
  lmic -m byte-3m.safetensors notes.txt    code with a network and context mixing
  lmic bench notes.txt         compare with gzip, xz, zstd, brotli, bzip2"
);

/// `lmic FILE...`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("mode").multiple(false))]
pub struct ShortForm {
    /// Compress (default)
    #[arg(short = 'z', long, group = "mode", help_heading = "What to do")]
    pub compress: bool,
    /// Restore FILE from FILE.lmic
    #[arg(short, long, group = "mode", help_heading = "What to do", alias = "uncompress")]
    pub decompress: bool,
    /// Decode and verify, write nothing
    #[arg(short, long, group = "mode", help_heading = "What to do")]
    pub test: bool,
    /// Show sizes, ratio, model and check of .lmic files
    #[arg(short, long, group = "mode", help_heading = "What to do")]
    pub list: bool,
    #[command(flatten)]
    pub encode: EncodeArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub encryption: EncryptArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// With --list: print JSON (see `lmic list --help`)
    #[arg(long, requires = "list", help_heading = "What to do")]
    pub json: bool,
    #[command(flatten)]
    pub messages: MessageArgs,
    #[command(flatten)]
    pub files: FileArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write FILE.lmic for each FILE
    #[command(after_help = COMPRESS_EXAMPLES)]
    Compress(CompressArgs),
    /// Restore FILE from each FILE.lmic
    #[command(after_help = DECOMPRESS_EXAMPLES)]
    Decompress(DecompressArgs),
    /// Decode and verify .lmic files, write nothing
    #[command(after_help = "Example:\n  lmic test -r backups")]
    Test(TestArgs),
    /// Show sizes, ratio, model and check of .lmic files
    #[command(after_help = "Example:\n  lmic list -v notes.txt.lmic")]
    List(ListArgs),
    /// Write the content, or a range of it, to stdout
    #[command(after_help = CAT_EXAMPLES)]
    Cat(CatArgs),
    /// Explain a .lmic file field by field
    #[command(
        after_help = "Examples:\n  lmic inspect notes.txt.lmic\n  lmic inspect --html cost.html notes.txt"
    )]
    Inspect(InspectArgs),
    /// Measure lmic beside gzip, xz, zstd, brotli and bzip2 on your files
    #[cfg(feature = "bench")]
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),
    /// Show, verify, quantize models; list the model folder, add to it, remove from it
    #[command(
        subcommand,
        disable_help_subcommand = true,
        after_help = "Example:\n  lmic model show models/tiny"
    )]
    Model(ModelCommand),
    /// Learn from examples of your data, for -p
    #[command(after_help = PRIME_EXAMPLES)]
    Prime(PrimeArgs),
    /// Run the experiments of the paper and report them (a program of its own, lmic-eval)
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(ExternalArgs),
    /// Continue text, images or audio by what a compressor or a model expects (by lmic-eval)
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(ExternalArgs),
    /// Print the help of a command
    #[command(after_help = "Example:\n  lmic help model add")]
    Help {
        /// The command, and for `lmic model` its part; without it, lmic itself
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  lmic completions bash > ~/.local/share/bash-completion/completions/lmic"
    )]
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  lmic man > ~/.local/share/man/man1/lmic.1")]
    Man {
        /// The command to describe; without it, lmic itself
        command: Option<String>,
    },
}

const COMPRESS_EXAMPLES: &str = concat!(
    of_levels!(),
    "\
Examples:
  lmic compress -3 *.log
  lmic compress --as gray:512 scan.raw
  lmic compress -3 -T1 -M 200M --block-size 8M big.tar"
);

const DECOMPRESS_EXAMPLES: &str = "\
Examples:
  lmic decompress notes.txt.lmic
  lmic decompress -c notes.txt.lmic | less";

const CAT_EXAMPLES: &str = "\
Examples:
  lmic cat notes.txt.lmic | grep lemma
  lmic cat --range 1M..1M+4K big.log.lmic   only the blocks touched are decoded
  lmic cat --record 1000 -p events.lmicp new.jsonl.lmic   the line after the first 1000";

const EVAL_EXAMPLES: &str = "\
Examples:
  lmic eval run --quick        everything, small, on generated data
  lmic eval report --html report.html
  lmic eval data list
  lmic eval score -m SmolLM2-135M --data notes.txt   by lmic itself
  lmic eval run --help         all options of a part";

#[cfg(feature = "llama")]
const SCORE_ABOUT: &str =
    "Bits that a model of tokens needs for files: what coding would give, without coding";

#[cfg(feature = "llama")]
const SCORE_EXAMPLES: &str = "\
`lmic eval score` and `lmic model score` are the same.

Examples:
  lmic eval score -m SmolLM2-135M --data notes.txt
  lmic eval score -m llama.gguf --chunk 2048 --ascii --data images/";

const GENERATE_EXAMPLES: &str = "\
--from CODEC names who makes it up: gzip, cm, default or a model file; more by `lmic eval generate --help`.

Examples:
  lmic generate --from default --length 300 notes.txt
  lmic generate --from gzip --from default --part lower -o halves.png photo.jpg";

const PRIME_EXAMPLES: &str = "\
What it learns serves records like the examples and files of them: with -p they take a fraction of
the bytes; short ones gain most. The same .lmicp file is needed to restore them.

Examples:
  lmic prime --examples events.jsonl -o events.lmicp    one record a line, as --records codes them
  lmic prime --examples configs/ -o configs.lmicp       one record a file
  zcat events.gz | lmic prime --examples - -o events.lmicp
  lmic -p events.lmicp new.jsonl
  lmic -p events.lmicp --records new.jsonl              each line alone, for lmic cat --record";

#[cfg(feature = "bench")]
const BENCH_EXAMPLES: &str = "\
Everything is decoded and compared. ratio = coded / raw, bpb = coded bits per raw byte, MB = 10^6
bytes. Times are of one thread unless -T says otherwise; then lmic, xz and zstd use the threads.

Examples:
  lmic bench notes.txt
  lmic bench --codec lmic --codec xz --runs 5 notes.txt
  lmic bench --chunk 2048 --json notes.txt > notes.json
  lmic bench --records january.jsonl february.jsonl";

#[derive(Debug, Args)]
pub struct CompressArgs {
    #[command(flatten)]
    pub encode: EncodeArgs,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub encryption: EncryptArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub messages: MessageArgs,
    #[command(flatten)]
    pub files: FileArgs,
}

#[derive(Debug, Args)]
pub struct DecompressArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub messages: MessageArgs,
    #[command(flatten)]
    pub files: FileArgs,
}

#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub messages: MessageArgs,
    #[command(flatten)]
    pub files: FileArgs,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON: an array with one object a file; file_hex has the bytes of a name that is not UTF-8
    #[arg(long)]
    pub json: bool,
    /// Show each block; without it, only those that need a newer lmic
    #[arg(short, long)]
    pub verbose: bool,
    /// Do not mention what is skipped; twice: nor errors
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub files: FileArgs,
}

#[derive(Debug, Args)]
pub struct CatArgs {
    /// Only these bytes of the content, from A up to but without B: A..B, A.., ..B or A..A+N
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    pub range: Option<ByteRange>,
    /// Only this line, or these, of an archive written with --records; the first is 0: N, A..B, A.. or ..B
    #[arg(long, value_name = "N", value_parser = parse_records, conflicts_with = "range")]
    pub record: Option<ByteRange>,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Do not mention what is skipped; twice: nor errors
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
    /// The .lmic files to read; - is stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// What another program is given.
#[derive(Debug, Args)]
pub struct ExternalArgs {
    /// Its arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Print JSON: an array with one object a file; file_hex has the bytes of a name that is not UTF-8
    #[arg(long)]
    pub json: bool,
    /// Write a page that paints every byte by the bits it costs; FILE need not be an archive (by lmic-eval)
    #[arg(long, value_name = "PAGE", conflicts_with = "json", requires = "files", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,
    /// With --html: what the bits are of, as in `lmic eval`; twice for two side by side [default: default]
    #[arg(long, value_name = "CODEC", requires = "html")]
    pub by: Vec<String>,
    #[command(flatten)]
    pub keys: KeyArgs,
    /// The .lmic files to explain; - or none is stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

#[cfg(feature = "bench")]
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Only this codec (lmic-3, xz-9e...) or family (lmic, gzip, bzip2, xz, zstd, brotli); may be
    /// repeated [default: all]
    #[arg(long, value_name = "NAME", value_parser = crate::bench::selectors(), hide_possible_values = true)]
    pub codec: Vec<String>,
    /// Code each chunk of SIZE bytes alone, and add up [default: the whole file at once]
    #[arg(long, value_name = "SIZE", value_parser = size::parse_nonzero)]
    pub chunk: Option<u64>,
    /// Code each line of FILE alone, after learning from EXAMPLES (as `lmic prime` reads them): lmic primed, zstd with a
    /// trained dictionary
    #[arg(long, value_name = "EXAMPLES", conflicts_with_all = ["codec", "chunk", "model", "primed"],
          value_hint = ValueHint::AnyPath)]
    pub records: Option<PathBuf>,
    /// With --records: a record is the string NAME of the JSON object in each line, not the line
    #[arg(long, value_name = "NAME", requires = "records")]
    pub field: Option<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub windows: WindowArgs,
    /// Measure N times and report the median
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub runs: u16,
    /// Threads for the codecs that can use them (0: all cores)
    #[arg(short = 'T', long, value_name = "N", default_value_t = 1)]
    pub threads: u16,
    /// Print JSON: one array with one object a codec and file; input_hex has the bytes of a name that is not UTF-8
    #[arg(long)]
    pub json: bool,
    /// No progress on the terminal
    #[arg(long)]
    pub no_progress: bool,
    /// The files to measure; - is stdin
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PrimeArgs {
    /// What to learn from: a file with a record a line (- is stdin), or a folder whose files are a record each; may be
    /// repeated. Each file counts once; links found in folders are not followed
    #[arg(short = 's', long, visible_alias = "samples", value_name = "PATH", required = true,
          value_hint = ValueHint::AnyPath)]
    pub examples: Vec<PathBuf>,
    /// The file to write (- is stdout); .lmicp is added. Archives have its name, so it has at most 64 bytes
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Each file given is one record, not its lines
    #[arg(long)]
    pub whole: bool,
    /// A record is the string NAME of the JSON object in each line, not the line: for programs that code such strings
    /// alone (`lmic --records` codes lines)
    #[arg(long, value_name = "NAME", conflicts_with = "whole")]
    pub field: Option<String>,
    /// Records are pieces of SIZE bytes of each file: for text, to code small files of text
    #[arg(long, value_name = "SIZE", value_parser = size::parse_nonzero, conflicts_with_all = ["whole", "field"])]
    pub chunk: Option<u64>,
    /// Learn only from pieces of six bytes that at least K different examples have, so that the state does not depend on what fewer
    /// have (see docs/security.md); files coded with it become larger [default: 5 if K is left out]
    #[arg(long, value_name = "K", num_args = 0..=1, require_equals = true, default_missing_value = "5",
          value_parser = clap::value_parser!(u8).range(2..))]
    pub private: Option<u8>,
    /// Size of the table of what was seen, as a power of two of 64 bytes, 8 to 20 [default: by the size of the examples]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(8..=20))]
    pub table_bits: Option<u8>,
    /// Overwrite, write to a terminal
    #[arg(short, long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// `lmic model ...`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// List the model folder and what comes with the program: name, kind, bytes, identity, the levels that code with it
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print JSON: one array
        #[arg(long)]
        json: bool,
    },
    /// Show identity, shape and size of a model
    #[command(after_help = "Example:\n  lmic model show --tensors models/tiny")]
    Show(ModelShowArgs),
    /// Check every shape and number of a model, print its identity
    #[command(after_help = "Example:\n  lmic model verify models/tiny.safetensors")]
    Verify {
        #[command(flatten)]
        model: ModelPath,
    },
    #[cfg(feature = "llama")]
    #[command(about = SCORE_ABOUT, after_help = SCORE_EXAMPLES)]
    Score(ModelScoreArgs),
    /// Write the int8 form of an f32 model as one file
    #[command(after_help = "Example:\n  lmic model quantize models/tiny tiny.safetensors")]
    Quantize(ModelQuantizeArgs),
    /// Copy a network (.safetensors, .gguf) or primed state (.lmicp) into the model folder, for -m, -p and for
    /// decoding
    #[command(after_help = MODEL_ADD_EXAMPLES)]
    Add(ModelAddArgs),
    /// Get a network or primed state of a list from a server or folder, check it, and put it into the model folder
    #[command(after_help = MODEL_FETCH_EXAMPLES)]
    Fetch(ModelFetchArgs),
    /// Remove a network or primed state from the model folder; what was coded with it cannot be restored without
    #[command(after_help = "Example:\n  lmic model remove events.lmicp")]
    Remove {
        /// Its name, or that of its file if several have the name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

const LIST_EXAMPLES: &str = "\
Every model is read, as an identity is that of its numbers: with large ones that takes seconds.

Example:
  lmic model list";

const MODEL_ADD_EXAMPLES: &str = "\
The file is read and checked first; what it is, it says itself, whatever it is called. It is stored under the name that \
archives have for it, a split GGUF model with all its parts. A network of bytes in a folder, perhaps in shards, becomes one file.

Examples:
  lmic model add models/byte-3m.safetensors             lmic -m byte-3m, lmic -d
  lmic model add events.lmicp                           lmic -p events, lmic -d";

#[derive(Debug, Args)]
pub struct ModelAddArgs {
    /// Replace what has the name
    #[arg(short, long)]
    pub force: bool,
    /// The safetensors file, GGUF file or primed state to copy, or the folder of a network of bytes
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub file: PathBuf,
}

const MODEL_FETCH_EXAMPLES: &str = "\
A list has a line for each model: its name, its file, the bytes of that and their BLAKE3, with blanks between; what \
stands behind # is for people. Nothing else than what the list says is kept. Servers are asked by the program curl, with \
the proxies and certificates that are set for it. If it is interrupted, the same command goes on.

Examples:
  lmic model fetch lmic-9 --from https://example.org/models    gets .../models/lmic-9.safetensors
  lmic model fetch events --list models/list.txt               gets a file that lies beside the list";

#[derive(Debug, Args)]
pub struct ModelFetchArgs {
    /// Replace what has the name
    #[arg(short, long)]
    pub force: bool,
    /// Where the file is: the address of a folder (http, https), or a folder [default: where the list is]
    #[arg(long, value_name = "URL|FOLDER", value_hint = ValueHint::AnyPath)]
    pub from: Option<String>,
    /// The list, an address or a file [default: the one that comes with lmic, which has no address yet]
    #[arg(long, value_name = "URL|FILE", value_hint = ValueHint::AnyPath)]
    pub list: Option<String>,
    /// Do not show progress
    #[arg(long)]
    pub no_progress: bool,
    /// The model's name in the list
    #[arg(value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, Args)]
pub struct ModelPath {
    /// Whatever -m or -p takes: a .safetensors, .gguf or .lmicp file, a folder with config.json and model.safetensors, or a name
    /// in the model folder
    #[arg(value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct ModelShowArgs {
    /// Print JSON: one object
    #[arg(long)]
    pub json: bool,
    /// Show each tensor
    #[arg(long)]
    pub tensors: bool,
    #[command(flatten)]
    pub model: ModelPath,
}

/// `lmic model score`
#[cfg(feature = "llama")]
#[derive(Debug, Args)]
pub struct ModelScoreArgs {
    /// A Hugging Face folder, a .gguf file, or a name in the model folder
    #[arg(short, long, value_name = "MODEL", value_hint = ValueHint::AnyPath)]
    pub model: PathBuf,
    /// Score each SIZE bytes alone [default: 64K]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub chunk: Option<u64>,
    /// Tokens of a window [default: up to 2048]
    #[arg(long, value_name = "N")]
    pub context: Option<u32>,
    /// Tokens that a window repeats of the one before, up to half [default: a quarter]
    #[arg(long, value_name = "N")]
    pub overlap: Option<u32>,
    /// Bytes become ASCII by losing their lowest bit, as the paper does with images and audio; the lost bits are counted in
    #[arg(long)]
    pub ascii: bool,
    /// Also the bits if only the K likeliest tokens were coded, and the others behind an escape
    #[arg(long, value_name = "K", default_value_t = 0, hide_default_value = true)]
    pub top_k: usize,
    /// Special and unused tokens have no probability, as in archives; without this, the softmax is the model's own
    #[arg(long)]
    pub as_coded: bool,
    /// Use N threads [default: 0, one per core]
    #[arg(short = 'T', long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threads: u16,
    /// Print JSON: one object
    #[arg(long)]
    pub json: bool,
    /// Files to score, and folders of which each file is; what is not there is looked for in $LMIC_DATA
    #[arg(long, value_name = "PATH", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub data: Vec<PathBuf>,
    /// The files to score; - is stdin
    #[arg(value_name = "FILE", required_unless_present = "data", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// `lmic eval score`: as `lmic model score`.
#[cfg(feature = "llama")]
#[derive(Debug, Parser)]
#[command(name = "lmic eval score", bin_name = "lmic eval score", about = SCORE_ABOUT, after_help = SCORE_EXAMPLES)]
pub struct EvalScore {
    #[command(flatten)]
    pub args: ModelScoreArgs,
}

#[derive(Debug, Args)]
pub struct ModelQuantizeArgs {
    /// Overwrite
    #[arg(short, long)]
    pub force: bool,
    #[command(flatten)]
    pub model: ModelPath,
    /// The file to write; the model is called as the file without .safetensors
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
}

/// The network to use.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Code and decode with this network: a .safetensors or .gguf file, a Hugging Face folder, or a name in the model folder
    #[arg(short, long, value_name = "MODEL", value_hint = ValueHint::AnyPath, help_heading = "Models")]
    pub model: Option<PathBuf>,
    /// Code and decode with this primed state (`lmic prime`), too: a .lmicp file, or a name in the model folder. Levels 1 to 4
    /// code with it alone
    #[arg(short, long, value_name = "PRIMED", conflicts_with = "model", value_hint = ValueHint::FilePath, help_heading = "Models")]
    pub primed: Option<PathBuf>,
}

/// How a network is used.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// With -m: the network alone, without context mixing beside it
    #[arg(long, requires = "model", help_heading = "Models")]
    pub alone: bool,
    /// With -m: positions of a window [default: up to 512; with --alone the model's context]
    #[arg(long, value_name = "N", requires = "model", help_heading = "Models")]
    pub context: Option<u32>,
    /// With -m: bytes that a window repeats of the one before, up to half; 0 codes each window alone
    /// [default: a quarter of the context]
    #[arg(long, value_name = "N", requires = "model", help_heading = "Models")]
    pub overlap: Option<u32>,
    /// With -m: most parts of a block that are coded side by side, 1 to 64 [default: 32; with --alone by model]
    #[arg(long, value_name = "N", requires = "model", help_heading = "Models")]
    pub lanes: Option<u8>,
}

impl WindowArgs {
    /// The windows for `network`.
    pub fn of(&self, network: &Network) -> Windows {
        network.windows(self.alone, self.context, self.overlap, self.lanes)
    }
}

/// How to encode.
#[derive(Debug, Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    pub level: Level,
    #[command(flatten)]
    pub windows: WindowArgs,
    /// Cut the input into blocks of SIZE bytes; bigger is smaller but less parallel [default: by level]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Limits")]
    pub block_size: Option<u64>,
    /// With -p: code each line alone, so that `lmic cat --record N` gets to any of them at once
    #[arg(long, help_heading = "Models")]
    pub records: bool,
    /// What the input is: auto, bytes, binary (no network), gray:WIDTH, rgb:WIDTH, pcm8:CHANNELS, pcm16:CHANNELS, or with other
    /// numbers (i24, u16be, f32) wave-NUMBER:CHANNELS, gray-NUMBER:WIDTH, rgb-NUMBER:WIDTH,
    /// colours8:WIDTH (or 1, 2, 4, 24, 32 bits a pixel), tables NUMBER:COLUMNS (f64:3, or u8:BYTES for other records), or instructions of a program: x64, x86, arm64
    #[arg(long = "as", value_name = "KIND:N", value_parser = parse_content, default_value = "auto",
          help_heading = "Levels")]
    pub kind: Asked,
}

/// What `--as` asks for; `None` recognises the content. (clap gives a bare `Option` a meaning of its own.)
#[derive(Debug, Clone, Copy)]
pub struct Asked(pub Option<Content>);

fn parse_content(text: &str) -> lmic::Result<Asked> {
    content_of(text).map(Asked)
}

/// What opens encrypted archives; with --encrypt, a passphrase to encrypt with.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// Open encrypted archives with the identity in FILE (- is stdin): of age-keygen (also encrypted with a passphrase), or a
    /// private key of OpenSSH; may be repeated
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub identity: Vec<PathBuf>,
    /// With --encrypt: with a passphrase, which is asked for twice. Without, it is asked for when an archive needs it in any case
    #[arg(long, conflicts_with = "passphrase_file", help_heading = "Encryption")]
    pub passphrase: bool,
    /// The passphrase, of an archive or of the FILE of -i, is the first line of FILE (- is stdin), which may be a descriptor
    /// such as /dev/fd/3
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub passphrase_file: Option<PathBuf>,
}

/// How archives are encrypted.
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// Write FILE.lmic.age, which only the recipients or a passphrase open; `age -d` opens it, too
    #[arg(long, help_heading = "Encryption")]
    pub encrypt: bool,
    /// Encrypt for this public key: age1..., ssh-ed25519 ... or ssh-rsa ...; may be repeated
    #[arg(
        short = 'R',
        long,
        value_name = "RECIPIENT",
        requires = "encrypt",
        help_heading = "Encryption"
    )]
    pub recipient: Vec<String>,
    /// Encrypt for the public keys in FILE (- is stdin), one a line; may be repeated
    #[arg(long, value_name = "FILE", requires = "encrypt", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub recipients_file: Vec<PathBuf>,
    /// Hide the exact length: up to 12 % more bytes, fewer in long archives (default)
    #[arg(long, requires = "encrypt", overrides_with = "no_pad", help_heading = "Encryption")]
    pub pad: bool,
    /// Do not: who sees the archive knows how far its content could be compressed
    #[arg(long, requires = "encrypt", overrides_with = "pad", help_heading = "Encryption")]
    pub no_pad: bool,
    /// Write all FILEs to one output (-o, -c), each as a stream of its own that shares nothing with the others
    #[arg(long, conflicts_with = "remove", help_heading = "Output")]
    pub isolate: bool,
}

/// Where the result goes and what becomes of the source.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Write to stdout, keep the source
    #[arg(
        short = 'c',
        long = "stdout",
        alias = "to-stdout",
        conflicts_with = "output",
        help_heading = "Output"
    )]
    pub stdout: bool,
    /// Write to OUT (- is stdout; pipes and devices are written as they are); takes one FILE
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Overwrite, follow symbolic links (of FILE, and of OUT if -o names one), write compressed data to a terminal
    #[arg(short, long, help_heading = "Output")]
    pub force: bool,
    /// Keep the source (default)
    #[arg(short, long, overrides_with = "remove", help_heading = "Output")]
    pub keep: bool,
    /// Remove the source once the output is a file on the disk, if nobody changed the source meanwhile; with several hard links
    /// only with -f
    #[arg(
        long = "rm",
        overrides_with = "keep",
        conflicts_with = "stdout",
        help_heading = "Output"
    )]
    pub remove: bool,
}

/// What the work may take.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Use N threads; the result is the same for any N [default: 0, one per core]
    #[arg(
        short = 'T',
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "Limits"
    )]
    pub threads: u16,
    /// Keep to SIZE bytes of memory, or refuse; none is no limit. The program itself takes some 40 MB beside it
    /// [default: 4G]
    #[arg(short = 'M', long = "memory", alias = "memlimit", value_name = "SIZE",
          value_parser = size::parse_limit, help_heading = "Limits")]
    pub memory: Option<Limit>,
    /// Run networks on DEVICE: cpu, cuda (all GPUs of NVIDIA), cuda:N (one of them), or auto (GPUs at level 9,
    /// if there are any); no file says which it was [default: auto]
    #[arg(
        long,
        value_name = "DEVICE",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Limits"
    )]
    pub device: Device,
}

/// What to say.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// Do not mention what is skipped; twice: nor errors
    #[arg(short, long, action = ArgAction::Count, help_heading = "Messages")]
    pub quiet: u8,
    /// Say size, ratio and speed of each file
    #[arg(short, long, help_heading = "Messages")]
    pub verbose: bool,
    /// No progress bar on the terminal
    #[arg(long, help_heading = "Messages")]
    pub no_progress: bool,
}

impl MessageArgs {
    /// The console for these flags.
    pub fn console(&self) -> Console {
        Console::new(self.quiet, self.verbose, !self.no_progress)
    }
}

/// The files to work on.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Go into directories
    #[arg(short, long)]
    pub recursive: bool,
    /// Files to work on; - or none is stdin
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
}

/// A range of bytes or records; an open end is the end of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    pub start: u64,
    pub end: Bound<u64>,
    /// As it was written.
    pub text: String,
}

impl ByteRange {
    fn new(start: u64, end: Bound<u64>, text: &str) -> Self {
        Self { start, end, text: text.into() }
    }
}

fn parse_range(text: &str) -> anyhow::Result<ByteRange> {
    let (start, end) = text
        .split_once("..")
        .with_context(|| format!("{text:?} is not a range; write A..B, such as 0..4K"))?;
    let start = if start.is_empty() { 0 } else { parse_size(start)? };
    let end = match end.split_once('+') {
        _ if end.is_empty() => return Ok(ByteRange::new(start, Bound::Unbounded, text)),
        Some(("", len)) => start.checked_add(parse_size(len)?),
        Some((from, len)) => parse_size(from)?.checked_add(parse_size(len)?),
        None => Some(parse_size(end)?),
    };
    match end {
        Some(end) if end >= start => Ok(ByteRange::new(start, Bound::Excluded(end), text)),
        _ => bail!("{text:?} ends before it starts"),
    }
}

/// One record, or a range of them.
fn parse_records(text: &str) -> anyhow::Result<ByteRange> {
    if text.contains("..") {
        return parse_range(text);
    }
    let start = parse_size(text)?;
    let end = start.checked_add(1).with_context(|| format!("there is no record {text}"))?;
    Ok(ByteRange::new(start, Bound::Excluded(end), text))
}

/// The whole definition, with the short help for `--help` as for `-h`: all of it fits on a screen or two.
pub fn command() -> clap::Command {
    let help =
        Arg::new("help").short('h').long("help").help("Print help").action(ArgAction::HelpShort);
    let with_help = |command: clap::Command| command.disable_help_flag(true).arg(help.clone());
    with_help(Cli::command()).mut_subcommands(|command| {
        with_help(command).mut_subcommands(with_help) // of `lmic model`
    })
}

/// Reads the command line; wrong usage ends the process with status 2.
pub fn parse() -> Cli {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Err(message) = check_levels(&words) {
        usage_error(message);
    }
    let matches = command().try_get_matches_from(words).unwrap_or_else(|error| exit(&error));
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Ends with help, version or a usage error. Help that cannot be written is an error, too.
fn exit(error: &clap::Error) -> ! {
    if error.use_stderr() {
        error.exit();
    }
    let written = stdio::check_stdout()
        .and_then(|()| Ok(error.print().and_then(|()| std::io::stdout().flush())?))
        .context("cannot write to stdout");
    let status = Console::plain(0).exit_code(written);
    std::process::exit(i32::from(status != std::process::ExitCode::SUCCESS))
}

/// The definition alone cannot tell -19 from -1 -9.
fn check_levels(words: &[OsString]) -> Result<(), String> {
    let root = command();
    let words = words.get(1..).unwrap_or_default();
    match words.first().and_then(|word| root.find_subcommand(word)) {
        Some(command) if command.get_name() == "compress" => levels::check(command, &words[1..]),
        Some(_) => Ok(()),
        None => levels::check(&root, words),
    }
}

/// Ends the process with a usage error.
pub fn usage_error(message: impl std::fmt::Display) -> ! {
    command().error(clap::error::ErrorKind::ValueValidation, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn first_argument_decides_the_form() {
        let parse = |words: &[&str]| Cli::try_parse_from(words).unwrap();
        assert!(parse(&["lmic", "list", "a"]).command.is_some());
        for words in [&["lmic", "-k", "list"][..], &["lmic", "a", "list"], &["lmic", "--", "list"]]
        {
            let cli = parse(words);
            assert!(cli.command.is_none(), "{words:?}");
            assert_eq!(cli.short_form.files.files.last(), Some(&PathBuf::from("list")));
        }
    }

    #[test]
    fn last_level_wins() {
        let level = |words: &[&str]| Cli::try_parse_from(words).unwrap().short_form.encode.level.0;
        assert_eq!(level(&["lmic", "-1", "-3", "-2", "a"]), 2);
        assert_eq!(level(&["lmic", "-1", "-3", "-1", "a"]), 1);
        assert_eq!(level(&["lmic", "-1k3", "a"]), 3);
        assert_eq!(level(&["lmic", "a"]), lmic::DEFAULT_LEVEL);
    }

    #[test]
    fn a_number_of_two_digits_is_no_level() {
        let check =
            |line: &str| check_levels(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "lmic -1 -8 a",
            "lmic -9 a",
            "lmic -8f a",
            "lmic -5k a",
            "lmic -kd3 a",
            "lmic -1k8 a",
            "lmic -3T4 a",
            "lmic -3T16 a",
            "lmic -T16 a",
            "lmic -T 16 a",
            "lmic -kM19 a",
            "lmic -o19 a",
            "lmic -o -19 -1 a",
            "lmic --output -19 -1 a",
            "lmic -p19 -m22 a",
            "lmic --block-size 19 --context=22 a",
            "lmic -- -19",
            "lmic 19 22",
            "lmic -",
            "lmic",
            "lmic compress -T16 -8 a",
            "lmic bench -T16 a",
            "lmic generate -19",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
        for (line, number) in [
            ("lmic -19 a", "19"),
            ("lmic a -22", "22"),
            ("lmic -10 a", "10"),
            ("lmic -0 a", "0"),
            ("lmic -00 a", "00"),
            ("lmic -31 a", "31"),
            ("lmic -k19 a", "19"),
            ("lmic -19k a", "19"),
            ("lmic -8k10T4 a", "10"),
            ("lmic -119 a", "119"),
            ("lmic -q compress -19 a", "19"),
            ("lmic compress -19 a", "19"),
            ("lmic compress a -k22", "22"),
        ] {
            let expected = format!("there is no level {number}; levels are 1 to 9");
            assert_eq!(check(line), Err(expected), "{line}");
        }
    }

    #[test]
    fn ranges_are_half_open_with_sizes() {
        let check = |parse: fn(&str) -> anyhow::Result<ByteRange>, text: &str, start, end| {
            assert_eq!(parse(text).unwrap(), ByteRange::new(start, end, text));
        };
        check(parse_range, "1..3", 1, Bound::Excluded(3));
        check(parse_range, "..2K", 0, Bound::Excluded(2048));
        check(parse_range, "5..5", 5, Bound::Excluded(5));
        check(parse_range, "1K..1K+10", 1024, Bound::Excluded(1034));
        check(parse_range, "1K..+10", 1024, Bound::Excluded(1034));
        check(parse_range, "7..", 7, Bound::Unbounded);
        for bad in ["", "3", "3..2", "a..b", "1...2"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
        check(parse_records, "3", 3, Bound::Excluded(4));
        check(parse_records, "3..9", 3, Bound::Excluded(9));
        for bad in ["", "a", "9..3", "18446744073709551615"] {
            assert!(parse_records(bad).is_err(), "{bad}");
        }
    }
}
