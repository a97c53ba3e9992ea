//! Primed states and the records that are coded with them.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use lmic::progress::Progress;
use lmic::records::{PrimeOptions, Primed as State, RecordCodec};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::errors::{exception, invalid};
use crate::options::{finder, number};
use crate::text::{Code, Text, all, texts};
use crate::work::{run, run_long};

/// Bytes of records, and in a batch 64 for each, that are coded before Ctrl-C is looked for: some tenths of a second.
const STEP: usize = 512 << 10; // tunable

/// What context mixing has learned from examples: codes short records, each alone, in a fraction of their bytes.
///
/// It is made by `prime`, `Primed.load` or `Primed.from_bytes`, never changes, and any number of threads may use it. It can be
/// pickled. `compress(data, primed=...)` codes whole files with it.
///
/// >>> import lmic
/// >>> primed = lmic.prime(f"user {n} logged in from 10.0.0.{n % 7}" for n in range(200))
/// >>> code = primed.compress(b"user 201 logged in from 10.0.0.3")
/// >>> len(code) <= 4
/// True
/// >>> primed.decompress(code)
/// b'user 201 logged in from 10.0.0.3'
#[pyclass(frozen, module = "lmic._lmic")]
pub struct Primed {
    name: String,
    codec: RecordCodec,
}

impl Primed {
    fn new(name: String, state: State) -> Self {
        Self { name, codec: RecordCodec::new(Arc::new(state)) }
    }

    fn state(&self) -> &Arc<State> {
        self.codec.primed()
    }

    fn codec(&self, check: usize, max_length: usize) -> PyResult<RecordCodec> {
        if check > RecordCodec::MAX_CHECK_LEN {
            let most = RecordCodec::MAX_CHECK_LEN;
            return Err(invalid(format!("a check of {check} bytes; 0 to {most} allowed")));
        }
        Ok(self.codec.clone().with_check(check).with_max_len(max_length))
    }
}

/// Learns from samples, each a record like those to be coded later: bytes, or text, which is taken as UTF-8.
///
/// `name` is what archives call the state, 1 to 64 bytes. `table_bits` is the binary logarithm of the lines of 64 bytes in its
/// table, 8 to 20; `None` goes by the size of the samples. It is the state of `lmic prime`: the same samples give the same bytes.
///
/// A state holds its samples, and whoever has it can get secrets out of it. With `private`, 2 to 255, it learns only from pieces of
/// six bytes that so many different samples have; all other bytes have no influence. Files and records coded with it become larger.
///
/// >>> import lmic
/// >>> lmic.prime(["to be or not to be"] * 9, name="hamlet")
/// <lmic.Primed "hamlet" of identity ...>
/// >>> lines = [f"user {n} logged in" for n in range(100)]
/// >>> a, b = (lmic.prime([*lines, f"PIN {pin}"], private=5) for pin in (4711, 9342))
/// >>> a == b
/// True
///
/// Raises InvalidArgumentError if no sample has any bytes, or `table_bits` or `private` is out of range.
#[pyfunction]
#[pyo3(signature = (samples, *, name = "primed".to_owned(), table_bits = None, private = None))]
pub fn prime(
    py: Python<'_>,
    samples: &Bound<'_, PyAny>,
    name: String,
    #[pyo3(from_py_with = number)] table_bits: Option<u8>,
    #[pyo3(from_py_with = number)] private: Option<u8>,
) -> PyResult<Primed> {
    check_name(&name)?;
    let samples = texts(samples)?;
    let progress = Progress::default();
    let state = run_long(py, &progress, || {
        let samples: Vec<&[u8]> = samples.iter().map(|sample| &**sample).collect();
        State::learn_watched(&samples, &PrimeOptions { table_bits, private }, &progress)
    })?;
    Ok(Primed::new(name, state))
}

#[pymethods]
impl Primed {
    /// Reads a file of `lmic prime` or of `save`, by its path or by its name in the model folder. Archives know the state by
    /// the name of the file.
    ///
    /// Raises LmicError if it is damaged, or not there.
    #[classmethod]
    fn load(_class: &Bound<'_, PyType>, py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let (name, state) = run(py, || finder().primed(&path))?;
        Ok(Self { name, codec: RecordCodec::new(state) })
    }

    /// Reads what `to_bytes` wrote. Archives call the state `name`.
    ///
    /// Raises CorruptError or TruncatedError if it was damaged.
    #[classmethod]
    #[pyo3(signature = (data, name = "primed".to_owned()))]
    fn from_bytes(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        data: Code,
        name: String,
    ) -> PyResult<Self> {
        check_name(&name)?;
        Ok(Self::new(name, run(py, || State::from_bytes(&data))?))
    }

    /// The state as the content of a file (.lmicp), as `lmic prime` writes it.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let file = run(py, || Ok(self.state().to_bytes()))?;
        Ok(PyBytes::new(py, &file))
    }

    /// Writes the file that `load` reads. A decoder finds it in the model folder if it is called `name`.lmicp there.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        run(py, || Ok(std::fs::write(&path, self.state().to_bytes())?))
    }

    /// What archives call it.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// BLAKE3 of all that was learned, in hexadecimal: what archives know it by.
    #[getter]
    fn identity(&self) -> String {
        lmic::hex(&self.state().identity())
    }

    /// Bytes of memory that it takes. Each thread that codes with it takes up to four times that.
    #[getter]
    fn memory(&self) -> u64 {
        self.state().memory()
    }

    /// The code of a record: at most a byte longer, and `check` bytes of check, 0 to 8. Where the record ends is in the code; where
    /// the code ends you must know.
    #[pyo3(signature = (record, *, check = 0))]
    fn compress<'py>(
        &self,
        py: Python<'py>,
        record: Text,
        #[pyo3(from_py_with = number)] check: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let codec = self.codec(check, RecordCodec::MAX_LEN)?;
        let code = watched(py, codec, record.len(), |codec| Ok(codec.compress(&record)))?;
        Ok(PyBytes::new(py, &code))
    }

    /// The record of a code. `check` must be what it was made with. Without a check, damage is mostly not found, and gives another
    /// record. A code that was not made with this state may decode to `max_length` bytes, which takes seconds: set it to what is
    /// possible if codes are not trusted.
    ///
    /// Raises CorruptError if damage is found, or the record has more than `max_length` bytes.
    #[pyo3(signature = (code, *, max_length = RecordCodec::MAX_LEN, check = 0))]
    fn decompress<'py>(
        &self,
        py: Python<'py>,
        code: Code,
        #[pyo3(from_py_with = number)] max_length: usize,
        #[pyo3(from_py_with = number)] check: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let codec = self.codec(check, max_length)?;
        // Records are seldom as long as they may be.
        let most = code.len().saturating_mul(32).min(max_length);
        Ok(PyBytes::new(py, &watched(py, codec, most, |codec| codec.decompress(&code))?))
    }

    /// The codes of many records, made on all threads: those of `compress`.
    #[pyo3(signature = (records, *, check = 0))]
    fn compress_batch<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number)] check: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let codec = self.codec(check, RecordCodec::MAX_LEN)?;
        batch(py, texts(records)?, |records| Ok(codec.compress_batch(records)))
    }

    /// The records of many codes, on all threads: those of `decompress`.
    #[pyo3(signature = (codes, *, max_length = RecordCodec::MAX_LEN, check = 0))]
    fn decompress_batch<'py>(
        &self,
        py: Python<'py>,
        codes: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number)] max_length: usize,
        #[pyo3(from_py_with = number)] check: usize,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let codec = self.codec(check, max_length)?;
        batch(py, all::<Code>(codes)?, |codes| codec.decompress_batch(codes))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let read = py.get_type::<Self>().getattr("from_bytes")?;
        Ok((read, (self.to_bytes(py)?, &self.name).into_pyobject(py)?))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let other = other.cast::<Self>().ok().map(|other| other.get());
        let key = |primed: &Self| (primed.name.clone(), primed.state().identity());
        other.is_some_and(|other| key(other) == key(self))
    }

    fn __hash__(&self) -> u64 {
        let first = self.state().identity().first_chunk().copied();
        u64::from_le_bytes(first.unwrap_or_default())
    }

    fn __repr__(&self) -> String {
        format!("<lmic.Primed {:?} of identity {}>", self.name, &self.identity()[..12])
    }
}

/// Refuses a name that no archive could have.
fn check_name(name: &str) -> PyResult<()> {
    if (1..=lmic::MAX_MODEL_NAME).contains(&name.len()) {
        return Ok(());
    }
    Err(invalid(format!("name {name:?}; 1 to {} bytes allowed", lmic::MAX_MODEL_NAME)))
}

/// Works on one record of about so many bytes. Only a long one takes so long that Ctrl-C is looked for: that costs as much as to code
/// a short one.
fn watched(
    py: Python<'_>,
    codec: RecordCodec,
    len: usize,
    work: impl FnOnce(RecordCodec) -> lmic::Result<Vec<u8>> + Send,
) -> PyResult<Vec<u8>> {
    if len <= STEP {
        return run(py, || work(codec));
    }
    let progress = Progress::default();
    let codec = codec.with_progress(progress.clone());
    run_long(py, &progress, || work(codec))
}

/// Codes records, or restores them, on all threads.
fn batch<'py, T: Deref<Target = [u8]>>(
    py: Python<'py>,
    records: Vec<T>,
    code: impl Fn(&[&[u8]]) -> lmic::Result<Vec<Vec<u8>>> + Sync,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let records: Vec<&[u8]> = records.iter().map(|record| &**record).collect();
    let mut coded = Vec::with_capacity(records.len());
    let mut left = &records[..];
    while !left.is_empty() {
        py.check_signals()?;
        let mut bytes = 0;
        let fits = |record: &&&[u8]| {
            bytes += record.len() + 64;
            bytes <= STEP
        };
        let (step, later) = left.split_at(left.iter().take_while(fits).count().max(1));
        left = later;
        let step = py.detach(|| code(step)).map_err(exception)?;
        coded.extend(step.iter().map(|record| PyBytes::new(py, record)));
    }
    Ok(coded)
}

/// What `primed=` takes: a [`Primed`], a pair of a name and one, or a path or name.
pub struct PrimedArgument(pub String, pub Arc<State>);

impl<'a, 'py> FromPyObject<'a, 'py> for PrimedArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(primed) = object.cast::<Primed>() {
            let primed = primed.get();
            return Ok(Self(primed.name.clone(), Arc::clone(primed.state())));
        }
        if object.is_instance_of::<PyTuple>() {
            let (name, primed): (String, Bound<'py, Primed>) = object.extract()?;
            return Ok(Self(name, Arc::clone(primed.get().state())));
        }
        let path: PathBuf = object.extract()?;
        let (name, state) = run(object.py(), || finder().primed(&path))?;
        Ok(Self(name, state))
    }
}
