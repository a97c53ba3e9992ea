//! `model fetch`, from a server in this process and from folders.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use lmic::nn::{Config, Weights};

use crate::support::{Dir, Run};

const CONFIG: &str = r#"{"model_type": "llama", "vocab_size": 257, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "max_position_embeddings": 32, "rms_norm_eps": 1e-5}"#;

/// A model file whose name is `random`.
fn model() -> Vec<u8> {
    Weights::random(&Config::from_json(CONFIG).unwrap(), 1).to_safetensors()
}

fn list_of(file: &[u8]) -> String {
    format!("random random.safetensors {} {}\n", file.len(), blake3::hash(file).to_hex())
}

fn run(dir: &Dir, args: &[&str]) -> Run {
    let mut command = dir.command(&[&["model", "fetch", "random"], args].concat());
    Run(command.env("LMIC_MODELS", dir.path("shelf")).output().unwrap())
}

fn string(stdout: Vec<u8>) -> String {
    String::from_utf8(stdout).unwrap()
}

/// What a server does with a request for the model.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Send,
    /// Breaks the connection off after a third.
    BreakOff,
    /// Knows no ranges.
    SendAll,
    /// Says no length and sends more.
    SendMore,
    Refuse,
}

/// A server of a model at `/m/random.safetensors` and its list at `/m/list`. For each request for the model it does the next of
/// `does`; the places from which the model was asked for are kept.
fn server(content: Vec<u8>, does: &[Does]) -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/m", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (seen, does) = (Arc::clone(&asked), does.to_vec());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut from, mut path) = (0, String::new());
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap().to_lowercase();
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                } else if let Some(asked) = line.strip_prefix("get ") {
                    path = asked.split([' ', '?']).next().unwrap().to_owned();
                }
                if line.is_empty() {
                    break;
                }
            }
            // That the other side has hung up is no failure here.
            let mut send = |head: &str, body: &[u8]| {
                let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(&[head.as_bytes(), body].concat());
            };
            if path == "/m/list" {
                send("200 OK", list_of(&content).as_bytes());
                continue;
            }
            let mut seen = seen.lock().unwrap();
            let does = does.get(seen.len()).copied().unwrap_or(Does::Send);
            seen.push(from);
            let len = content.len();
            match does {
                _ if path != "/m/random.safetensors" => send("404 Not Found", b"no such file"),
                Does::Refuse => send("404 Not Found", b"no such file"),
                Does::SendMore => send("200 OK", &[&content[..], &[0; 100_000]].concat()),
                Does::Send if from > 0 => send(
                    &format!(
                        "206 Partial Content\r\ncontent-range: bytes {from}-{}/{len}\r\ncontent-length: {}",
                        len - 1,
                        len - from
                    ),
                    &content[from..],
                ),
                Does::Send | Does::SendAll => {
                    send(&format!("200 OK\r\ncontent-length: {len}"), &content)
                }
                Does::BreakOff => {
                    send(&format!("200 OK\r\ncontent-length: {len}"), &content[..len / 3])
                }
            }
        }
    });
    (url, asked)
}

fn curl_is_here() -> bool {
    let here = Command::new("curl").arg("--version").output().is_ok();
    if !here {
        eprintln!("skipped: no curl here");
    }
    here
}

#[test]
fn a_model_of_a_folder_is_checked_and_added() {
    let dir = Dir::new();
    let file = model();
    std::fs::create_dir(dir.path("far")).unwrap();
    dir.write("far/random.safetensors", &file);
    dir.write("far/list", list_of(&file).as_bytes());
    let said = string(run(&dir, &["--list", "far/list"]).ok());
    assert!(
        said.contains("shelf/random.safetensors") && said.contains("name      random"),
        "{said}"
    );
    assert!(dir.read("shelf/random.safetensors") == file);
    assert_eq!(std::fs::read_dir(dir.path("shelf")).unwrap().count(), 1);

    // What is there is not fetched again, and what is another file not replaced.
    dir.write("far/random.safetensors", b"other");
    assert!(string(run(&dir, &["--list", "far/list"]).ok()).contains("is there already"));
    dir.write("shelf/random.safetensors", b"mine");
    run(&dir, &["--list", "far/list"]).fails(1, &["is there, and is another file", "-f"]);
    run(&dir, &["--list", "far/list", "-f"])
        .fails(1, &["far/random.safetensors", "ended after 5 of"]);
    assert_eq!(dir.read("shelf/random.safetensors"), b"mine");
    let mut wrong = file.clone();
    *wrong.last_mut().unwrap() ^= 1;
    dir.write("far/random.safetensors", &wrong);
    run(&dir, &["--list", "far/list", "-f"]).fails(1, &["its BLAKE3 is", "not kept"]);
    dir.write("far/random.safetensors", &[&file[..], b"!"].concat());
    run(&dir, &["--list", "far/list", "-f"]).fails(1, &["is longer than the"]);
    std::fs::create_dir(dir.path("near")).unwrap();
    run(&dir, &["--list", "far/list", "-f", "--from", "near"])
        .fails(1, &["near/random.safetensors", "check the name"]);
    dir.write("near/random.safetensors", &file);
    run(&dir, &["--list", "far/list", "-f", "--from", "near"]).ok();
    assert!(dir.read("shelf/random.safetensors") == file);

    // A file that a list names is not kept because of that: it must be a model.
    dir.write("near/random.safetensors", b"no model");
    dir.write("list", list_of(b"no model").as_bytes());
    run(&dir, &["--list", "list", "-f", "--from", "near"]).fails(1, &["no safetensors file"]);
    assert!(dir.read("shelf/random.safetensors") == file);
}

#[test]
fn names_and_lists_that_are_wrong_are_named() {
    let dir = Dir::new();
    dir.write("list", b"a a.lmicp 3 what\n");
    run(&dir, &["--list", "list"]).fails(1, &["line 1 of the list"]);
    dir.write("list", list_of(b"abc").replace("random", "other").as_bytes());
    run(&dir, &["--list", "list"]).fails(1, &["random: not in the list, which has other"]);
    dir.write("list", b"");
    run(&dir, &["--list", "list"]).fails(1, &["names no models"]);
    run(&dir, &["--list", "missing"]).fails(1, &["missing", "check the name"]);
    dir.run(&["model", "fetch"]).fails(2, &["NAME"]);
    let help = string(dir.run(&["model", "fetch", "--help"]).ok());
    assert!(help.contains("Usage: lmic model fetch") && help.contains("Example"), "{help}");
    assert!(!dir.has("shelf"));
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    if !curl_is_here() {
        return;
    }
    let file = model();
    let third = file.len() / 3;
    for (second, asked_from) in [(Does::Send, vec![0, third]), (Does::SendAll, vec![0, third, 0])] {
        let dir = Dir::new();
        let (url, asked) = server(file.clone(), &[Does::BreakOff, second]);
        let list = format!("{url}/list?x=y/z");
        run(&dir, &["--list", &list]).fails(1, &[&url, "random.safetensors"]);
        assert!(!dir.has("shelf/random.safetensors"));
        let kept: Vec<_> =
            std::fs::read_dir(dir.path("shelf")).unwrap().map(|e| e.unwrap().path()).collect();
        let part = kept[0].join("random.safetensors");
        assert_eq!((kept.len(), part.metadata().unwrap().len()), (1, third as u64));
        #[cfg(unix)]
        for (path, mode) in [(&kept[0], 0o700), (&part, 0o600)] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode);
        }
        run(&dir, &["--list", &list]).ok();
        assert!(dir.read("shelf/random.safetensors") == file);
        assert_eq!(*asked.lock().unwrap(), asked_from);
        assert_eq!(std::fs::read_dir(dir.path("shelf")).unwrap().count(), 1);
    }
}

#[test]
fn what_was_kept_of_another_file_is_fetched_once_more() {
    if !curl_is_here() {
        return;
    }
    let (dir, file) = (Dir::new(), model());
    let (url, asked) = server(file.clone(), &[Does::BreakOff]);
    run(&dir, &["--list", &format!("{url}/list")]).fails(1, &["random.safetensors"]);
    let own = std::fs::read_dir(dir.path("shelf")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(own.join("random.safetensors"), vec![7; 100]).unwrap();
    run(&dir, &["--list", &format!("{url}/list")]).ok();
    assert!(dir.read("shelf/random.safetensors") == file);
    assert_eq!(*asked.lock().unwrap(), [0, 100, 0]);
}

#[test]
fn what_servers_do_wrong_is_one_clear_line() {
    if !curl_is_here() {
        return;
    }
    let (dir, file) = (Dir::new(), model());
    dir.write("list", list_of(&file).as_bytes());
    let fetch = |from: &str| run(&dir, &["--list", "list", "--from", from]);
    let (url, _) = server(file.clone(), &[Does::Refuse, Does::SendMore]);
    fetch(&url).fails(1, &["random.safetensors", "404"]);
    fetch(&url).fails(1, &["random.safetensors", "is longer than"]);
    let mut wrong = file.clone();
    wrong[file.len() - 1] ^= 1;
    let (url, asked) = server(wrong, &[]);
    fetch(&url).fails(1, &["random.safetensors", "its BLAKE3 is"]);
    assert_eq!(*asked.lock().unwrap(), [0]); // nothing of the longer file was kept
    // No server is behind an address of which the port is closed at once.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fetch(&format!("http://127.0.0.1:{port}")).fails(1, &["random.safetensors", "onnect"]);
    assert!(!dir.has("shelf/random.safetensors"));
    // Without curl.
    let mut command = dir.command(&["model", "fetch", "random", "--list", "list", "--from", &url]);
    command.env("LMIC_MODELS", dir.path("shelf")).env("PATH", dir.path("nowhere"));
    Run(command.output().unwrap()).fails(1, &["curl is needed", "lmic model add"]);
    #[cfg(target_os = "linux")]
    if std::path::Path::new("/dev/full").exists() {
        let own = format!("shelf/.fetch-{}", &blake3::hash(&file).to_hex()[..16]);
        std::fs::create_dir(dir.path(&own)).unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path(&own).join("random.safetensors")).unwrap();
        let (url, _) = server(file, &[]);
        fetch(&url).fails(1, &["disk is full", "free some space"]);
    }
}

/// Lines of strace with these calls, each with the number of its process first; `None` if it is not here.
#[cfg(target_os = "linux")]
fn traced(dir: &Dir, args: &[&str]) -> Option<Vec<(String, String)>> {
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-e",
        "trace=%network,execve,clone,clone3,fork,vfork",
        "-o",
        "trace",
    ]);
    strace.arg(env!("CARGO_BIN_EXE_lmic")).args(["model", "fetch", "random"]).args(args);
    strace.current_dir(dir.path("")).env("LMIC_MODELS", dir.path("shelf"));
    let Ok(output) = strace.output() else {
        eprintln!("skipped: no strace here");
        return None;
    };
    Run(output).ok();
    let trace = string(dir.read("trace"));
    Some(
        trace
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(a, b)| (a.into(), b.into()))
            .collect(),
    )
}

#[test]
#[cfg(target_os = "linux")]
fn only_curl_makes_sockets() {
    let is_socket = |call: &str| {
        ["socket(", "connect(", "bind("].iter().any(|name| call.trim().starts_with(name))
    };
    let (dir, file) = (Dir::new(), model());
    dir.write("random.safetensors", &file);
    dir.write("list", list_of(&file).as_bytes());
    let Some(calls) = traced(&dir, &["--list", "list"]) else { return };
    assert!(!calls.is_empty() && !calls.iter().any(|(_, call)| is_socket(call)), "{calls:?}");
    if !curl_is_here() {
        return;
    }
    let (url, _) = server(file, &[]);
    let Some(calls) = traced(&dir, &["-f", "--list", &format!("{url}/list")]) else { return };
    let mut curls = Vec::new();
    let mut sockets = 0;
    for (process, call) in &calls {
        if call.contains("execve(") && call.contains("\"curl\"") {
            curls.push(process.clone());
        }
        let is_curl = curls.contains(process);
        if let Some((_, child)) = call.split_once(" = ").filter(|_| is_curl && !is_socket(call)) {
            curls.push(child.trim().to_owned()); // a thread of curl
        }
        sockets += usize::from(is_socket(call));
        assert!(is_curl || !is_socket(call), "{process} {call}: {calls:?}");
    }
    assert!(sockets > 0, "{calls:?}");
}
