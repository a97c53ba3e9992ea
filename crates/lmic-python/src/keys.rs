//! Keys of encrypted archives, as keywords give them.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use lmic::Result;
use lmic_age::{Identities, Padding, Reader, Recipients, SecretString, Writer};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors::{exception, invalid};
use crate::options::Keywords;

/// How an archive is encrypted.
pub struct Encryption {
    recipients: Recipients,
    padding: Padding,
}

/// What is written to, so that `out` gets the archive: encrypted, if that was asked for.
///
/// # Errors
/// As [`Writer::new`].
pub fn writer<W: Write>(out: W, encryption: Option<Encryption>) -> Result<Writer<W>> {
    match encryption {
        None => Ok(Writer::plain(out)),
        Some(Encryption { recipients, padding }) => Writer::new(out, &recipients, padding),
    }
}

/// What opens encrypted archives.
#[derive(Clone)]
pub struct Keys(Arc<Identities>);

impl Keys {
    /// An archive, decrypted if it is encrypted.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn open<R: Read>(&self, input: R) -> Result<Reader<R>> {
        Reader::new(input, &self.0)
    }
}

impl Keywords<'_> {
    /// `recipients`, `passphrase` and `pad`; `None` if nothing is to be encrypted.
    ///
    /// # Errors
    /// If these are no keys, or do not go together.
    pub fn encryption(&mut self) -> PyResult<Option<Encryption>> {
        let recipients = self.take::<OneOrMore<String>>("recipients")?;
        let passphrase = self.take::<String>("passphrase")?.map(SecretString::from);
        let pad = self.take::<bool>("pad")?;
        let recipients = match (recipients, passphrase) {
            (None, None) if pad.is_some() => {
                return Err(invalid("pad without recipients or passphrase"));
            }
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(invalid("recipients or a passphrase, not both")),
            (None, Some(passphrase)) => {
                Recipients::with_passphrase(passphrase).map_err(exception)?
            }
            (Some(OneOrMore(keys)), None) => {
                let mut recipients = Recipients::default();
                for key in keys {
                    recipients.add(&key).map_err(exception)?;
                }
                recipients
            }
        };
        let padding = if pad == Some(false) { Padding::None } else { Padding::Padme };
        Ok(Some(Encryption { recipients, padding }))
    }

    /// `identities` and `passphrase`.
    ///
    /// # Errors
    /// If a file cannot be read, or has no identity.
    pub fn keys(&mut self) -> PyResult<Keys> {
        let passphrase = self.take::<String>("passphrase")?.map(SecretString::from);
        let mut identities =
            passphrase.map_or_else(Identities::default, Identities::with_passphrase);
        for Identity { name, file } in
            self.take::<OneOrMore<_>>("identities")?.map_or(Vec::new(), |all| all.0)
        {
            identities.add(&name, file.as_bytes()).map_err(|error| exception(error.at(&name)))?;
        }
        Ok(Keys(Arc::new(identities)))
    }
}

/// One, or a sequence of them.
struct OneOrMore<T>(Vec<T>);

impl<'a, 'py, T> FromPyObject<'a, 'py> for OneOrMore<T>
where
    T: for<'b> FromPyObject<'b, 'py>,
{
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let is_one = object.is_instance_of::<PyString>()
            || object.is_instance_of::<PyBytes>()
            || object.hasattr("__fspath__")?;
        if is_one {
            return Ok(Self(vec![object.extract().map_err(Into::into)?]));
        }
        let all = object.try_iter()?.map(|item| item?.extract().map_err(Into::into));
        Ok(Self(all.collect::<PyResult<_>>()?))
    }
}

/// An identity file: a path, or its content as bytes.
struct Identity<'py> {
    name: String,
    /// Python's, as a copy would have to be wiped.
    file: Bound<'py, PyBytes>,
}

impl<'a, 'py> FromPyObject<'a, 'py> for Identity<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(content) = object.cast::<PyBytes>() {
            return Ok(Self { name: "identity".into(), file: content.to_owned() });
        }
        // No message may have it, as that of a missing file would.
        if let Ok(text) = object.extract::<&str>()
            && lmic_age::is_identity(text)
        {
            return Err(invalid("an identity as text (give it as bytes, or the path of its file)"));
        }
        let path: PathBuf = object.extract().map_err(|_| {
            PyTypeError::new_err("a path of an identity file, or its content as bytes")
        })?;
        // Python's own exceptions name the file.
        let open = object.py().import("io")?.call_method1("open", (object, "rb"))?;
        let file = open.call_method0("read")?.cast_into::<PyBytes>()?;
        open.call_method0("close")?;
        Ok(Self { name: path.display().to_string(), file })
    }
}
