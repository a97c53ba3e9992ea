//! Random commands over a small folder, killed and disturbed at random moments. After each one every
//! content is still restorable from what is on the disk.
//!
//! `make chaos` takes 10,000 steps. What a command does follows from the seed; when a signal meets it
//! does not, so a fault may need several runs of its seed to show again.

use std::path::Path;
use std::time::Instant;

mod command;
mod folder;
mod random;

use command::{Counts, Runner};
use folder::{Allowed, Folder, STATE};
use random::Random;

/// Steps of the sample among the quick tests.
const QUICK_STEPS: u64 = 150;

#[test]
fn every_content_survives_random_commands_and_kills() {
    let seed = setting("LMIC_CHAOS_SEED").unwrap_or(1);
    let steps = setting("LMIC_CHAOS_STEPS").unwrap_or(QUICK_STEPS);
    println!("LMIC_CHAOS_SEED={seed} LMIC_CHAOS_STEPS={steps}");
    let started = Instant::now();
    let mut random = Random(seed);
    let mut folder = Folder::new();
    let mut runner = Runner::new();
    for step in 0..steps {
        let done =
            own_step(&mut folder, &mut random).and_then(|()| runner.step(&mut folder, &mut random));
        if let Err(fault) = done {
            let (log, root) = (runner.log(), folder.keep());
            panic!(
                "step {step} of seed {seed}: {fault}\nbefore:\n{log}\nleft in {}",
                root.display()
            );
        }
    }
    let counts = runner.counts;
    let seconds = started.elapsed().as_secs();
    println!(
        "{steps} steps in {seconds} s, {} contents owed at the end, {counts:?}",
        folder.owed()
    );
    if steps >= 1000 {
        assert_each_kind_happened(&counts);
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// A run in which nothing happens would pass as well.
fn assert_each_kind_happened(counts: &Counts) {
    let Counts { done, refused, killed, ended, disturbed, removed, overwritten, leftovers: _ } =
        counts;
    for (what, count) in [
        ("a command that did its work", done),
        ("a command that refused", refused),
        ("SIGKILL", killed),
        ("SIGTERM, SIGINT or SIGHUP", ended),
        ("a source modified while it was read", disturbed),
        ("a source removed", removed),
        ("a content overwritten as asked", overwritten),
    ] {
        assert!(*count > 0, "there was not once {what}: {counts:?}");
    }
}

/// What the user does between commands: new files, changed ones, links, and files that go.
fn own_step(folder: &mut Folder, random: &mut Random) -> Result<(), String> {
    let too_many = folder.snapshot().len() > 40;
    if !too_many && !random.chance(40) {
        return Ok(());
    }
    let before = folder.snapshot();
    if !before.contains_key(Path::new(STATE)) && random.chance(30) {
        std::fs::write(folder.path(STATE), folder.state()).unwrap();
        return Ok(());
    }
    let goes = too_many || random.chance(10);
    let name = match goes {
        true => random.pick(&before.keys().cloned().collect::<Vec<_>>()).clone(),
        false => random.pick(&folder::NAMES).into(),
    };
    if folder.carries_state(&before, &name) {
        return Ok(()); // without the state much else would be lost
    }
    let _ = std::fs::remove_file(folder.path(&name));
    match random.below(10) {
        _ if goes => {}
        0 => folder.link(&name, random.chance(50), random),
        _ => folder.put(&name, random),
    }
    let allowed = Allowed {
        overwritten: [name.clone()].into(),
        made: [name.clone()].into(),
        removed: [name].into(),
        leftovers: false,
    };
    folder.check(&before, &allowed).map(|_| ())
}

#[test]
fn a_lost_content_is_noticed() {
    let (mut folder, mut random) = (Folder::new(), Random(2));
    folder.put("a".as_ref(), &mut random);
    let before = folder.snapshot();
    std::fs::remove_file(folder.path("a")).unwrap();
    let removed = Allowed { removed: ["a".into()].into(), ..Allowed::default() };
    let fault = folder.check(&before, &removed).unwrap_err();
    assert!(fault.contains("lost"), "a name that may go, but not what was in it: {fault}");

    let asked = Allowed { overwritten: ["a".into()].into(), ..removed };
    folder.check(&before, &asked).unwrap();
    assert!(folder.check(&before, &asked).is_ok(), "what went as asked is not owed any more");
}

#[test]
fn an_archive_stands_for_its_content_only_while_it_is_whole() {
    let (mut folder, mut random) = (Folder::new(), Random(3));
    folder.put("b.txt".as_ref(), &mut random);
    let content = std::fs::read(folder.path("b.txt")).unwrap();
    let archive = lmic::compress(&content, 1).unwrap();
    let before = folder.snapshot();
    std::fs::remove_file(folder.path("b.txt")).unwrap();
    let allowed = Allowed {
        made: ["b.txt.lmic".into()].into(),
        removed: ["b.txt".into()].into(),
        ..Allowed::default()
    };
    std::fs::write(folder.path("b.txt.lmic"), &archive[..archive.len() - 1]).unwrap();
    assert!(folder.check(&before, &allowed).unwrap_err().contains("lost"));
    std::fs::write(folder.path("b.txt.lmic"), &archive).unwrap();
    folder.check(&before, &allowed).unwrap();
}

#[test]
fn a_state_coded_with_itself_counts_as_lost() {
    let mut folder = Folder::new();
    let before = folder.snapshot();
    let archive = folder.compress_with_state(&folder.state());
    std::fs::write(folder.path("state.lmicp.lmic"), archive).unwrap();
    std::fs::remove_file(folder.path("state.lmicp")).unwrap();
    let allowed = Allowed {
        made: ["state.lmicp.lmic".into()].into(),
        removed: ["state.lmicp".into()].into(),
        ..Allowed::default()
    };
    assert!(folder.check(&before, &allowed).unwrap_err().contains("lost"));
}

#[test]
fn what_appears_changes_or_goes_without_leave_is_noticed() {
    let (mut folder, mut random) = (Folder::new(), Random(4));
    folder.put("a".as_ref(), &mut random);
    std::fs::copy(folder.path("a"), folder.path("sub/c")).unwrap();
    let before = folder.snapshot();
    let nothing = Allowed::default();
    let names_in = |fault: String, name: &str| assert!(fault.contains(name), "{fault}");

    std::fs::write(folder.path(".lmic-1.part"), b"part").unwrap();
    names_in(folder.check(&before, &nothing).unwrap_err(), ".lmic-1.part");
    folder.check(&before, &Allowed { leftovers: true, ..Allowed::default() }).unwrap();
    assert!(folder.check(&before, &nothing).is_ok(), "what a killed process left is cleared away");

    std::fs::remove_file(folder.path("sub/c")).unwrap();
    names_in(folder.check(&before, &nothing).unwrap_err(), "sub/c");
    std::fs::write(folder.path("sub/c"), b"other").unwrap();
    names_in(folder.check(&before, &nothing).unwrap_err(), "sub/c");
}
