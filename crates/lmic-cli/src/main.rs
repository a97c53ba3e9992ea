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

/// Where the bytes go: a temporary that is renamed when it is complete, a device, or stdout.
mod sink;

/// Which file a name stands for.
mod file_id;

/// Permissions, owner and times of a file, carried over to another.
mod attributes;

/// A signal removes the temporary file before it ends the process.
mod interrupt;

/// The progress bar.
mod progress;

/// Messages to the user, and whether any of them was a failure.
mod console;

/// Tables and JSON on stdout.
mod table;

/// Where transformers are found.
mod models;

/// Model and content kind in the words of the command line.
mod kind;

/// The commands.
mod cmd;

/// Codecs to measure side by side.
#[cfg(feature = "bench")]
mod bench;

fn main() -> std::process::ExitCode {
    run::run(args::parse())
}
