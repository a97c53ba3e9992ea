//! From arguments to work: picks the command, validates options, turns the result into an exit status.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use lmic::{DecodeOptions, EncodeOptions};

use crate::args::{
    self, Cli, Command, EncodeArgs, FileArgs, LimitArgs, ListArgs, MessageArgs, OutputArgs,
    ShortForm, usage_error,
};
use crate::cmd;
use crate::console::Console;
use crate::source;
use crate::transform::{self, Direction, Target, Transform};

/// Runs what the arguments ask for.
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        None => short_form(cli.short_form),
        Some(command) => long_form(command),
    }
}

fn short_form(args: ShortForm) -> ExitCode {
    let ShortForm { encode, output, limits, messages, files, .. } = args;
    require_input(None, &files.files);
    if args.list {
        let (json, verbose, quiet) = (args.json, messages.verbose, messages.quiet);
        return list(ListArgs { json, verbose, quiet, files });
    }
    if args.test {
        return test(limits, &messages, files);
    }
    match args.decompress {
        true => decompress(output, limits, &messages, files),
        false => compress(encode, output, limits, &messages, files),
    }
}

fn long_form(command: Command) -> ExitCode {
    match command {
        Command::Compress(args) => {
            require_input(Some("compress"), &args.files.files);
            compress(args.encode, args.output, args.limits, &args.messages, args.files)
        }
        Command::Decompress(args) => {
            require_input(Some("decompress"), &args.files.files);
            decompress(args.output, args.limits, &args.messages, args.files)
        }
        Command::Test(args) => {
            require_input(Some("test"), &args.files.files);
            test(args.limits, &args.messages, args.files)
        }
        Command::List(args) => {
            require_input(Some("list"), &args.files.files);
            list(args)
        }
        Command::Cat(args) => {
            require_input(Some("cat"), &args.files);
            let console = Console::plain(args.quiet);
            let options = decode_options(&args.limits);
            console.exit_code(cmd::cat::run(args, options, &console))
        }
        Command::Inspect(args) => {
            let console = Console::plain(0);
            console.exit_code(cmd::inspect::run(args, &console))
        }
        #[cfg(feature = "bench")]
        Command::Bench(args) => {
            let no_progress = args.no_progress;
            let console = Console::new(&MessageArgs { quiet: 0, verbose: false, no_progress });
            console.exit_code(cmd::bench::run(args, &console))
        }
        Command::Model(command) => Console::plain(0).exit_code(cmd::model::run(command)),
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

fn compress(
    encode: EncodeArgs,
    output: OutputArgs,
    limits: LimitArgs,
    messages: &MessageArgs,
    files: FileArgs,
) -> ExitCode {
    let console = Console::new(messages);
    let options = encode_options(&encode, &limits);
    if let Some(note) = encode.level.note() {
        console.note(note);
    }
    transform(Direction::Compress(options), output, files, &console)
}

fn decompress(
    output: OutputArgs,
    limits: LimitArgs,
    messages: &MessageArgs,
    files: FileArgs,
) -> ExitCode {
    let direction = Direction::Decompress(decode_options(&limits));
    transform(direction, output, files, &Console::new(messages))
}

fn transform(
    direction: Direction,
    output: OutputArgs,
    files: FileArgs,
    console: &Console,
) -> ExitCode {
    let sources = source::from_names(files.files);
    let target = match output.output {
        _ if output.stdout => Target::Stdout,
        Some(path) if path.as_os_str() == "-" => Target::Stdout,
        Some(path) => Target::Named(path),
        None => Target::Beside,
    };
    if let Err(message) = transform::check_usage(&target, &sources, output.remove) {
        usage_error(message);
    }
    let work = Transform {
        direction,
        sources,
        recursive: files.recursive,
        target,
        force: output.force,
        remove_source: output.remove,
    };
    console.exit_code(work.run(console))
}

fn test(limits: LimitArgs, messages: &MessageArgs, files: FileArgs) -> ExitCode {
    let console = Console::new(messages);
    let work = Transform {
        direction: Direction::Decompress(decode_options(&limits)),
        sources: source::from_names(files.files),
        recursive: files.recursive,
        target: Target::Nowhere,
        force: false,
        remove_source: false,
    };
    console.exit_code(work.run(&console))
}

fn list(args: ListArgs) -> ExitCode {
    let console = Console::plain(args.quiet);
    console.exit_code(cmd::list::run(args, &console))
}

fn encode_options(encode: &EncodeArgs, limits: &LimitArgs) -> EncodeOptions {
    let defaults = EncodeOptions::default();
    let options = EncodeOptions {
        level: encode.level.0,
        block_size: encode.block_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
        threads: limits.threads.into(),
        memory_limit: limits.memory.map_or(defaults.memory_limit, |limit| limit.0),
        content: encode.kind.0,
    };
    // The library validates when it starts to encode; a wrong option should not wait for that.
    if let Err(error) = lmic::Encoder::with_options(std::io::sink(), options.clone()) {
        usage_error(error);
    }
    options
}

fn decode_options(limits: &LimitArgs) -> DecodeOptions {
    let defaults = DecodeOptions::default();
    DecodeOptions {
        threads: limits.threads.into(),
        memory_limit: limits.memory.map_or(defaults.memory_limit, |limit| limit.0),
    }
}
