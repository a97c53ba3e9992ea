//! The `lmic` command: arguments -> validated options -> work, one module per command in [`cmd`].

/// What the user may write, and the help.
mod args;

/// The flags -1 to -9.
mod levels;

/// Sizes such as `64K`, read and written.
mod size;

/// Which command does the work, and the exit status.
mod run;

/// One file through the encoder or the decoder, with all that surrounds it.
mod transform;

/// Where the bytes come from.
mod source;

/// Where the bytes go: a temporary that is named when it is complete, a device, or stdout.
mod sink;

/// A file that gets its name when it is complete.
mod temporary;

/// Permissions, owner and times of a file, carried over to another.
mod attributes;

/// Which file a name stands for.
mod file_id;

/// What must not be removed or written over: what archives of this run need.
mod needed;

/// Stdin, stdout and stderr that are closed.
mod stdio;

/// Names that stand for open descriptors.
mod descriptor;

/// What networks run on.
mod device;

/// Keys and passphrases of encrypted archives.
mod keys;

/// Passphrases from the terminal.
mod terminal;

/// Signals: the temporary file is removed before one ends the process.
mod interrupt;

/// The progress bar.
mod progress;

/// Messages to the user, and whether any of them was a failure.
mod console;

/// Tables and JSON on stdout.
mod table;

/// Where networks and primed states are found.
mod models;

/// The commands.
mod cmd;

/// Codecs to measure side by side.
#[cfg(feature = "bench")]
mod bench;

fn main() -> std::process::ExitCode {
    interrupt::survive_size_limit();
    run::run(args::parse())
}
