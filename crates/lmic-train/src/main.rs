//! The `lmic-train` command.

use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use lmic_train::parallel::Runs;
use lmic_train::recipe::AnyRecipe;
use lmic_train::train::{Status, Trainer, read_recipe};
use lmic_train::{data, eval, export, recurrent, transformer};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Train small byte models, transformers and recurrent ones, and export them as safetensors.
#[derive(Parser)]
#[command(name = "lmic-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model from a recipe.
    Run(Run),
    /// Go on with an interrupted run, or a finished one with a larger budget.
    Resume(Resume),
    /// Estimate the bits per byte of a model on a file.
    Eval(Eval),
    /// Copy the model of a run's newest checkpoint to a folder of its own.
    Export(Export),
}

#[derive(Args)]
struct Run {
    /// The recipe, e.g. recipes/byte-200k.toml.
    #[arg(long)]
    config: PathBuf,
    /// Folder that the recipe's data paths start from.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Folder of the run [default: runs/NAME, NAME as in the recipe].
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Args)]
struct Resume {
    /// Folder of the run.
    run: PathBuf,
    /// Folder that the recipe's data paths start from, if it has moved.
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Args)]
struct Eval {
    /// Folder of a run or of a model.
    model: PathBuf,
    /// File to predict (`.xz` is decompressed).
    #[arg(long)]
    data: PathBuf,
    /// Predict only this many windows, at even distances (of recurrent models: pieces of 64 KiB).
    #[arg(long)]
    windows: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Args)]
struct Export {
    /// Folder of the run.
    run: PathBuf,
    /// Folder to write.
    out: PathBuf,
}

#[derive(Args)]
struct Overrides {
    /// Train for this many steps instead of the recipe's budget.
    #[arg(long)]
    steps: Option<u64>,
    /// Windows in one pass (recurrent models: --set optim.rows=...).
    #[arg(long)]
    batch: Option<usize>,
    /// Seed of weights and windows.
    #[arg(long)]
    seed: Option<u64>,
    /// Any key of the recipe, e.g. --set optim.lr=0.001.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct Compute {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// CPU threads, each computing windows of its own [default: all].
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DeviceName {
    Cpu,
    /// A GPU through Vulkan (needs a build with `--features vulkan`).
    Vulkan,
}

impl Overrides {
    fn to_sets(&self, data: Option<&PathBuf>) -> Result<Vec<String>> {
        let mut sets = self.set.clone();
        sets.extend(self.steps.map(|v| format!("optim.steps={v}")));
        sets.extend(self.batch.map(|v| format!("optim.batch={v}")));
        sets.extend(self.seed.map(|v| format!("seed={v}")));
        if let Some(data) = data {
            let root = fs::canonicalize(data).with_context(|| format!("{}", data.display()))?;
            sets.push(format!("data.root={}", root.display()));
        }
        Ok(sets)
    }
}

impl Compute {
    fn device(&self) -> Result<Device> {
        match self.device {
            DeviceName::Cpu => Ok(Device::flex()),
            #[cfg(feature = "vulkan")]
            DeviceName::Vulkan => Device::wgpu_options()
                .graphics_api(burn::tensor::wgpu::WgpuBackend::Vulkan)
                .init()
                .context("no device for Vulkan"),
            #[cfg(not(feature = "vulkan"))]
            DeviceName::Vulkan => {
                anyhow::bail!("this lmic-train has no Vulkan; build it with `--features vulkan`")
            }
        }
    }

    /// `batch`: sequences that a GPU computes at once.
    fn runs(&self, batch: usize) -> Runs {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
        match self.device {
            DeviceName::Cpu => Runs::cpu(self.threads.unwrap_or_else(all)),
            DeviceName::Vulkan => Runs::gpu(batch),
        }
    }
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Resume(args) => resume(&args),
        Command::Eval(args) => estimate(&args),
        Command::Export(args) => write_export(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lmic-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Run) -> Result<()> {
    let path = args.config.display();
    let text = fs::read_to_string(&args.config).with_context(|| format!("reading {path}"))?;
    let mut recipe = AnyRecipe::from_toml(&text, &args.overrides.to_sets(args.data.as_ref())?)
        .with_context(|| format!("{path}"))?;
    if recipe.name().is_empty() {
        *recipe.name_mut() =
            args.config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(recipe.name()));
    let runs = args.compute.runs(recipe.batch());
    let trainer = Trainer::start(recipe, &out, &args.compute.device()?, runs)?;
    train(trainer, &out)
}

fn resume(args: &Resume) -> Result<()> {
    let recipe = read_recipe(&args.run, &args.overrides.to_sets(args.data.as_ref())?)?;
    let runs = args.compute.runs(recipe.batch());
    let trainer = Trainer::resume(recipe, &args.run, &args.compute.device()?, runs)?;
    train(trainer, &args.run)
}

/// Trains with progress on stderr; the first Ctrl-C saves and stops, the second kills.
fn train(mut trainer: Trainer, out: &std::path::Path) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    eprintln!(
        "{} parameters, {:.1} MB of training data, run in {}",
        trainer.size(),
        trainer.train_bytes() as f64 / 1e6,
        out.display()
    );
    let bar = std::io::stderr().is_terminal().then(progress_bar);
    let mut validation = None;
    trainer.run(&stop, |status| {
        validation = status.row.val_bpb.or(validation);
        let text = describe(status, validation);
        match &bar {
            Some(bar) => {
                bar.set_position((status.share * 1000.0) as u64);
                bar.set_message(text);
            }
            None => eprintln!("{text}"),
        }
    })?;
    if let Some(bar) = bar {
        bar.abandon();
    }
    eprintln!("saved in {}", out.display());
    Ok(())
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {msg}").expect("a valid template");
    ProgressBar::new(1000).with_style(style)
}

fn describe(status: &Status, validation: Option<f64>) -> String {
    let row = status.row;
    let steps = status.steps.map(|steps| format!("/{steps}")).unwrap_or_default();
    let validation = validation.map(|v| format!("  validation {v:.4}")).unwrap_or_default();
    let left = std::time::Duration::from_secs_f64(status.seconds_left.max(0.0));
    format!(
        "step {}{steps}  {:.4} bits per byte{validation}  {:.1} KB/s  {} left",
        row.step,
        row.train_bpb,
        status.bytes_per_second / 1e3,
        HumanDuration(left),
    )
}

fn estimate(args: &Eval) -> Result<()> {
    let folder = export::model_folder(&args.model);
    let (device, runs) = (args.compute.device()?, args.compute.runs(8));
    let data = data::read_file(&args.data)?;
    let result = if recurrent::is_model(&folder)? {
        let model = recurrent::Model::load(&folder, &device, runs.threads)?;
        eval::estimate_recurrent(&model, &data, args.windows)?
    } else {
        eval::estimate(&transformer::load(&folder, &device, runs)?, &data, args.windows)?
    };
    if args.json {
        let json = serde_json::json!({
            "estimated_bits_per_byte": result.bits_per_byte(),
            "bytes": result.bytes,
            "windows": result.windows,
        });
        println!("{json}");
    } else {
        println!(
            "{:.4} bits per byte (estimated), {} bytes in {} windows",
            result.bits_per_byte(),
            result.bytes,
            result.windows
        );
    }
    Ok(())
}

fn write_export(args: &Export) -> Result<()> {
    export::copy(&export::model_folder(&args.run), &args.out)?;
    eprintln!("wrote {}", args.out.display());
    Ok(())
}
