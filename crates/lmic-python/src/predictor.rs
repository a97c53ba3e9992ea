//! Predictors written in Python as compressors, and the library's as predictors in Python.
//!
//! The walk of `lmic::walk`, over symbols of any alphabet, and with methods that may raise. What they say is quantised by the
//! library: bytes as `lmic::walk` has them, tokens as the checkpoints of `lmic-llama`.

use std::sync::{Arc, Mutex, PoisonError};

use lmic::coder::{Coder, RangeDecoder, RangeEncoder};
use lmic::nn::{Engine, Feed, Network, START_SYMBOL, Streams};
use lmic::predict::Predictor as _;
use lmic::quantize::{Cdf, Symbols};
use lmic::walk::{CodeLength, Sampler};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use self_cell::self_cell;

use crate::errors::{exception, invalid};
use crate::models::ModelArgument;
use crate::options::{finder, number};
use crate::text::Code;

/// Most symbols of an alphabet, as `Symbols::quantize` has it.
const MAX_VOCABULARY: usize = (1 << 19) - 1;

/// A predictor of Python that is walked.
struct Walk<'py> {
    predict: Bound<'py, PyAny>,
    update: Bound<'py, PyAny>,
    /// Makes the memory of an array of float32 of what `predict` gives.
    weights: Bound<'py, PyAny>,
    /// `None` is bytes.
    vocabulary: Option<usize>,
    symbols: Symbols,
}

impl<'py> Walk<'py> {
    fn new(predictor: &Bound<'py, PyAny>, vocabulary: Option<usize>) -> PyResult<Self> {
        if let Some(size) = vocabulary
            && !(1..=MAX_VOCABULARY).contains(&size)
        {
            return Err(invalid(format!("a vocabulary of {size}; 1 to {MAX_VOCABULARY} allowed")));
        }
        Ok(Self {
            predict: predictor.getattr("predict")?,
            update: predictor.getattr("update")?,
            weights: predictor.py().import("lmic.predict")?.getattr("_weights")?,
            vocabulary,
            symbols: Symbols::default(),
        })
    }

    /// Codes `symbols`.
    fn walk(&mut self, coder: &mut impl Coder, symbols: &[u32]) -> PyResult<()> {
        symbols
            .iter()
            .enumerate()
            .try_for_each(|(at, &symbol)| self.step(coder, at, symbol).map(drop))
    }

    /// So many symbols that the coder finds. Memory is taken as they come: the number is whatever somebody says.
    fn find(&mut self, coder: &mut impl Coder, length: usize) -> PyResult<Vec<u32>> {
        (0..length).map(|at| self.step(coder, at, 0)).collect()
    }

    /// Codes one symbol; returns it.
    fn step(&mut self, coder: &mut impl Coder, at: usize, symbol: u32) -> PyResult<u32> {
        self.predict.py().check_signals()?;
        coder.begin(at);
        let weights = self.weights(at)?;
        let symbol = match self.vocabulary {
            None => {
                let weights = weights.as_slice().try_into().expect("256 were checked");
                coder.byte(&Cdf::quantize(weights), symbol as u8).into()
            }
            Some(_) => {
                self.symbols.quantize(&weights, 0);
                coder.symbol(&self.symbols, symbol as usize) as u32
            }
        };
        self.update.call1((symbol,))?;
        Ok(symbol)
    }

    /// What the predictor says of the symbol at `at`, checked.
    fn weights(&self, at: usize) -> PyResult<Vec<f32>> {
        let said = self.weights.call1((self.predict.call0()?,))?;
        let bytes = said.cast::<PyBytes>()?.as_bytes();
        let weights: Vec<f32> =
            bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect();
        let (found, wanted) = (weights.len(), self.vocabulary.unwrap_or(256));
        if found != wanted {
            return Err(invalid(format!(
                "predict() gave {found} numbers before symbol {at}; {wanted} are needed"
            )));
        }
        let is_wrong = |weight: &f32| !(*weight >= 0.0 && weight.is_finite());
        if let Some(symbol) = weights.iter().position(is_wrong) {
            let weight = weights[symbol];
            return Err(invalid(format!(
                "predict() gave {weight} for {symbol} before symbol {at}, which is no probability"
            )));
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err(invalid(format!("predict() gave only zeros before symbol {at}")));
        }
        Ok(weights)
    }
}

#[pyfunction]
pub fn predictor_encode<'py>(
    predictor: &Bound<'py, PyAny>,
    symbols: Vec<u32>,
    vocabulary: Option<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    check(&symbols, vocabulary)?;
    let mut coder = RangeEncoder::new();
    Walk::new(predictor, vocabulary)?.walk(&mut coder, &symbols)?;
    Ok(PyBytes::new(predictor.py(), &coder.finish()))
}

#[pyfunction]
pub fn predictor_decode(
    predictor: &Bound<'_, PyAny>,
    code: Code,
    #[pyo3(from_py_with = number)] length: usize,
    vocabulary: Option<usize>,
) -> PyResult<Vec<u32>> {
    Walk::new(predictor, vocabulary)?.find(&mut RangeDecoder::new(&code), length)
}

#[pyfunction]
pub fn predictor_code_length(
    predictor: &Bound<'_, PyAny>,
    symbols: Vec<u32>,
    vocabulary: Option<usize>,
) -> PyResult<f64> {
    check(&symbols, vocabulary)?;
    let mut coder = CodeLength::default();
    Walk::new(predictor, vocabulary)?.walk(&mut coder, &symbols)?;
    Ok(coder.bits())
}

#[pyfunction]
pub fn predictor_sample(
    predictor: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = number)] length: usize,
    #[pyo3(from_py_with = number)] seed: u64,
    vocabulary: Option<usize>,
) -> PyResult<Vec<u32>> {
    Walk::new(predictor, vocabulary)?.find(&mut Sampler::new(seed), length)
}

/// Refuses symbols that the alphabet does not have.
fn check(symbols: &[u32], vocabulary: Option<usize>) -> PyResult<()> {
    let size = vocabulary.unwrap_or(256);
    match symbols.iter().position(|&symbol| symbol as usize >= size) {
        None => Ok(()),
        Some(at) => {
            let symbol = symbols[at];
            Err(invalid(format!("symbol {at} is {symbol}; the vocabulary has {size}")))
        }
    }
}

/// The counting predictor that the library has to learn from.
#[pyclass(subclass, module = "lmic._lmic")]
pub struct OrderK(lmic::predict::OrderK);

#[pymethods]
impl OrderK {
    #[new]
    fn new(#[pyo3(from_py_with = number)] order: usize) -> PyResult<Self> {
        let most = lmic::predict::OrderK::MAX_ORDER;
        match order <= most {
            true => Ok(Self(lmic::predict::OrderK::new(order))),
            false => Err(invalid(format!("order {order}; 0 to {most} allowed"))),
        }
    }

    fn predict<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut probs = [0.0; 256];
        self.0.predict(&mut probs);
        as_memory(py, &probs)
    }

    fn update(&mut self, byte: u8) {
        self.0.update(byte);
    }
}

type Stream<'a> = Box<dyn Streams + 'a>;

self_cell!(
    struct Running {
        owner: Arc<dyn Engine>,
        #[not_covariant]
        dependent: Stream,
    }
);

/// A network of bytes that runs: the library's, or one of a file.
#[pyclass(frozen, subclass, module = "lmic._lmic")]
pub struct ByteNetwork(Mutex<(Running, [f32; 256])>);

impl ByteNetwork {
    fn feed(&self, py: Python<'_>, symbol: u16) {
        py.detach(|| {
            let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let feed = Feed { symbols: &[symbol], wanted: 1 };
            running.1 = running.0.with_dependent_mut(|_, stream| stream.feed(&[feed])[0]);
        });
    }
}

#[pymethods]
impl ByteNetwork {
    #[new]
    #[pyo3(signature = (model = None, level = None))]
    fn new(
        py: Python<'_>,
        model: Option<ModelArgument>,
        #[pyo3(from_py_with = number)] level: Option<u8>,
    ) -> PyResult<Self> {
        let network = match (model, level) {
            (Some(ModelArgument(network)), None) => network,
            (None, level) => {
                let level = level.unwrap_or(lmic::DEFAULT_LEVEL);
                let models = finder().at_hand(None, None);
                let network = lmic::block::level_network(level, &models).map_err(exception)?;
                let none = || invalid(format!("level {level} has no network"));
                Network::from(network.ok_or_else(none)?)
            }
            (Some(_), Some(_)) => return Err(invalid("a model and a level at once")),
        };
        let engine = network.engine(Some(network.mixed_windows()));
        let engine = engine.ok_or_else(|| invalid("is a model of tokens, not of bytes"))?;
        let running = Running::new(engine, |engine| engine.streams(1));
        let network = Self(Mutex::new((running, [0.0; 256])));
        network.feed(py, START_SYMBOL as u16);
        Ok(network)
    }

    fn predict<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let weights = self.0.lock().unwrap_or_else(PoisonError::into_inner).1;
        let sum: f32 = weights.iter().sum();
        as_memory(py, &weights.map(|weight| weight / sum))
    }

    fn update(&self, py: Python<'_>, byte: u8) {
        self.feed(py, byte.into());
    }
}

/// The memory of an array of float32.
fn as_memory<'py>(py: Python<'py>, probs: &[f32; 256]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = probs.iter().flat_map(|prob| prob.to_ne_bytes()).collect();
    PyBytes::new(py, &bytes)
}
