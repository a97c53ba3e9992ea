//! The extension module `lmic._lmic`: the library for Python. It translates arguments, errors and buffers, and releases the GIL
//! while work is done. What it offers is described in `python/lmic/_lmic.pyi`; conveniences in Python are beside that.

#![allow(unsafe_code, reason = "memory of Python's buffers")]

/// Random access.
mod archive;

/// Memory that Python objects export.
mod buffer;

/// Input in pieces to an archive.
mod compressor;

/// An archive in pieces to its content.
mod decompressor;

/// Errors as Python exceptions.
mod errors;

/// State that several threads may ask for.
mod guarded;

/// Keys of encrypted archives.
mod keys;

/// Networks.
mod models;

/// Keywords to options.
mod options;

/// The parts of an encoder, for many processes.
mod parts;

/// Predictors of Python as compressors.
mod predictor;

/// The content of a file object.
mod reader;

/// Short records.
mod records;

/// What data cost in bits, and data that a model makes.
mod score;

/// Files, memory and file objects.
mod source;

/// Bytes or text.
mod text;

/// Whole inputs in memory.
mod whole;

/// Work that Ctrl-C ends.
mod work;

/// What Python imports.
#[pyo3::pymodule(name = "_lmic")]
mod module {
    #[pymodule_export]
    use crate::models::{Model, load_model, models, quantize_model};

    #[pymodule_export]
    use crate::predictor::{
        ByteNetwork, OrderK, predictor_code_length, predictor_decode, predictor_encode,
        predictor_sample,
    };

    #[pymodule_export]
    use crate::records::{Primed, prime};

    #[pymodule_export]
    use crate::score::{byte_costs, generate, score, score_batch, token_costs};

    #[pymodule_export]
    use crate::parts::{CodedBlock, ContentHash, Planner, StreamWriter, Task};

    #[pymodule_export]
    use crate::archive::{Archive, Block, Stream};

    #[pymodule_export]
    use crate::compressor::LmicCompressor;

    #[pymodule_export]
    use crate::decompressor::LmicDecompressor;

    #[pymodule_export]
    use crate::reader::Reader;

    #[pymodule_export]
    use crate::whole::{compress, decompress};

    #[pymodule_export]
    const DEFAULT_LEVEL: u8 = lmic::DEFAULT_LEVEL;

    #[pymodule_export]
    const MAX_LEVEL: u8 = lmic::MAX_LEVEL;

    /// The highest level that needs nothing beside the package.
    #[pymodule_export]
    const BEST_LEVEL: u8 = lmic::BEST_LEVEL;

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "what Python calls it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
