//! Blocks of one stream coded apart, as on many machines: the same bytes, and damage on the way is an error.

use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Models, SampleFormat};
use lmic::container::{CodedBlock, Planner, StreamWriter, Task};
use lmic::nn::{Network, Transformer};
use lmic::progress::Progress;
use lmic::records::{PrimeOptions, Primed};
use lmic::{DecodeOptions, EncodeOptions, Error, ErrorKind, compress_with};

use crate::support::{log_lines, noise, picture, taught, text, tiny_config};

static PRIMED: LazyLock<Arc<Primed>> = LazyLock::new(|| {
    let samples = log_lines(0, 400);
    let samples: Vec<&[u8]> = samples.split(|&byte| byte == b'\n').collect();
    Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(8), ..PrimeOptions::default() })
            .unwrap(),
    )
});

static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let weights = taught(&tiny_config(), "tiny", 1);
    Arc::new(Transformer::new(&weights).unwrap()).into()
});

fn options(level: u8, block_size: usize) -> EncodeOptions {
    EncodeOptions { level, block_size: Some(block_size), ..Default::default() }
}

/// What a worker has: all models, found by name.
fn worker() -> DecodeOptions {
    let models = Models::of(vec![NETWORK.clone()]).with_primed(|_| Ok(Some(Arc::clone(&PRIMED))));
    DecodeOptions { models, threads: 2, ..Default::default() }
}

/// The tasks of `content`, which comes in pieces.
fn plan(content: &[u8], options: &EncodeOptions) -> (Planner, Vec<Task>) {
    let mut planner = Planner::new(options.clone()).unwrap();
    let mut tasks = Vec::new();
    for mut piece in content.chunks(7919) {
        while let Some(task) = planner.take(&mut piece).unwrap() {
            tasks.push(task);
        }
    }
    tasks.extend(planner.finish().unwrap());
    (planner, tasks)
}

fn code(task: &Task) -> Result<CodedBlock, Error> {
    let task = Task::from_bytes(&task.to_bytes())?;
    let block = task.encode(&worker(), &Progress::default())?;
    CodedBlock::from_bytes(&block.to_bytes())
}

/// Coded apart, the last block first, it is the archive of an encoder.
fn check(content: &[u8], options: EncodeOptions) -> usize {
    let (planner, tasks) = plan(content, &options);
    let mut blocks: Vec<_> = tasks.iter().rev().map(|task| code(task).unwrap()).collect();
    blocks.reverse();
    let mut writer = StreamWriter::new(Vec::new(), &planner);
    blocks.iter().for_each(|block| writer.write(block).unwrap());
    let archive = writer.finish(planner.content_hash()).unwrap();
    assert!(archive == compress_with(content, &options).unwrap(), "{} bytes", content.len());
    blocks.len()
}

#[test]
fn blocks_that_are_coded_apart_are_the_archive_of_an_encoder() {
    for (len, blocks) in [(0, 1), (1, 1), (4096, 1), (4097, 2), (100_000, 25)] {
        assert_eq!(check(&text(len), options(1, 4096)), blocks, "{len}");
    }
    check(&noise(20_000), options(2, 4096));
    check(&text(60_000), options(6, 30_000));
    // Copies within blocks, and of earlier ones.
    check(&[log_lines(0, 300), noise(3000)].concat().repeat(4), options(3, 10_000));
    // A header, rows of samples, and bytes behind them.
    let image = [b"P6\n60 50\n255\n".to_vec(), picture(60, 50, 3), text(500)].concat();
    assert!(check(&image, options(4, 4096)) > 3);
    let gray = Content::Samples(SampleFormat::Gray { row: 50 });
    check(&picture(50, 90, 1), EncodeOptions { content: Some(gray), ..options(5, 1024) });
}

#[test]
fn models_are_found_where_a_block_is_coded() {
    let primed = Some(("logs".into(), Arc::clone(&PRIMED)));
    for (level, records) in [(1, true), (4, false), (5, false)] {
        let options = EncodeOptions { primed: primed.clone(), records, ..options(level, 5000) };
        assert!(check(&log_lines(100, 600), options) > 3);
    }
    for alone in [false, true] {
        let model = Some(NETWORK.clone());
        let options = EncodeOptions { model, alone, ..options(7, 2000) };
        check(&text(5000), options.clone());
        let (_, tasks) = plan(&text(5000), &options);
        let without = tasks[0].clone().encode(&DecodeOptions::default(), &Progress::default());
        assert_eq!(without.unwrap_err().kind(), ErrorKind::WrongModel);
    }
}

#[test]
fn a_task_that_does_not_fit_into_memory_is_refused() {
    let (_, tasks) = plan(&text(5000), &options(5, 5000));
    let options = DecodeOptions { memory_limit: Some(10_000), ..worker() };
    let error = tasks[0].clone().encode(&options, &Progress::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
}

#[test]
fn a_task_that_is_stopped_gives_no_block() {
    let (_, tasks) = plan(&text(5000), &options(1, 5000));
    let progress = Progress::default();
    progress.stop();
    tasks[0].clone().encode(&worker(), &progress).unwrap_err();
}

#[test]
fn a_stream_has_all_of_its_blocks_in_order() {
    let (planner, tasks) = plan(&text(10_000), &options(1, 4000));
    let blocks: Vec<_> = tasks.iter().map(|task| code(task).unwrap()).collect();
    let new = || StreamWriter::new(Vec::new(), &planner);
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    let mut writer = new();
    assert_eq!(kind(writer.write(&blocks[1])), ErrorKind::InvalidArgument);
    writer.write(&blocks[0]).unwrap();
    assert_eq!(kind(writer.write(&blocks[0])), ErrorKind::InvalidArgument);
    assert_eq!(kind(writer.finish([0; 16]).map(drop)), ErrorKind::InvalidArgument);
    let (_, others) = plan(&text(10_000), &options(1, 4000));
    assert_eq!(kind(new().write(&code(&others[0]).unwrap())), ErrorKind::InvalidArgument);
    let mut writer = new();
    blocks.iter().for_each(|block| writer.write(block).unwrap());
    assert_eq!(kind(writer.write(&blocks[2])), ErrorKind::InvalidArgument);
    let mut planner = planner;
    planner.finish().unwrap_err();
    planner.take(&mut &b"more"[..]).unwrap_err();
}

#[test]
fn every_damage_on_the_way_is_an_error() {
    let (_, tasks) = plan(&[log_lines(0, 60), log_lines(0, 60)].concat(), &options(1, 5000));
    let task = tasks[0].to_bytes();
    let block = code(&tasks[0]).unwrap().to_bytes();
    Task::from_bytes(&block).unwrap_err();
    CodedBlock::from_bytes(&task).unwrap_err();
    for (good, is_read) in [
        (task, (|bytes| Task::from_bytes(bytes).is_ok()) as fn(&[u8]) -> bool),
        (block, |bytes| CodedBlock::from_bytes(bytes).is_ok()),
    ] {
        assert!(is_read(&good));
        (0..good.len()).for_each(|len| assert!(!is_read(&good[..len]), "cut at {len}"));
        let mut bad = good.clone();
        for i in 0..good.len() {
            bad[i] ^= 1 << (i % 8);
            assert!(!is_read(&bad), "byte {i}");
            bad[i] = good[i];
        }
        assert!(!is_read(&[good, vec![0]].concat()));
    }
}

#[test]
fn a_planner_that_could_not_take_a_part_takes_nothing_more() {
    let options = EncodeOptions { memory_limit: Some(1000), ..options(1, 4000) };
    let mut planner = Planner::new(options).unwrap();
    let kind = |error: Error| error.kind();
    assert_eq!(kind(planner.take(&mut &text(10_000)[..]).unwrap_err()), ErrorKind::MemoryLimit);
    assert_eq!(kind(planner.take(&mut &b"more"[..]).unwrap_err()), ErrorKind::InvalidArgument);
    assert_eq!(kind(planner.finish().unwrap_err()), ErrorKind::InvalidArgument);
}
