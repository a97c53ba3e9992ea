//! Networks: opened once, used for coding, scoring and generating; and what there is of them.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use lmic::models::{FoundModel, NetworkFacts, Wanted};
use lmic::nn::Network;
use lmic_llama::Llama;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::invalid;
use crate::options::finder;
use crate::work::run;

/// A network in memory, made by `load_model`: for `model=` of `compress`, `decompress`, `open`, `score` and `generate`, which so need
/// not open it again each time. It never changes, any number of threads may use it, and pickling it keeps its path.
#[pyclass(frozen, module = "lmic._lmic")]
pub struct Model {
    path: PathBuf,
    name: String,
    kind: &'static str,
    facts: NetworkFacts,
    network: Network,
}

impl Model {
    fn open(path: &std::path::Path) -> lmic::Result<Self> {
        let (path, found) = finder().open(path, Wanted::Network)?;
        let (name, kind, facts) = (found.name(&path), found.kind(), found.facts());
        let network = found.into_network().map_err(|error| error.at(path.display()))?;
        let facts = facts.expect("a network is made of something");
        Ok(Self { path, name, kind, facts, network })
    }

    pub fn network(&self) -> &Network {
        &self.network
    }
}

/// The checkpoint, if the network is one.
pub fn checkpoint(network: &Network) -> Option<Arc<Llama>> {
    let Network::Tokens(model) = network else { return None };
    let model: Arc<dyn Any + Send + Sync> = Arc::clone(model) as _;
    model.downcast().ok()
}

/// Opens a network: a safetensors file of lmic, a GGUF file or Hugging Face folder of the Llama family, by its path or by its name in
/// the model folder. All of it is checked. A primed state is opened by `Primed.load`.
///
/// Raises LmicError if it is damaged, not there, or of a kind that is not supported.
#[pyfunction]
pub fn load_model(py: Python<'_>, model: PathBuf) -> PyResult<Model> {
    run(py, || Model::open(&model))
}

#[pymethods]
impl Model {
    /// Where it is: a file, or a folder.
    #[getter]
    fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// What archives call it.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// "transformer of bytes", "recurrent network" or "transformer of tokens".
    #[getter]
    fn kind(&self) -> &str {
        self.kind
    }

    /// BLAKE3 of shape and weights, in hexadecimal: what archives know it by.
    #[getter]
    fn identity(&self) -> String {
        lmic::hex(&self.network.identity())
    }

    /// Weights.
    #[getter]
    fn parameters(&self) -> u64 {
        self.facts.params
    }

    /// Formats of the numbers, that of most bytes first.
    #[getter]
    fn precision(&self) -> &str {
        &self.facts.precision
    }

    /// Bytes of all tensors, as stored.
    #[getter]
    fn tensor_bytes(&self) -> u64 {
        self.facts.bytes
    }

    /// The shape, as the config.json of its kind has it.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (&self.facts.config_json,))
    }

    /// A dict for each tensor: `tensor` (its name), `dtype`, `shape` and `bytes`.
    #[getter]
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |tensor: &lmic::nn::TensorInfo| {
            let row = PyDict::new(py);
            row.set_item("tensor", &tensor.name)?;
            row.set_item("dtype", tensor.format)?;
            row.set_item("shape", PyTuple::new(py, &tensor.shape)?)?;
            row.set_item("bytes", tensor.bytes)?;
            Ok(row)
        };
        self.facts.tensors.iter().map(row).collect()
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let load = py.import("lmic._lmic")?.getattr("load_model")?;
        Ok((load, (std::path::absolute(&self.path)?,).into_pyobject(py)?))
    }

    fn __repr__(&self) -> String {
        format!(
            "<lmic.Model {:?}, {}, of identity {}>",
            self.name,
            self.kind,
            &self.identity()[..12]
        )
    }
}

/// What there is to code with, as `lmic model list --json` has it: first what lies in the model folder ($LMIC_MODELS, or
/// ~/.local/share/lmic/models), each loaded and so checked, then the networks of the library, also that of level 9 if it is not there.
///
/// Each is a dict: `name`, `file` (a path, or None), `kind` and `identity` (None if it cannot be used), `bytes`, `level` (of the
/// library's) and `error` (why it cannot be used, or None).
///
/// >>> import lmic
/// >>> [model["level"] for model in lmic.models() if model["file"] is None]
/// [6, 7, 8, 9]
#[pyfunction]
pub fn models(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let row = |listed: lmic::models::Listed| {
        let row = PyDict::new(py);
        row.set_item("name", listed.name)?;
        row.set_item("file", listed.path)?;
        row.set_item("kind", listed.kind)?;
        row.set_item("bytes", listed.bytes)?;
        row.set_item("identity", listed.identity.map(|identity| lmic::hex(&identity)))?;
        row.set_item("level", listed.level)?;
        row.set_item("error", listed.error)?;
        Ok(row)
    };
    run(py, || finder().listed())?.into_iter().map(row).collect()
}

/// Makes the int8 model of an f32 model of bytes, as `lmic model quantize` does: writes it to the file `out`, whose name it gets, and
/// returns it. A file that is there is written over.
///
/// Raises InvalidArgumentError if it is int8 already, or a model of tokens.
#[pyfunction]
pub fn quantize_model(py: Python<'_>, model: PathBuf, out: PathBuf) -> PyResult<Model> {
    let written = run(py, || {
        let (path, found) = finder().open(&model, Wanted::Network)?;
        let FoundModel::Bytes(weights) = found else { return Ok(None) };
        let mut int8 = weights.quantize().map_err(|error| error.at(path.display()))?;
        int8.set_name(out.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        std::fs::write(&out, int8.to_safetensors())?;
        Model::open(&out).map(Some)
    })?;
    written.ok_or_else(|| invalid("is no byte model, which is what becomes int8"))
}

/// What `model=` takes: a [`Model`], or a path or name.
pub struct ModelArgument(pub Network);

impl<'a, 'py> FromPyObject<'a, 'py> for ModelArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(model) = object.cast::<Model>() {
            return Ok(Self(model.get().network.clone()));
        }
        let path: PathBuf = object.extract()?;
        Ok(Self(run(object.py(), || finder().network(&path))?))
    }
}
