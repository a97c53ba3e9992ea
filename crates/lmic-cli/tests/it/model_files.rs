//! Files of models as users have them: whatever `-m` and `-p` take, what lies in its place, and the model folder.

use std::fs;
use std::path::{Path, PathBuf};

use lmic::nn::Weights;
use serde_json::Value;

use crate::gguf::Gguf;
use crate::neural::{CONFIG, weights};
use crate::support::{Dir, Run};

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lmic-llama/tests/fixtures").join(name)
}

/// `a.txt` of 3000 bytes; of each kind a model: `net.safetensors`, the folder `net`, the folder `ck` and `ck.gguf` with tokens,
/// `state.lmicp`.
fn dir() -> Dir {
    let dir = Dir::with_text();
    dir.write("net.safetensors", &weights(1).to_safetensors());
    for name in ["net", "ck"] {
        fs::create_dir(dir.path(name)).unwrap();
    }
    dir.write("net/config.json", CONFIG.as_bytes());
    dir.write("net/model.safetensors", &weights(1).to_safetensors());
    for entry in fs::read_dir(fixture("llama")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path("ck").join(path.file_name().unwrap())).unwrap();
    }
    fs::copy(fixture("llama-q8_0.gguf"), dir.path("ck.gguf")).unwrap();
    dir.run(&["prime", "-q", "--table-bits", "8", "-s", "a.txt", "-o", "state"]).ok();
    dir
}

/// Runs with the model folder `shelf` of `dir`.
fn run(dir: &Dir, args: &[&str]) -> Run {
    Run(dir.command(args).env("LMIC_MODELS", dir.path("shelf")).output().unwrap())
}

fn string(stdout: Vec<u8>) -> String {
    String::from_utf8(stdout).unwrap()
}

fn json(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap()
}

/// Writes the parts of `ck.gguf` in two.
fn split(dir: &Dir, stem: &str) {
    let parts = Gguf::of(&dir.read("ck.gguf")).split(2, 0);
    for (i, part) in (1..).zip(parts) {
        dir.write(format!("{stem}-{i:05}-of-00002.gguf"), &part);
    }
}

/// The words of a failure, which may not call anything damaged that is whole.
#[track_caller]
fn whole(run: Run, words: &[&str]) {
    let stderr = run.stderr();
    run.fails(1, words);
    for word in ["damaged", "another copy", "at byte"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
}

#[test]
fn show_and_verify_take_whatever_codes() {
    let dir = dir();
    split(&dir, "big");
    fs::copy(dir.path("ck.gguf"), dir.path("blob")).unwrap();
    fs::copy(dir.path("state.lmicp"), dir.path("bare")).unwrap();
    let shelf = dir.path("shelf");
    fs::create_dir(&shelf).unwrap();
    fs::rename(dir.path("net.safetensors"), shelf.join("shelved.safetensors")).unwrap();
    for (model, name, kind) in [
        ("net", "tiny", "transformer of bytes"),
        ("net/model.safetensors", "tiny", "transformer of bytes"),
        ("shelved", "tiny", "transformer of bytes"),
        ("ck", "ck", "transformer of tokens"),
        ("ck.gguf", "ck", "transformer of tokens"),
        ("blob", "blob", "transformer of tokens"),
        ("big-00001-of-00002.gguf", "big", "transformer of tokens"),
        ("big-00002-of-00002.gguf", "big", "transformer of tokens"),
        ("state.lmicp", "state", "primed state"),
        ("bare", "bare", "primed state"),
    ] {
        let facts = json(&run(&dir, &["model", "show", "--json", "--tensors", model]).ok());
        assert_eq!((&facts["name"], &facts["kind"]), (&name.into(), &kind.into()), "{model}");
        let identity = facts["identity"].as_str().unwrap();
        assert!(facts["bytes"].as_u64().unwrap() > 0);
        let verified = string(run(&dir, &["model", "verify", model]).ok());
        let path = facts["model"].as_str().unwrap();
        assert_eq!(verified, format!("{path}: {identity}\n"));
        assert!(path.contains(model));
        let shown = string(run(&dir, &["model", "show", "--tensors", model]).ok());
        assert!(shown.contains(identity) && shown.contains(kind), "{shown}");
        if kind == "primed state" {
            assert!(facts.get("config").is_none() && facts.get("tensors").is_none());
        } else {
            assert!(facts["parameters"].as_u64().unwrap() > 1000, "{facts}");
            assert!(facts["config"]["hidden_size"].as_u64().unwrap() > 0);
            assert!(facts["tensors"].as_array().unwrap().len() > 9);
        }
    }
    // Split, a blob, or as it was: the same model.
    let identity = |model: &str| {
        let facts = json(&run(&dir, &["model", "show", "--json", model]).ok());
        facts["identity"].clone()
    };
    assert_eq!(identity("big-00001-of-00002.gguf"), identity("ck.gguf"));
    assert_eq!(identity("blob"), identity("ck.gguf"));
    whole(run(&dir, &["model", "quantize", "ck", "q"]), &["ck: is no byte model"]);
    whole(run(&dir, &["model", "quantize", "state.lmicp", "q"]), &["state.lmicp: is no byte"]);
}

#[test]
fn models_are_told_by_content_and_by_the_right_option() {
    let dir = dir();
    let coded = run(&dir, &["-c", "-m", "ck.gguf", "a.txt"]).ok();
    for name in ["sha256-0123", "ck.bin", "ck.safetensors"] {
        fs::copy(dir.path("ck.gguf"), dir.path(name)).unwrap();
        dir.write("c.lmic", &run(&dir, &["-c", "-m", name, "a.txt"]).ok());
        assert!(run(&dir, &["-dc", "-m", "ck.gguf", "c.lmic"]).ok() == dir.read("a.txt"));
    }
    split(&dir, "ck");
    assert!(run(&dir, &["-c", "-m", "ck-00002-of-00002.gguf", "a.txt"]).ok() == coded);
    dir.run(&["model", "score", "-m", "sha256-0123", "a.txt"]).ok();
    fs::copy(dir.path("state.lmicp"), dir.path("state.bin")).unwrap();
    run(&dir, &["-c", "-p", "state.bin", "a.txt"]).ok();

    let code = |option: &str, file: &str| run(&dir, &["-c", option, file, "a.txt"]);
    whole(code("-m", "state.lmicp"), &["state.lmicp: is a primed state", "-p"]);
    whole(code("-p", "net.safetensors"), &["net.safetensors: is a network", "-m"]);
    whole(code("-p", "ck.gguf"), &["ck.gguf: is a network", "-m"]);
    whole(code("-p", "net"), &["net: is a folder"]);
    whole(code("-m", "ck/model.safetensors"), &["ck/model.safetensors: ", "name its folder"]);
    whole(code("-m", "a.txt"), &["a.txt: is no safetensors file or GGUF file"]);
    whole(code("-p", "a.txt"), &["a.txt: is no primed state"]);
    dir.run(&["-k", "a.txt"]).ok();
    whole(code("-m", "a.txt.lmic"), &["a.txt.lmic: is an archive of lmic"]);
}

#[test]
fn what_lies_in_the_place_of_a_model_is_said_of_its_file() {
    let dir = dir();
    for (content, says) in [
        (POINTER, "is a Git LFS pointer"),
        (b"", "is empty"),
        (b"<html><body>404", "is a web page"),
        (b"PK\x03\x04", "is a file of PyTorch"),
        (&[0; 5000], "begins with zeros"),
        (b"{\"model_type\": \"llama\"}", "is a JSON file"),
    ] {
        for file in ["x.gguf", "x.safetensors", "x.lmicp", "x"] {
            dir.write(file, content);
            let words = [&*format!("{file}: {says}")];
            whole(run(&dir, &["-c", "-m", file, "a.txt"]), &words);
            whole(run(&dir, &["-c", "-p", file, "a.txt"]), &words);
            for command in ["show", "verify", "add"] {
                whole(run(&dir, &["model", command, file]), &words);
            }
            whole(run(&dir, &["model", "score", "-m", file, "a.txt"]), &words);
        }
    }
    for (folder, file) in [("ck", "tokenizer.json"), ("ck", "config.json"), ("net", "config.json")]
    {
        let good = dir.read(format!("{folder}/{file}"));
        // A configuration inside of the weights would be taken.
        if folder == "net" {
            let bytes = dir.read("net/model.safetensors");
            let name = bytes.windows(11).position(|name| name == b"lmic_config").unwrap();
            let mut bytes = bytes.clone();
            bytes[name] = b'_';
            dir.write("net/model.safetensors", &bytes);
        }
        dir.write(format!("{folder}/{file}"), POINTER);
        let words = [&*format!("{folder}: {file}: is a Git LFS pointer")];
        whole(run(&dir, &["-c", "-m", folder, "a.txt"]), &words);
        dir.write(format!("{folder}/{file}"), &good);
    }
    // Nobody needs it.
    dir.write("net/tokenizer.model", b"");
    run(&dir, &["-c", "-m", "net", "a.txt"]).ok();
    fs::remove_file(dir.path("ck/tokenizer.json")).unwrap();
    dir.write("ck/tokenizer.model", b"");
    let words = ["ck: tokenizer.json is missing", "tokenizer.model", "save_pretrained"];
    whole(run(&dir, &["-c", "-m", "ck", "a.txt"]), &words);
    whole(run(&dir, &["model", "score", "-m", "ck", "a.txt"]), &words);
    // What is damaged is called so, by its name.
    for folder in ["net", "ck"] {
        let good = dir.read(format!("{folder}/config.json"));
        dir.write(format!("{folder}/config.json"), &good[..20]);
        let words = [&*format!("{folder}: "), "config.json: ", "get another copy"];
        run(&dir, &["model", "verify", folder]).fails(1, &words);
    }
    fs::remove_file(dir.path("net/config.json")).unwrap();
    whole(run(&dir, &["model", "verify", "net"]), &["net: config.json is missing"]);
}

#[test]
fn a_fault_of_the_model_folder_is_not_one_of_the_archive() {
    let dir = dir();
    for file in ["state.lmicp", "net.safetensors", "ck.gguf"] {
        run(&dir, &["model", "add", file]).ok();
    }
    run(&dir, &["-p", "state", "-o", "state.lmic", "a.txt"]).ok();
    run(&dir, &["-m", "tiny", "--alone", "-o", "tiny.lmic", "a.txt"]).ok();
    run(&dir, &["-m", "ck.gguf", "-o", "ck.lmic", "a.txt"]).ok();
    dir.run(&["prime", "-q", "--table-bits", "8", "-s", "state.lmic", "-o", "other"]).ok();
    let other = Gguf::of(&dir.read("ck.gguf")).with_u32("tokenizer.ggml.bos_token_id", 5);
    for (name, file, another) in [
        ("state", "state.lmicp", dir.read("other.lmicp")),
        ("tiny", "tiny.safetensors", weights(2).to_safetensors()),
        ("ck", "ck.gguf", other.to_bytes()),
    ] {
        let (archive, path) = (format!("{name}.lmic"), dir.path("shelf").join(file));
        let good = fs::read(&path).unwrap();
        let file = path.to_str().unwrap();
        let mut flipped = good.clone();
        let middle = good.len() / 2;
        flipped[middle] ^= 1;
        let says = |content: &[u8], words: &[&str]| {
            fs::write(&path, content).unwrap();
            for command in [&["-t"][..], &["-d", "-o", "out"], &["cat", "--range", "0..9"]] {
                let run = run(&dir, &[command, &[&archive]].concat());
                let stderr = run.stderr();
                run.fails(
                    1,
                    &[&[&*format!("{archive}: the archive is coded with"), file], words].concat(),
                );
                assert!(
                    !stderr.contains("get another copy") && !stderr.contains("at byte 0"),
                    "{stderr}"
                );
            }
        };
        says(&good[..good.len() / 2], &["is not complete"]);
        says(b"junk", &["is no "]);
        says(POINTER, &["is a Git LFS pointer"]);
        says(&another, &["is another one, of identity"]);
        if name == "state" {
            says(&flipped, &["is damaged: "]);
        }
        fs::remove_file(&path).unwrap();
        run(&dir, &["-t", &archive]).fails(1, &["which is not at hand", "model folder"]);
        // Under the name of its content alone, it is found as well; and in any of several files.
        fs::write(dir.path("shelf").join(name), &good).unwrap();
        fs::write(&path, &another).unwrap();
        run(&dir, &["-t", &archive]).ok();
        fs::write(&path, good).unwrap();
        fs::remove_file(dir.path("shelf").join(name)).unwrap();
        run(&dir, &["-t", &archive]).ok();
    }
    // What is given and is another one is said, too.
    fs::remove_file(dir.path("shelf/state.lmicp")).unwrap();
    run(&dir, &["-t", "-p", "other.lmicp", "state.lmic"])
        .fails(1, &["the one that was given is another"]);
}

#[test]
fn split_models_are_added_found_listed_and_removed_as_one() {
    let dir = dir();
    split(&dir, "big");
    run(&dir, &["-m", "big-00001-of-00002.gguf", "-o", "b.lmic", "a.txt"]).ok();
    let said = string(run(&dir, &["model", "add", "big-00002-of-00002.gguf"]).ok());
    assert!(said.contains("big-00001-of-00002.gguf") && said.contains("name      big"), "{said}");
    assert!(dir.read("shelf/big-00002-of-00002.gguf") == dir.read("big-00002-of-00002.gguf"));
    run(&dir, &["-t", "b.lmic"]).ok();
    run(&dir, &["-c", "-m", "big", "a.txt"]).ok();
    let list = json(&run(&dir, &["model", "list", "--json"]).ok());
    let rows = list.as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["name"] == "big").count(), 1, "{list}");
    let lens = [1, 2].map(|i| dir.read(format!("big-0000{i}-of-00002.gguf")).len());
    assert_eq!(rows[0]["bytes"], lens[0] + lens[1]);
    fs::remove_file(dir.path("shelf/big-00002-of-00002.gguf")).unwrap();
    let words = ["big-00001-of-00002.gguf", "part 2 is missing"];
    run(&dir, &["-t", "b.lmic"]).fails(1, &words);
    run(&dir, &["model", "add", "big-00001-of-00002.gguf"]).fails(1, &["exists already"]);
    run(&dir, &["model", "add", "-f", "big-00001-of-00002.gguf"]).ok();
    let removed = string(run(&dir, &["model", "remove", "big"]).ok());
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert!(!dir.has("shelf/big-00001-of-00002.gguf") && !dir.has("shelf/big-00002-of-00002.gguf"));
    // In one piece it is the same model under the same name.
    fs::copy(dir.path("ck.gguf"), dir.path("shelf/big.gguf")).unwrap();
    run(&dir, &["-t", "b.lmic"]).ok();
}

#[test]
fn what_is_added_gets_the_extension_of_what_it_is() {
    let dir = dir();
    fs::rename(dir.path("state.lmicp"), dir.path("state.bin")).unwrap();
    fs::rename(dir.path("ck.gguf"), dir.path("sha256-01")).unwrap();
    fs::rename(dir.path("net.safetensors"), dir.path("net.dat")).unwrap();
    for (file, stored) in [
        ("state.bin", "state.lmicp"),
        ("sha256-01", "sha256-01.gguf"),
        ("net.dat", "tiny.safetensors"),
    ] {
        run(&dir, &["model", "add", file]).ok();
        assert!(dir.read(format!("shelf/{stored}")) == dir.read(file), "{file}");
    }
    run(&dir, &["-p", "state.bin", "-o", "s.lmic", "a.txt"]).ok();
    run(&dir, &["-m", "sha256-01", "-o", "c.lmic", "a.txt"]).ok();
    run(&dir, &["-t", "s.lmic", "c.lmic"]).ok();

    // Archives have 64 bytes for a name.
    let long = "n".repeat(80);
    let named = Weights { name: long.clone(), ..weights(1) };
    dir.write("long.safetensors", &named.to_safetensors());
    run(&dir, &["model", "add", "long.safetensors"]).ok();
    run(&dir, &["-m", "long.safetensors", "--alone", "-o", "n.lmic", "a.txt"]).ok();
    run(&dir, &["-t", "n.lmic"]).ok();
    run(&dir, &["model", "remove", &long]).ok();
    for (option, file, suffix) in [("-m", "sha256-01", "gguf"), ("-p", "state.bin", "lmicp")] {
        let copy = format!("{long}.{suffix}");
        fs::copy(dir.path(file), dir.path(&copy)).unwrap();
        run(&dir, &["-f", option, &copy, "-o", "l.lmic", "a.txt"]).ok();
        fs::rename(dir.path(&copy), dir.path("shelf").join(&copy)).unwrap();
        run(&dir, &["-t", "l.lmic"]).ok();
        run(&dir, &["-c", option, &long, "a.txt"]).ok();
        run(&dir, &["model", "remove", &copy]).ok();
    }
}

#[test]
fn list_shows_the_folder_and_what_comes_with_the_program() {
    let dir = dir();
    let list = || json(&run(&dir, &["model", "list", "--json"]).ok());
    let names = |list: &Value| -> Vec<String> {
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().into()).collect()
    };
    assert_eq!(names(&list()), ["lmic-6", "lmic-7", "lmic-8", "lmic-9"]);
    assert_eq!(list()[1]["level"], 7);
    assert!(list()[3]["error"].as_str().unwrap().contains("lmic model fetch lmic-9"));
    let table = string(run(&dir, &["model", "list"]).ok());
    assert!(table.contains("shelf: not there yet") && table.contains("lmic-6"), "{table}");

    for file in ["net.safetensors", "ck.gguf", "state.lmicp"] {
        run(&dir, &["model", "add", file]).ok();
    }
    dir.write("shelf/pointer.gguf", POINTER);
    dir.write("shelf/.hidden", b"");
    fs::rename(dir.path("net"), dir.path("shelf/net")).unwrap();
    let facts = list();
    let expected = ["ck", "net", "pointer.gguf", "state", "tiny"];
    assert_eq!(names(&facts)[..5], expected);
    let kinds = facts.as_array().unwrap().iter().map(|row| row["kind"].as_str());
    assert_eq!(
        kinds.take(5).collect::<Vec<_>>(),
        [
            Some("transformer of tokens"),
            Some("transformer of bytes"),
            None,
            Some("primed state"),
            Some("transformer of bytes")
        ]
    );
    assert!(facts[4].get("level").is_none());
    assert_eq!(facts[4]["identity"].as_str().unwrap().len(), 64);
    assert_eq!(facts[4]["bytes"], dir.read("net.safetensors").len());
    assert!(facts[2]["error"].as_str().unwrap().contains("Git LFS pointer"), "{facts}");
    let table = string(run(&dir, &["model", "list"]).ok());
    for name in expected {
        assert!(table.contains(name), "{name}: {table}");
    }
    assert!(table.contains(&facts[4]["identity"].as_str().unwrap()[..12]));
    assert!(table.contains("Git LFS pointer"), "{table}");
    // Whatever is listed can be removed by its name, but for folders.
    for name in ["ck", "pointer.gguf", "state", "tiny"] {
        run(&dir, &["model", "remove", name]).ok();
    }
    run(&dir, &["model", "remove", "net"]).fails(1, &["is a folder"]);
}

/// Where the system refuses threads, work is done without. Only root can become a user who may have one process.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_is_refused_is_done_without() {
    use std::os::unix::fs::PermissionsExt;

    let dir = dir();
    let alone = ["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--nproc=1"];
    let command = |args: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.current_dir(dir.path(".")).env("RUST_BACKTRACE", "0");
        command.args(alone).args(args).output()
    };
    if !command(&["true"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: needs root, setpriv and prlimit");
        return;
    }
    fs::set_permissions(dir.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_lmic"), dir.path("lmic")).unwrap();
    for args in [
        &["-c", "-m", "ck.gguf", "a.txt"][..],
        &["-c", "-m", "ck", "a.txt"],
        &["model", "score", "-m", "ck.gguf", "a.txt"],
        &["model", "verify", "ck.gguf"],
        &["-c", "-p", "state.lmicp", "a.txt"],
    ] {
        let output = command(&[&["./lmic"], args].concat()).unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        let free = dir.run(args).ok();
        assert!(args[0] != "-c" || output.stdout == free, "{args:?}");
    }
}
