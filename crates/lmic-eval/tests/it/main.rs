//! The program as it is used.

mod browser;
mod runs;

use std::path::Path;
use std::process::{Command, Output};

/// Runs it in `folder`.
fn lmic_eval(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lmic-eval"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// As [`lmic_eval`], which must succeed; what it said on stdout and stderr.
fn done(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = lmic_eval(folder, arguments);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {error}");
    (out, error)
}

/// A folder with experiments on a little generated data.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let set = |kind: &str, bytes: usize| {
        format!(
            "title = \"{kind}\"\nkind = \"{kind}\"\nseed = 1\nbytes = {bytes}\nlicence = \"-\"\nsource = \"-\"\n"
        )
    };
    write("experiments/data/words.toml", &set("words", 20_000));
    write("experiments/data/noise.toml", &set("random", 20_000));
    write(
        "experiments/rates.toml",
        "title = \"rates\"\nquestion = \"?\"\nkind = \"rates\"\ndata = [\"words\", \"noise\"]\nchunk = 2048\n\
         limit = \"8K\"\ncodecs = [\"gzip\", \"cm:profile=1\"]\n[paper]\ngzip = { words = 48.1 }\n",
    );
    write(
        "experiments/context.toml",
        "title = \"context\"\nquestion = \"?\"\nkind = \"context\"\ndata = [\"words\"]\nchunk = 2048\nlimit = 4096\n\
         x = [256, 2048]\ncodecs = [\"gzip\", \"cm:profile=1\"]\n",
    );
    write("README.md", "# x\n<!-- eval: rates -->\n<!-- end -->\nafter\n");
    folder
}
