//! Files as they are found: blobs without extensions, parts of models, and what lies in the place of a file. An error says what
//! is wrong, names it, and does not call damaged what is whole.

use std::fs;
use std::path::Path;

use lmic::ErrorKind;
use lmic::nn::TokenModel;
use lmic_llama::Llama;
use tempfile::{TempDir, tempdir};

use crate::gguf::Gguf;
use crate::hostile::copy;
use crate::support::{FILES, k_quants, open, path};

fn gguf(name: &str) -> Gguf {
    Gguf::of(&fs::read(path(name)).unwrap())
}

fn opened(bytes: Vec<u8>) -> Llama {
    Llama::from_gguf(bytes).unwrap()
}

/// The message of a model that cannot be opened; it may not call anything damaged.
#[track_caller]
fn refused(path: &Path) -> String {
    let error = Llama::open(path).expect_err("opened");
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Io), "{error}");
    error.to_string()
}

/// Parts of a fixture in a folder, called `big`.
fn parts(count: u16, first: usize) -> TempDir {
    let folder = tempdir().unwrap();
    for (i, part) in gguf("llama-q8_0.gguf").split(count, first).iter().enumerate() {
        let name = format!("big-{:05}-of-{count:05}.gguf", i + 1);
        fs::write(folder.path().join(name), part).unwrap();
    }
    folder
}

#[test]
fn a_split_model_is_the_whole_one_whichever_part_is_named() {
    let whole = open("llama-q8_0.gguf");
    for (count, first) in [(2, 0), (3, 1), (22, 0)] {
        let folder = parts(count, first);
        for number in [1, count] {
            let part = folder.path().join(format!("big-{number:05}-of-{count:05}.gguf"));
            let model = Llama::open(&part).unwrap();
            assert_eq!((model.name(), model.facts().files), ("big", usize::from(count)));
            assert_eq!(model.identity(), whole.identity());
            assert_eq!(model.logits(&[0, 5, 7], 1), whole.logits(&[0, 5, 7], 1));
        }
    }
}

#[test]
fn parts_that_are_missing_or_not_parts_of_one_are_named() {
    let folder = parts(3, 0);
    let part = |number: u32| folder.path().join(format!("big-{number:05}-of-00003.gguf"));
    let bytes = |number: u32| fs::read(part(number)).unwrap();
    let third = bytes(3);
    fs::remove_file(part(3)).unwrap();
    let message = refused(&part(1));
    assert!(message.contains("part 3 is missing: big-00003-of-00003.gguf"), "{message}");
    fs::write(part(3), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    let message = refused(&part(1));
    assert!(message.contains("big-00003-of-00003.gguf: is a Git LFS pointer"), "{message}");
    fs::write(part(3), &third[..third.len() - 40]).unwrap();
    let error = Llama::open(&part(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    assert!(error.to_string().contains("part 3 of 3: ends at byte"), "{error}");
    fs::write(part(3), bytes(2)).unwrap();
    let error = Llama::open(&part(1)).unwrap_err();
    assert!(error.to_string().contains("part 3 of 3 says that it is part 2 of 3"), "{error}");
    fs::write(part(3), third).unwrap();
    Llama::open(&part(2)).unwrap();

    let blob = folder.path().join("sha256-0123");
    fs::rename(part(2), &blob).unwrap();
    let message = refused(&blob);
    assert!(message.contains("is part 2 of 3") && message.contains("NAME-00002-of-00003.gguf"));
    let error = Llama::from_gguf(fs::read(blob).unwrap()).unwrap_err();
    assert!(error.to_string().contains("split into 3"), "{error}");
}

#[test]
fn a_file_is_gguf_by_what_it_holds_and_is_called_as_it_is() {
    let folder = tempdir().unwrap();
    for (file, name) in [
        ("sha256-0123abcd", "sha256-0123abcd"),
        ("Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ("a.b.GGUF", "a.b"),
        ("wrong.safetensors", "wrong.safetensors"),
    ] {
        let file = folder.path().join(file);
        fs::copy(path("llama-q8_0.gguf"), &file).unwrap();
        assert!(Llama::describes(&file));
        assert_eq!(Llama::open(&file).unwrap().name(), name);
    }
    let long = folder.path().join("x".repeat(100));
    fs::copy(path("llama-q8_0.gguf"), &long).unwrap();
    assert_eq!(Llama::open(&long).unwrap().name(), "x".repeat(64));
    // A link is called as the link: what it leads to is a number in a store.
    #[cfg(unix)]
    {
        let link = folder.path().join("nice.gguf");
        std::os::unix::fs::symlink(long, &link).unwrap();
        assert_eq!(Llama::open(&link).unwrap().name(), "nice");
    }
    let text = folder.path().join("text.gguf");
    fs::write(&text, "no model").unwrap();
    assert!(!Llama::describes(&text) && refused(&text).contains("is no GGUF file"));
}

#[test]
fn where_no_start_token_is_named_it_is_that_of_llama_cpp() {
    const BOS: &str = "tokenizer.ggml.bos_token_id";
    const EOS: &str = "tokenizer.ggml.eos_token_id";
    let identity = |file: Gguf| opened(file.to_bytes()).identity();
    // SentencePiece: 1, whatever ends a text.
    let file = gguf("gemma2-q8_0.gguf");
    let [first, second] = [1, 2].map(|bos| identity(file.clone().with_u32(BOS, bos)));
    assert_ne!(first, second);
    assert_eq!(identity(file.clone().without(BOS)), first);
    assert_eq!(identity(file.clone().without(BOS).with_u32(EOS, 7)), first);
    assert_eq!(identity(file.without(BOS).without(EOS)), first);
    // Byte level: what ends a text, as nothing stands before it; else 11.
    let file = gguf("llama-q8_0.gguf").without(BOS);
    let named = |bos| identity(file.clone().with_u32(BOS, bos));
    assert_eq!(identity(file.clone()), named(1));
    assert_eq!(identity(file.clone().without(EOS)), named(11));
    // A number that is no token is none.
    assert_eq!(identity(file.clone().with_u32(BOS, u32::MAX)), named(1));
}

#[test]
fn numbers_that_are_none_are_refused_with_the_name_of_their_tensor() {
    let infinite = |format: u32| match format {
        0 => (0, vec![0, 0, 0x80, 0xff]),
        1 => (0, vec![0, 0x7c]),
        14 => (208, vec![0xff, 0x7f]),
        12 => (2, vec![0, 0xfc]),
        30 => (0, vec![0x80, 0x7f]),
        _ => (0, vec![1, 0x7c]),
    };
    let mut seen = Vec::new();
    let files = FILES.map(gguf).into_iter().chain([Gguf::of(&k_quants())]);
    for file in files {
        for i in 0..file.tensors.len() {
            let format = file.tensors[i].format;
            if file.tensors[i].name == "rope_freqs.weight" // a factor out of its range
                || file.tensors[..i].iter().any(|tensor| tensor.format == format)
            {
                continue;
            }
            let mut bad = file.clone();
            let tensor = &mut bad.tensors[i];
            let (at, bytes) = infinite(tensor.format);
            tensor.data[at..at + bytes.len()].copy_from_slice(&bytes);
            let name = tensor.name.clone();
            seen.push(format);
            let error = Llama::from_gguf(bad.to_bytes()).unwrap_err().to_string();
            assert!(error.contains(&name) && error.contains("NaN or infinite"), "{error}");
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 8, 12, 14, 30], "all formats");

    let folder = copy("llama");
    let file = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].fill(0xff);
    fs::write(file, bytes).unwrap();
    let error = Llama::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("tensor model.") && error.contains("NaN or infinite"), "{error}");
}

#[test]
fn what_lies_in_the_place_of_a_file_is_said() {
    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        for (content, says) in [
            (POINTER, "is a Git LFS pointer"),
            ("", "is empty"),
            ("<!DOCTYPE html>\n<html>", "is a web page"),
            ("Entry not found", "is a server's error message"),
        ] {
            let folder = copy("llama");
            fs::write(folder.path().join(file), content).unwrap();
            let message = refused(folder.path());
            assert!(message.contains(&format!("{file}: {says}")), "{message}");
        }
    }
    let folder = tempdir().unwrap();
    for (content, says) in [
        (&b"PK\x03\x04archive/data.pkl"[..], "PyTorch"),
        (b"\x80\x02}q\0.", "PyTorch"),
        (b"", "is empty"),
        (b"tjgg\x03\0\0\0", "before GGUF"),
        (b"\xb1LMP\x01", "is a primed state"),
        (b"\xb1LMC\x01", "is an archive of lmic"),
        (b"\x1f\x8b\x08\0", "unpack it"),
    ] {
        let file = folder.path().join("model.gguf");
        fs::write(&file, content).unwrap();
        let message = refused(&file);
        assert!(message.contains(says), "{message}");
    }
    assert!(refused(&path("llama/model.safetensors")).contains("folder"));
}

#[test]
fn what_a_folder_lacks_is_named() {
    let without = |name: &str, files: &[&str], others: &[&str]| {
        let folder = copy(name);
        files.iter().for_each(|file| fs::remove_file(folder.path().join(file)).unwrap());
        others.iter().for_each(|file| fs::write(folder.path().join(file), "x").unwrap());
        refused(folder.path())
    };
    let tokenizer = ["tokenizer.json"];
    let message = without("llama", &tokenizer, &["tokenizer.model"]);
    assert!(message.contains("tokenizer.json is missing, and tokenizer.model"), "{message}");
    assert!(without("llama", &tokenizer, &[]).contains("tokenizer.json is missing, which"));
    assert!(without("llama", &["config.json"], &[]).contains("config.json is missing"));
    let weights = ["model.safetensors"];
    assert!(without("llama", &weights, &[]).contains("has no model.safetensors"));
    assert!(without("llama", &weights, &["pytorch_model.bin"]).contains("pytorch_model.bin"));
    assert!(without("llama", &weights, &["adapter_config.json"]).contains("adapter"));
    let both = ["model.safetensors", "config.json"];
    assert!(without("llama", &both, &["a.gguf"]).contains("name the file: a.gguf"));
    let second = "model-00002-of-00002.safetensors";
    let message = without("qwen3", &[second], &[]);
    assert!(message.contains("1 of the 2 files") && message.contains(second), "{message}");
    let message = without("qwen3", &["model-00001-of-00002.safetensors", second], &[]);
    assert!(message.contains("2 of the 2 files"), "{message}");
}

#[test]
fn whole_files_of_other_kinds_are_not_called_damaged() {
    let file = gguf("llama-q8_0.gguf");
    let vocabulary = Gguf { tensors: Vec::new(), ..file.clone() };
    let mut other_format = file.clone();
    other_format.tensors[0].format = 13;
    let cases = [
        (file.clone().with_text("general.architecture", "clip"), "general.architecture is clip"),
        (file.clone().without("general.architecture"), "no key general.architecture"),
        (file.clone().with_text("general.type", "adapter"), "general.type is adapter"),
        (file.clone().with_text("tokenizer.ggml.model", "bert"), "tokenizer.ggml.model is bert"),
        (vocabulary, "has no tensors"),
        (other_format, "has the format Q5_K 13"),
        (Gguf { version: 1, ..file.clone() }, "GGUF version 1"),
        (Gguf { version: 3 << 24, ..file.clone() }, "big-endian"),
    ];
    for (file, says) in cases {
        let error = Llama::from_gguf(file.to_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    opened(file.clone().with_text("general.type", "model").to_bytes());
    let newer = Gguf { version: 4, ..file.clone() };
    let error = Llama::from_gguf(newer.to_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NeedsNewer, "{error}");

    let whole = file.to_bytes();
    let error = Llama::from_gguf(whole[..30_000].to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Truncated);
    // 51360 with what fills it up.
    assert!(error.to_string().contains("ends at byte 30000 of the 513"), "{error}");
}
