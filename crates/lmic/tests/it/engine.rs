//! Engines from outside of the library: they stand behind blocks of every kind that has a network, and change no bit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use lmic::block::{Content, Models};
use lmic::nn::{Engine, Engines, Feed, Network, Streams, Transformer, Windows};
use lmic::records::{PrimeOptions, Primed};
use lmic::{DecodeOptions, EncodeOptions, compress_with, decompress_with};

use crate::support::{log_lines, taught, text, tiny_config};

static MODEL: LazyLock<Arc<Transformer>> =
    LazyLock::new(|| Arc::new(Transformer::new(&taught(&tiny_config(), "tiny", 1)).unwrap()));

static STATE: LazyLock<Arc<Primed>> = LazyLock::new(|| {
    let samples = log_lines(0, 300);
    let samples: Vec<_> = samples.split_inclusive(|&byte| byte == b'\n').collect();
    Arc::new(
        Primed::learn(&samples, &PrimeOptions { table_bits: Some(10), ..PrimeOptions::default() })
            .unwrap(),
    )
});

/// As slow as an engine can be: each stream alone, symbol by symbol.
#[derive(Debug)]
struct OneByOne {
    cpu: Arc<dyn Engine>,
    fed: Arc<AtomicUsize>,
}

struct Alone<'a> {
    streams: Vec<Box<dyn Streams + 'a>>,
    weights: Vec<[f32; 256]>,
    fed: &'a AtomicUsize,
}

impl Engine for OneByOne {
    fn streams(&self, count: usize) -> Box<dyn Streams + '_> {
        let streams = (0..count).map(|_| self.cpu.streams(1)).collect();
        Box::new(Alone { streams, weights: Vec::new(), fed: &self.fed })
    }

    fn stream_bytes(&self, len: usize) -> u64 {
        self.cpu.stream_bytes(len)
    }

    fn workspace_bytes(&self, rows: usize) -> u64 {
        self.cpu.workspace_bytes(rows)
    }
}

impl Streams for Alone<'_> {
    fn reset(&mut self) {
        self.streams.iter_mut().for_each(|stream| stream.reset());
    }

    fn begin(&mut self, feeds: &[Feed<'_>]) {
        self.weights.clear();
        for (stream, feed) in self.streams.iter_mut().zip(feeds) {
            let unwanted = feed.symbols.len() - feed.wanted;
            for (i, symbol) in feed.symbols.iter().enumerate() {
                let symbols = std::slice::from_ref(symbol);
                let wanted = usize::from(i >= unwanted);
                self.weights.extend_from_slice(stream.feed(&[Feed { symbols, wanted }]));
                self.fed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn finish(&mut self) -> &[[f32; 256]] {
        &self.weights
    }
}

/// The engine, and how many symbols were fed to it.
fn one_by_one() -> (Engines, Arc<AtomicUsize>) {
    let fed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fed);
    let engines = Engines::found_by(move |network: &Network, windows| {
        Some(Arc::new(OneByOne { cpu: network.engine(windows)?, fed: Arc::clone(&count) }))
    });
    (engines, fed)
}

#[test]
fn an_engine_from_outside_codes_and_decodes_the_bits_of_the_cpu() {
    let told = || EncodeOptions { content: Some(Content::Bytes), threads: 1, ..Default::default() };
    let windows = Some(Windows { context: 24, overlap: 6, lanes: 3 });
    let model = || Some(Network::from(Arc::clone(&MODEL)));
    let cases = [
        ("a network of the library", EncodeOptions { level: 6, ..told() }),
        ("a transformer in a mix", EncodeOptions { model: model(), windows, ..told() }),
        ("a transformer alone", EncodeOptions { model: model(), windows, alone: true, ..told() }),
        (
            "a primed state and a network",
            EncodeOptions { level: 6, primed: Some(("s".into(), Arc::clone(&STATE))), ..told() },
        ),
    ];
    let data = text(700);
    let models =
        || Models::of(vec![Arc::clone(&MODEL)]).with_primed(|_| Ok(Some(Arc::clone(&STATE))));
    for (case, options) in cases {
        let archive = compress_with(&data, &options).unwrap();
        let (engines, fed) = one_by_one();
        let with = EncodeOptions { engines: engines.clone(), ..options };
        assert!(compress_with(&data, &with).unwrap() == archive, "{case}");
        let encoding = fed.swap(0, Ordering::Relaxed);
        assert!(encoding >= data.len(), "{case}: {encoding} symbols");
        let options = DecodeOptions { models: models().run_by(engines), ..Default::default() };
        assert!(decompress_with(&archive, &options).unwrap() == data, "{case}");
        // A mix's decoder asks one step ahead of the end, never less than there is.
        assert!(fed.load(Ordering::Relaxed) >= data.len(), "{case}");
    }
}
