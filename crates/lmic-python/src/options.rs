//! Keywords of Python to options of the library. They are called as the options of the command.

use std::sync::Arc;

use lmic::block::content_of;
use lmic::models::Finder;
use lmic::{DecodeOptions, EncodeOptions, size};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::{exception, invalid};
use crate::models::ModelArgument;
use crate::records::PrimedArgument;

/// Keywords, each to be taken once; those that are left at the end are unknown.
pub struct Keywords<'py>(Option<Bound<'py, PyDict>>);

impl<'py> Keywords<'py> {
    /// The keywords that a function was given.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn new(keywords: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        Ok(Self(keywords.map(|keywords| keywords.copy()).transpose()?))
    }

    /// What was given for `name`, if anything; `None` counts as nothing.
    ///
    /// # Errors
    /// If it is of another type.
    pub fn take<T>(&mut self, name: &str) -> PyResult<Option<T>>
    where
        T: for<'a> FromPyObject<'a, 'py>,
    {
        self.take_any(name)?
            .filter(|value| !value.is_none())
            .map(|value| value.extract::<T>().map_err(|error| named(name, error.into())))
            .transpose()
    }

    /// What was given for `name`, if anything.
    fn take_any(&mut self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(keywords) = &self.0 else { return Ok(None) };
        let value = keywords.get_item(name)?;
        if value.is_some() {
            keywords.del_item(name)?;
        }
        Ok(value)
    }

    /// Refuses keywords that nobody took.
    ///
    /// # Errors
    /// `TypeError`, as Python itself has for them.
    pub fn finish(self) -> PyResult<()> {
        let keywords = self.0.into_iter().flatten();
        match keywords.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                Err(PyTypeError::new_err(format!("unexpected keyword argument {name}")))
            }
        }
    }

    /// Options of an encoder: all keywords that the stub calls `EncodeOptions`.
    ///
    /// # Errors
    /// If one is of a wrong type or outside its range, or a model cannot be opened.
    pub fn encode_options(&mut self, level: Option<u8>) -> PyResult<EncodeOptions> {
        let defaults = EncodeOptions::default();
        let model = self.take("model")?.map(|ModelArgument(network)| network);
        let alone = self.take("alone")?.unwrap_or(defaults.alone);
        let windows = match &model {
            Some(network) => Some(network.windows(
                alone,
                self.take("context")?,
                self.take("overlap")?,
                self.take("lanes")?,
            )),
            None => None,
        };
        Ok(EncodeOptions {
            level: level.unwrap_or(defaults.level),
            block_size: self
                .take("block_size")?
                .map(|Size(size)| usize::try_from(size).unwrap_or(usize::MAX)),
            threads: self.take("threads")?.unwrap_or(defaults.threads),
            memory_limit: self.memory(defaults.memory_limit)?,
            content: match self.take::<String>("content")? {
                Some(content) => content_of(&content).map_err(exception)?,
                None => None,
            },
            model,
            alone,
            windows,
            primed: self.take("primed")?.map(|PrimedArgument(name, primed)| (name, primed)),
            records: self.take("records")?.unwrap_or(defaults.records),
            models: finder().at_hand(None, None),
            engines: defaults.engines,
        })
    }

    /// Options of a decoder: all keywords that the stub calls `DecodeOptions`.
    ///
    /// # Errors
    /// As [`Self::encode_options`].
    pub fn decode_options(&mut self) -> PyResult<DecodeOptions> {
        let defaults = DecodeOptions::default();
        let network = self.take("model")?.map(|ModelArgument(network)| network);
        let primed = self.take("primed")?.map(|PrimedArgument(_, primed)| primed);
        Ok(DecodeOptions {
            threads: self.take("threads")?.unwrap_or(defaults.threads),
            memory_limit: self.memory(defaults.memory_limit)?,
            models: finder().at_hand(network, primed),
        })
    }

    /// The memory limit; `None` is no limit.
    fn memory(&mut self, default: Option<u64>) -> PyResult<Option<u64>> {
        match self.take_any("memory")? {
            None => Ok(default),
            Some(value) if value.is_none() => Ok(None),
            Some(value) => {
                let Limit(limit) = value.extract().map_err(|error| named("memory", error))?;
                Ok(limit)
            }
        }
    }
}

/// Finds models in the user's model folder, of all kinds.
pub fn finder() -> Finder {
    Finder::of_user().with_checkpoints(Arc::new(lmic_llama::Checkpoints))
}

/// Bytes: a number, or words as the command takes them.
struct Size(u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Size {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyString>() {
            Ok(text) => size::parse(&text.to_string_lossy()).map(Self).map_err(exception),
            Err(_) => Ok(Self(object.extract()?)),
        }
    }
}

/// Bytes at most, or no limit.
struct Limit(Option<u64>);

impl<'a, 'py> FromPyObject<'a, 'py> for Limit {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyString>() {
            Ok(text) => size::parse_limit(&text.to_string_lossy()).map(Self).map_err(exception),
            Err(_) => Ok(Self(Some(object.extract()?))),
        }
    }
}

/// An argument that is a number. One that its type does not hold is out of range for whatever it means.
///
/// # Errors
/// `InvalidArgumentError`, or `TypeError` if it is no number.
pub fn number<'py, T>(object: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    object.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        match error.is_instance_of::<PyOverflowError>(object.py()) {
            true => invalid(format!("{object} is out of range")),
            false => error,
        }
    })
}

/// The same exception, for the argument `name`.
fn named(name: &str, error: PyErr) -> PyErr {
    Python::attach(|py| {
        if error.is_instance_of::<PyOverflowError>(py) {
            return invalid(format!("{name} is out of range"));
        }
        if !error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        PyTypeError::new_err(format!("argument '{name}': {}", error.value(py)))
    })
}
