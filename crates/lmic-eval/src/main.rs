//! `lmic eval`, `lmic generate` and `lmic inspect --html`: a program of its own, as it pulls in what the command does without.

mod cmd;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "lmic eval",
    version,
    about = "Experiments of the paper: run them, report them, and look into models",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run experiments; what has been measured is not measured again
    #[command(after_help = cmd::run::EXAMPLES)]
    Run(cmd::run::Args),
    /// Make HTML, Markdown and JSON from records
    #[command(after_help = cmd::report::EXAMPLES)]
    Report(cmd::report::Args),
    /// Continue text, images or audio by what a compressor or a model expects
    #[command(after_help = cmd::generate::EXAMPLES)]
    Generate(cmd::generate::Args),
    /// Paint every byte of a file by the bits that it costs
    #[command(after_help = cmd::inspect::EXAMPLES)]
    Inspect(cmd::inspect::Args),
    /// List, check and fetch data sets
    #[command(subcommand)]
    Data(cmd::data::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => cmd::run::run(&args),
        Command::Report(args) => cmd::report::run(&args),
        Command::Generate(args) => cmd::generate::run(&args),
        Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Data(args) => cmd::data::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lmic: {error:#}");
            ExitCode::FAILURE
        }
    }
}
