//! Help, version, completions, the manual page, and which form of the command line is meant.

use crate::support::Dir;

fn stdout(args: &[&str]) -> String {
    String::from_utf8(Dir::new().run(args).ok()).unwrap()
}

#[test]
fn help_states_units_defaults_and_an_example() {
    for flag in ["-h", "--help"] {
        let help = stdout(&[flag]);
        let words = ["powers of 1024", "[default", "Examples:", "NO_COLOR", "Exit status", "bench"];
        for word in words.into_iter().chain(["named like a command", "./cat"]) {
            assert!(help.contains(word), "{word}: {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn every_command_has_help_and_an_example() {
    let help = stdout(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let help = stdout(&[name, "--help"]);
        assert!(help.contains("Example") && help.contains("Usage: lmic"), "{name}: {help}");
        assert_eq!(stdout(&["help", name]), help);
    }
    assert_eq!(stdout(&["help"]), stdout(&["--help"]));
    assert_eq!(stdout(&["help", "model", "add"]), stdout(&["model", "add", "--help"]));
    Dir::new().run(&["help", "nothing"]).fails(1, &["no command"]);
}

/// The example of little memory, with content of two blocks.
#[test]
fn the_example_of_little_memory_works() {
    let example = "compress -3 -T1 -M 200M --block-size 8M";
    assert!(stdout(&["compress", "--help"]).contains(&format!("lmic {example} big.tar\n")));
    let dir = Dir::new();
    dir.write("big.tar", &crate::support::noise(17 << 20));
    dir.run(&example.split(' ').chain(["big.tar"]).collect::<Vec<_>>()).ok();
}

#[test]
fn version_is_the_package_version() {
    assert_eq!(stdout(&["--version"]), concat!("lmic ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_and_manual_know_the_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains("block-size") && script.contains("inspect"), "{shell}");
    }
    let page = stdout(&["man"]);
    assert!(page.contains(".TH lmic 1") && page.contains("block\\-size"), "{page}");
    assert!(stdout(&["man", "cat"]).contains("range"));
    Dir::new().run(&["man", "nothing"]).fails(1, &["no command"]);
}

#[test]
fn file_named_like_a_command_needs_a_path() {
    let dir = Dir::new();
    dir.write("list", b"data");
    dir.run(&["./list"]).ok();
    assert_eq!(dir.names(), ["list", "list.lmic"]);
    dir.run(&["list", "list.lmic"]).ok();
    dir.run(&["-f", "list"]).ok();
}
