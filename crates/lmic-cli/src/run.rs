//! From arguments to work: picks the command, validates options, turns the result into an exit status.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
#[cfg(feature = "llama")]
use clap::Parser as _;
use lmic::models::{Wanted, needed_by};
use lmic::nn::Network;
use lmic::records::Primed;
use lmic::{DecodeOptions, EncodeOptions, ErrorKind};

use crate::args::{
    self, Cli, Command, CompressArgs, DecompressArgs, EncodeArgs, EncryptArgs, FileArgs, KeyArgs,
    LimitArgs, ListArgs, MessageArgs, ModelArgs, OutputArgs, ShortForm, usage_error,
};
use crate::cmd;
use crate::console::Console;
use crate::device;
use crate::keys::{self, Encryption, Keys};
use crate::models::finder;
use crate::needed::Needed;
use crate::sink::Sink;
use crate::source::{self, Source};
use crate::transform::{self, Direction, Target, Transform};

/// Memory without which nothing works. If the system does not give it, no work is begun, as the process would end in the middle.
const LEAST_MEMORY: u64 = 32 << 20;

/// Runs what the arguments ask for.
pub fn run(cli: Cli) -> ExitCode {
    if let Err(error) = lmic::memory::check_available(LEAST_MEMORY) {
        return Console::plain(0).exit_code(Err(error.into()));
    }
    match cli.command {
        None => short_form(cli.short_form),
        Some(command) => long_form(command),
    }
}

fn short_form(args: ShortForm) -> ExitCode {
    let ShortForm { encode, model, encryption, keys, output, limits, messages, files, .. } = args;
    require_input(None, &files.files);
    if args.list {
        let (json, verbose, quiet) = (args.json, messages.verbose, messages.quiet);
        return list(ListArgs { json, verbose, quiet, keys, files });
    }
    if args.test {
        return test(&model, &keys, limits, &messages, files);
    }
    match args.decompress {
        true => decompress(&model, &keys, output, limits, &messages, files),
        false => compress(encode, &model, &encryption, &keys, output, limits, &messages, files),
    }
}

fn long_form(command: Command) -> ExitCode {
    match command {
        Command::Compress(args) => {
            require_input(Some("compress"), &args.files.files);
            let CompressArgs { encode, model, encryption, keys, output, limits, messages, files } =
                args;
            compress(encode, &model, &encryption, &keys, output, limits, &messages, files)
        }
        Command::Decompress(args) => {
            require_input(Some("decompress"), &args.files.files);
            let DecompressArgs { model, keys, output, limits, messages, files } = args;
            decompress(&model, &keys, output, limits, &messages, files)
        }
        Command::Test(args) => {
            require_input(Some("test"), &args.files.files);
            test(&args.model, &args.keys, args.limits, &args.messages, args.files)
        }
        Command::List(args) => {
            require_input(Some("list"), &args.files.files);
            list(args)
        }
        Command::Cat(args) => {
            require_input(Some("cat"), &args.files);
            let console = Console::plain(args.quiet);
            let options = decode_options(&args.model, &args.limits);
            let mut needed = needed(&args.model);
            keys::add_needed(&args.keys, None, &mut needed);
            let run = |options| cmd::cat::run(args, options, needed, &console);
            console.exit_code(options.and_then(run))
        }
        Command::Inspect(args) => {
            require_input(Some("inspect"), &args.files);
            let console = Console::plain(0);
            match args.html {
                Some(_) => cmd::external::inspect(&args, &console),
                None => console.exit_code(cmd::inspect::run(args, &console)),
            }
        }
        #[cfg(feature = "llama")]
        Command::Eval(args) if args.args.first().is_some_and(|word| word == "score") => {
            let score = args::EvalScore::parse_from(args.args);
            Console::plain(0).exit_code(cmd::score::run(&score.args))
        }
        Command::Eval(args) => cmd::external::run(args.args, &Console::plain(0)),
        Command::Generate(args) => {
            let args = ["generate".into()].into_iter().chain(args.args).collect();
            cmd::external::run(args, &Console::plain(0))
        }
        #[cfg(feature = "bench")]
        Command::Bench(args) => {
            let console = Console::new(0, false, !args.no_progress);
            console.exit_code(cmd::bench::run(args, &console))
        }
        Command::Model(command) => Console::plain(0).exit_code(cmd::model::run(command)),
        Command::Prime(args) => {
            let console = Console::plain(args.quiet.into());
            console.exit_code(cmd::prime::run(args, &console))
        }
        Command::Help { command } => Console::plain(0).exit_code(cmd::help::run(&command)),
        Command::Completions { shell } => Console::plain(0).exit_code(cmd::completions::run(shell)),
        Command::Man { command } => Console::plain(0).exit_code(cmd::man::run(command.as_deref())),
    }
}

/// Without a name the input is stdin; if that is a terminal, the user wants help instead.
fn require_input(command: Option<&str>, files: &[PathBuf]) {
    if files.is_empty() && source::stdin_is_terminal() {
        let mut root = args::command();
        root.build();
        let command = command.and_then(|name| root.find_subcommand_mut(name).cloned());
        let _ = write!(std::io::stderr(), "{}", command.unwrap_or(root).render_help());
        std::process::exit(2);
    }
}

#[expect(clippy::too_many_arguments, reason = "groups of options")]
fn compress(
    encode: EncodeArgs,
    model: &ModelArgs,
    encryption: &EncryptArgs,
    keys: &KeyArgs,
    output: OutputArgs,
    limits: LimitArgs,
    messages: &MessageArgs,
    files: FileArgs,
) -> ExitCode {
    let console = messages.console();
    let direction = encode_options(&encode, model, &limits).and_then(|options| {
        Ok(Direction::Compress(Box::new(options), Encryption::of(encryption, keys, &files.files)?))
    });
    transform(direction, model, (keys, Some(encryption)), output, files, &console)
}

fn decompress(
    model: &ModelArgs,
    keys: &KeyArgs,
    output: OutputArgs,
    limits: LimitArgs,
    messages: &MessageArgs,
    files: FileArgs,
) -> ExitCode {
    let direction = decode_options(model, &limits)
        .and_then(|options| Ok(Direction::Decompress(options, Keys::of(keys, &files.files)?)));
    transform(direction, model, (keys, None), output, files, &messages.console())
}

fn transform(
    direction: Result<Direction>,
    model: &ModelArgs,
    (keys, encryption): (&KeyArgs, Option<&EncryptArgs>),
    output: OutputArgs,
    files: FileArgs,
    console: &Console,
) -> ExitCode {
    let direction = match direction {
        Ok(direction) => direction,
        Err(error) => return console.exit_code(Err(error)),
    };
    let sources = source::from_names(files.files);
    let target = match output.output {
        _ if output.stdout => Target::Stdout,
        Some(path) if path.as_os_str() == "-" => Target::Stdout,
        Some(path) => Target::Named(path),
        None => Target::Beside,
    };
    let isolate = encryption.is_some_and(|args| args.isolate);
    if let Err(message) = transform::check_usage(&target, &sources, output.remove, isolate) {
        usage_error(message);
    }
    let is_written_over = match &target {
        Target::Beside => sources.contains(&Source::Stdin),
        Target::Named(path) => Sink::is_direct(path),
        Target::Stdout | Target::Nowhere => true,
    };
    let mut needed = match is_written_over || output.remove || output.force {
        true => needed(model),
        false => Needed::default(), // nothing is removed or written over
    };
    keys::add_needed(keys, encryption, &mut needed);
    let work = Transform {
        direction,
        sources,
        recursive: files.recursive,
        target,
        force: output.force,
        remove_source: output.remove,
        isolate,
        needed,
    };
    let done = work.run(console);
    device::report(console);
    console.exit_code(done)
}

fn test(
    model: &ModelArgs,
    keys: &KeyArgs,
    limits: LimitArgs,
    messages: &MessageArgs,
    files: FileArgs,
) -> ExitCode {
    let console = messages.console();
    let direction = decode_options(model, &limits)
        .and_then(|options| Ok(Direction::Decompress(options, Keys::of(keys, &files.files)?)));
    let direction = match direction {
        Ok(direction) => direction,
        Err(error) => return console.exit_code(Err(error)),
    };
    let work = Transform {
        direction,
        sources: source::from_names(files.files),
        recursive: files.recursive,
        target: Target::Nowhere,
        force: false,
        remove_source: false,
        isolate: false,
        needed: Needed::default(),
    };
    let done = work.run(&console);
    device::report(&console);
    console.exit_code(done)
}

fn list(args: ListArgs) -> ExitCode {
    let console = Console::plain(args.quiet);
    console.exit_code(cmd::list::run(args, &console))
}

fn encode_options(
    encode: &EncodeArgs,
    model: &ModelArgs,
    limits: &LimitArgs,
) -> Result<EncodeOptions> {
    let defaults = EncodeOptions::default();
    if encode.records && model.primed.is_none() {
        usage_error(
            "--records codes each line alone, which needs a primed state: make one with \
             `lmic prime --examples FILE -o NAME.lmicp` from lines like these, then add -p NAME.lmicp",
        );
    }
    let primed = primed(model)?;
    let (model, level) = (network(model)?, encode.level.0);
    let windows = model.as_ref().map(|model| encode.windows.of(model));
    let options = EncodeOptions {
        level,
        block_size: encode.block_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
        threads: limits.threads.into(),
        memory_limit: limits.memory.map_or(defaults.memory_limit, |limit| limit.0),
        content: encode.kind.0,
        model,
        alone: encode.windows.alone,
        windows,
        primed,
        records: encode.records,
        models: finder().at_hand(None, None),
        engines: limits.device.engines()?,
    };
    // The library validates when it starts to encode; a wrong option should not wait for that.
    match lmic::Encoder::with_options(std::io::sink(), options.clone()) {
        Err(error) if error.kind() != ErrorKind::InvalidArgument => Err(error.into()),
        Err(error) => usage_error(error),
        Ok(_) => Ok(options),
    }
}

/// The files that the options name, and the model folder, from which archives find theirs.
fn needed(args: &ModelArgs) -> Needed {
    let mut needed = Needed::default();
    let finder = finder();
    if let Some(folder) = finder.folder() {
        needed.add_model_folder(folder);
    }
    let network = args.model.as_deref().map(|model| finder.find(model, Wanted::Network));
    if let Some(Ok(path)) = network {
        needed.add(&path, "of the model of -m");
        needed_by(&path).iter().for_each(|part| needed.add(part, "of the model of -m"));
    }
    let primed = args.primed.as_deref().map(|primed| finder.find(primed, Wanted::Primed));
    if let Some(Ok(path)) = primed {
        needed.add(&path, "the primed state of -p");
    }
    needed
}

/// The network of `-m`.
fn network(args: &ModelArgs) -> Result<Option<Network>> {
    Ok(args.model.as_deref().map(|model| finder().network(model)).transpose()?)
}

/// The primed state of `-p`, and what archives call it.
fn primed(args: &ModelArgs) -> Result<Option<(String, Arc<Primed>)>> {
    Ok(args.primed.as_deref().map(|primed| finder().primed(primed)).transpose()?)
}

fn decode_options(model: &ModelArgs, limits: &LimitArgs) -> Result<DecodeOptions> {
    let defaults = DecodeOptions::default();
    let models = finder().at_hand(network(model)?, primed(model)?.map(|(_, primed)| primed));
    Ok(DecodeOptions {
        threads: limits.threads.into(),
        memory_limit: limits.memory.map_or(defaults.memory_limit, |limit| limit.0),
        models: models.run_by(limits.device.engines()?),
    })
}
