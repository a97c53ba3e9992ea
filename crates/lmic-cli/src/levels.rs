//! The flags -1 to -9, and --fast and --best as in gzip and xz. The last one given wins, as in gzip, xz and zstd. A number of two
//! digits, such as the -19 of zstd, would be -1 and -9: it is refused.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use lmic::block::apart_network;
use lmic::{BEST_LEVEL, DEFAULT_LEVEL, MAX_LEVEL, preset};

use crate::size;

/// The level asked for.
#[derive(Debug, Clone, Copy)]
pub struct Level(pub u8);

pub const LEVELS: RangeInclusive<u8> = 1..=MAX_LEVEL;

/// Levels that have a name. The best one needs nothing beside the program.
const NAMED: [(&str, u8); 2] = [("fast", 1), ("best", BEST_LEVEL)];

/// Refuses what `words`, the arguments of `command`, give for a level that does not exist. `-1k9` is two flags, `-19` one number.
pub fn check(command: &Command, words: &[OsString]) -> Result<(), String> {
    let takes_value = |letter: u8| {
        let is_it = |arg: &&Arg| arg.get_short() == Some(char::from(letter));
        command.get_arguments().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
    };
    let long_takes_value = |name: &[u8]| {
        let is_it = |arg: &&Arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long().into_iter().chain(aliases).any(|long| long.as_bytes() == name)
        };
        command.get_arguments().find(is_it).is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut words = words.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        let [b'-', flags @ ..] = word.as_encoded_bytes() else { continue };
        if let [b'-', name @ ..] = flags {
            if long_takes_value(name) {
                words.next();
            }
            continue;
        }
        // The rest of a word behind a flag that takes a value is that value, not more flags.
        let end = flags.iter().position(|&letter| letter == b'-' || takes_value(letter));
        if end.is_some_and(|end| end + 1 == flags.len() && flags[end] != b'-') {
            words.next();
        }
        let flags = &flags[..end.unwrap_or(flags.len())];
        for number in flags.split(|letter| !letter.is_ascii_digit()) {
            let is_level = |digit: &u8| LEVELS.contains(&(digit - b'0'));
            if number.len() > 1 || !number.iter().all(is_level) {
                let number = String::from_utf8_lossy(number);
                return Err(format!("there is no level {number}; levels are 1 to {MAX_LEVEL}"));
            }
        }
    }
    Ok(())
}

impl Args for Level {
    fn augment_args(command: Command) -> Command {
        command.args(LEVELS.map(flag)).args(NAMED.map(|(name, level)| {
            named(name).help_heading("Levels").help(format!("As -{level}, as in gzip and xz"))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Level {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let flags = LEVELS.map(|level| (id(level), level));
        let flags = flags.chain(NAMED.map(|(name, level)| (name.into(), level)));
        let given = flags.filter(|(id, _)| matches.get_flag(id));
        let last = given.max_by_key(|(id, _)| matches.index_of(id));
        Ok(Self(last.map_or(DEFAULT_LEVEL, |(_, level)| level)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn id(level: u8) -> String {
    format!("level-{level}")
}

fn named(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn flag(level: u8) -> Arg {
    Arg::new(id(level))
        .short(char::from(b'0' + level))
        .action(ArgAction::SetTrue)
        .help_heading("Levels")
        .help(help(level))
}

/// One line of the table of levels, from the presets themselves.
fn help(level: u8) -> String {
    let Ok(preset) = preset(level) else { return String::new() };
    let word = match level {
        1 => "Fastest",
        2 => "Fast",
        3 => "Medium",
        _ if apart_network(level).is_some() => "Largest network, for GPUs",
        BEST_LEVEL => "Large network",
        _ if preset.network && has_network(level - 1) => "Network",
        _ if preset.network => "Small network",
        _ if has_network(level + 1) => "Smallest without a network",
        _ => "Strong",
    };
    format!(
        "{word}: {}{} blocks, {} of memory each{}{}",
        match level {
            TIMED => String::new(),
            _ => format!("{} x the time of -{TIMED}, ", preset.time),
        },
        size::human(preset.block_size as u64),
        size::human(preset.memory),
        if level == DEFAULT_LEVEL { " [default]" } else { "" },
        apart_network(level).map_or(String::new(), |network| {
            format!("; it is a file of its own ({})", network.name)
        }),
    )
}

/// The level whose time is 1.
const TIMED: u8 = 5;

fn has_network(level: u8) -> bool {
    preset(level).is_ok_and(|preset| preset.network)
}
