//! What data cost in bits under a model, and what it makes of a beginning.

use std::sync::Arc;

use lmic::draw::{self, Choice};
use lmic::nn::{TokenModel, Windows};
use lmic::progress::Progress;
use lmic::score as of_bytes;
use lmic::{EncodeOptions, parallel};
use lmic_llama::{Llama, ScoreOptions};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict};

use crate::errors::exception;
use crate::models::checkpoint;
use crate::options::{Keywords, number};
use crate::text::{Text, texts};
use crate::work::run_long;

/// What scores.
enum Scorer {
    /// A model of bytes.
    Bytes(EncodeOptions),
    /// A checkpoint, which has tokens of its own.
    Tokens(Arc<Llama>, ScoreOptions),
}

impl Scorer {
    fn new(level: Option<u8>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut keywords = Keywords::new(options)?;
        let encode = keywords.encode_options(level)?;
        let scorer = match encode.model.as_ref().and_then(checkpoint) {
            None => Self::Bytes(encode),
            Some(model) => {
                let options = token_options(&mut keywords, &model, &encode)?;
                Self::Tokens(model, options)
            }
        };
        keywords.finish()?;
        Ok(scorer)
    }

    /// The bits of each text.
    fn bits(&self, texts: &[&[u8]], progress: &Progress) -> lmic::Result<Vec<f64>> {
        let (model, options) = match self {
            Self::Bytes(options) => return of_bytes::bits(options, texts, progress),
            Self::Tokens(model, options) => (model, options),
        };
        // A text alone is scored on all threads, several are side by side.
        let threads = if texts.len() == 1 { options.threads } else { 1 };
        let options = ScoreOptions { threads, ..*options };
        let bits = |text: &&[u8]| match progress.is_stopped() {
            true => 0.0,
            false => model.score(text, &options, progress).bits,
        };
        Ok(parallel::map(texts, self.threads(), bits))
    }

    fn byte_costs(&self, data: &[u8], progress: &Progress) -> lmic::Result<Vec<f64>> {
        match self {
            Self::Bytes(options) => of_bytes::byte_costs(options, data, progress),
            Self::Tokens(model, options) => Ok(model.byte_costs(data, options, progress)),
        }
    }

    fn threads(&self) -> usize {
        match self {
            Self::Bytes(options) => options.threads,
            Self::Tokens(_, options) => options.threads,
        }
    }
}

/// As `lmic model score` has them.
fn token_options(
    keywords: &mut Keywords<'_>,
    model: &Llama,
    encode: &EncodeOptions,
) -> PyResult<ScoreOptions> {
    let windows = Windows { lanes: 1, ..encode.windows.unwrap_or(model.windows()) };
    windows.validate().map_err(exception)?;
    if windows.context as usize > model.context() {
        let message =
            format!("a context of {}; the model has {}", windows.context, model.context());
        return Err(crate::errors::invalid(message));
    }
    let defaults = ScoreOptions::default();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Ok(ScoreOptions {
        windows: Some(windows),
        chunk: keywords.take("chunk")?.unwrap_or(defaults.chunk),
        as_coded: keywords.take("as_coded")?.unwrap_or(defaults.as_coded),
        threads: if encode.threads == 0 { cores() } else { encode.threads },
        ..defaults
    })
}

/// Bits per byte of `data` (bytes, or text as UTF-8) under a model: `-log2` of its probability, divided by its length. Of nothing it is 0.
///
/// The model is that of `level`, of `model` (with `alone=True` without context mixing) or of `primed`, as `compress` has them. It is an
/// estimate: no code is made, copies are not looked for, and all of it is taken as bytes. Data longer than a block are scored block by
/// block.
///
/// A checkpoint with tokens of its own scores as `lmic model score`, and takes its options: `context` and `overlap` of its windows in
/// tokens, `chunk` (bytes that are scored alone, 65536), `as_coded=True` to leave out tokens that stand for nothing, as codes do.
///
/// >>> import lmic
/// >>> lmic.score("to be or not to be") < lmic.score("q7Gx/0vYk2+RmZp9sL")
/// True
#[pyfunction]
#[pyo3(signature = (data, level = None, **options))]
pub fn score(
    py: Python<'_>,
    data: Text,
    #[pyo3(from_py_with = number)] level: Option<u8>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<f64> {
    let scorer = Scorer::new(level, options)?;
    let bits = run_watched(py, |progress| scorer.bits(&[&data], progress))?;
    Ok(per_byte(bits[0], &data))
}

/// Bits per byte of each of many texts, alone, as `score` has them: on all threads, with the model loaded once. For filtering corpora.
///
/// >>> import lmic
/// >>> said, noise = lmic.score_batch(["to be or not to be", b"q7Gx/0vYk2+RmZp9sL"], level=6)
/// >>> said < noise
/// True
#[pyfunction]
#[pyo3(signature = (texts, level = None, **options))]
pub fn score_batch(
    py: Python<'_>,
    #[pyo3(from_py_with = texts)] texts: Vec<Text>,
    #[pyo3(from_py_with = number)] level: Option<u8>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Vec<f64>> {
    let scorer = Scorer::new(level, options)?;
    let bits = run_watched(py, |progress| {
        let texts: Vec<&[u8]> = texts.iter().map(|text| &**text).collect();
        scorer.bits(&texts, progress)
    })?;
    Ok(bits.into_iter().zip(&texts).map(|(bits, text)| per_byte(bits, text)).collect())
}

/// Bits a byte; of nothing, 0.
fn per_byte(bits: f64, data: &[u8]) -> f64 {
    bits / data.len().max(1) as f64
}

/// What each byte of `data` costs in bits, as a numpy array of float64: `-log2` of its probability. They add up to what `score` says;
/// options are the same. All bytes of a checkpoint's token cost the same, their part of what the token does. Needs numpy.
///
/// >>> import lmic
/// >>> costs = lmic.byte_costs(b"to be or not to be", level=3)
/// >>> costs.shape, costs.dtype
/// ((18,), dtype('float64'))
/// >>> bool(costs[-3:].mean() < costs[:3].mean())
/// True
#[pyfunction]
#[pyo3(signature = (data, level = None, **options))]
pub fn byte_costs<'py>(
    py: Python<'py>,
    data: Text,
    #[pyo3(from_py_with = number)] level: Option<u8>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let scorer = Scorer::new(level, options)?;
    let costs = run_watched(py, |progress| scorer.byte_costs(&data, progress))?;
    let memory: Vec<u8> = costs.into_iter().flat_map(f64::to_ne_bytes).collect();
    py.import("numpy")?.call_method1("frombuffer", (PyByteArray::new(py, &memory), "f8"))
}

/// What each token of `data` costs under a checkpoint: a list of its bytes and its bits. Options are those of `score`. A token may be a
/// single byte that the model has no token for, which costs the escape and 8 bits more.
#[pyfunction]
#[pyo3(signature = (data, model, **options))]
pub fn token_costs<'py>(
    py: Python<'py>,
    data: Text,
    model: Bound<'py, PyAny>,
    options: Option<Bound<'py, PyDict>>,
) -> PyResult<Vec<(Bound<'py, PyBytes>, f64)>> {
    let options = options.unwrap_or_else(|| PyDict::new(py));
    options.set_item("model", model)?;
    let Scorer::Tokens(model, options) = Scorer::new(None, Some(&options))? else {
        return Err(crate::errors::invalid("a model of bytes has no tokens"));
    };
    let costs = run_watched(py, |progress| Ok(model.token_costs(&data, &options, progress)))?;
    let mut at = 0;
    let piece = |cost: lmic_llama::TokenCost| {
        let piece = PyBytes::new(py, &data[at..at + cost.len]);
        at += cost.len;
        (piece, cost.bits)
    };
    Ok(costs.into_iter().map(piece).collect())
}

/// `length` bytes behind `prompt`, each drawn by the model's probability. The same seed draws the same.
///
/// Below a `temperature` of 1 the likely becomes likelier, and `greedy=True` always takes the likeliest. The model is that of `level`,
/// `model` or `primed`, as `compress` has them. Of a long prompt the end counts: with the networks of levels 6 to 9, prompt and text
/// have at most 64 KiB together, with others 1 MB.
///
/// >>> import lmic
/// >>> lmic.generate(b"to be or not " * 8, 8, level=3, greedy=True)
/// b'to be or'
#[pyfunction]
#[pyo3(signature = (
    prompt = Text(Vec::new()), length = 200, *, seed = 1, temperature = 1.0, greedy = false, level = None, **options
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub fn generate<'py>(
    py: Python<'py>,
    prompt: Text,
    #[pyo3(from_py_with = number)] length: usize,
    #[pyo3(from_py_with = number)] seed: u64,
    temperature: f64,
    greedy: bool,
    #[pyo3(from_py_with = number)] level: Option<u8>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut keywords = Keywords::new(options)?;
    let options = keywords.encode_options(level)?;
    keywords.finish()?;
    let choice = Choice { temperature, greedy, seed };
    let model = options.model.as_ref().and_then(checkpoint);
    let text = run_watched(py, |progress| match model {
        Some(model) => {
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            let threads = if options.threads == 0 { cores() } else { options.threads };
            model.generate(&prompt, length, choice, threads, progress)
        }
        None => draw::generate(&options, &prompt, length, choice, progress),
    })?;
    Ok(PyBytes::new(py, &text))
}

/// Runs work that a signal stops.
fn run_watched<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Progress) -> lmic::Result<T> + Send,
) -> PyResult<T> {
    let progress = Progress::default();
    run_long(py, &progress, || work(&progress))
}
