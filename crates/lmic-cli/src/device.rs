//! `--device`: what networks run on. Archives are the same for any.

use std::path::PathBuf;
use std::str::FromStr;
#[cfg(feature = "cuda")]
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use lmic::nn::Engines;

use crate::console::Console;

/// Inputs of at least so many bytes are worth the time that it takes to start a GPU.
#[cfg(feature = "cuda")]
const WORTH_A_GPU: u64 = 4 << 20; // tunable

/// Networks of so many weights, beside those of rows for contexts, are: more than those of levels 6 to 8 have, with which a GPU has not
/// been measured to be faster than many cores. (docs/measurements/gpu.md)
#[cfg(feature = "cuda")]
const WORTH_PARAMS: u64 = 10_000_000; // tunable

/// What networks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU where it is faster, if there is one.
    #[default]
    Auto,
    /// This CPU.
    Cpu,
    /// All GPUs of NVIDIA, or one of them.
    Cuda(Option<usize>),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.split_once(':') {
            None if text == "auto" => Self::Auto,
            None if text == "cpu" => Self::Cpu,
            None if text == "cuda" => Self::Cuda(None),
            Some(("cuda", number)) if number.parse::<usize>().is_ok() => {
                Self::Cuda(number.parse().ok())
            }
            _ => return Err("auto, cpu, cuda or cuda:N, as in cuda:0".into()),
        })
    }
}

impl Device {
    /// The engines of this device for work on `files`.
    ///
    /// # Errors
    /// If a GPU was asked for and there is none.
    #[cfg(feature = "cuda")]
    pub fn engines(self, files: &[PathBuf]) -> Result<Engines> {
        match self {
            Self::Cpu => Ok(Engines::default()),
            Self::Cuda(which) => {
                let found = lmic_cuda::Gpus::find(which).map_err(anyhow::Error::msg)?;
                Ok(FOUND.get_or_init(|| Some(found)).as_ref().expect("was just found").engines())
            }
            Self::Auto if is_worth_it(files) => Ok(Engines::found_by(|network, _| {
                let lmic::nn::Network::Recurrent(recurrent) = network else { return None };
                let c = recurrent.config();
                let rows = c.ngrams.as_ref().map_or(0, |n| n.rows() * n.size) as u64;
                if c.params() - rows < WORTH_PARAMS {
                    return None;
                }
                // Only now, as it takes a while.
                FOUND.get_or_init(|| lmic_cuda::Gpus::find(None).ok()).as_ref()?.engine(network)
            })),
            Self::Auto => Ok(Engines::default()),
        }
    }

    /// The engines of this device.
    ///
    /// # Errors
    /// If it is a GPU, for which this build has no engine.
    #[cfg(not(feature = "cuda"))]
    pub fn engines(self, _files: &[PathBuf]) -> Result<Engines> {
        match self {
            Self::Auto | Self::Cpu => Ok(Engines::default()),
            Self::Cuda(_) => {
                anyhow::bail!("this build of lmic knows no GPUs (its feature `cuda` is off)")
            }
        }
    }
}

/// The GPUs that were looked for.
#[cfg(feature = "cuda")]
static FOUND: OnceLock<Option<Arc<lmic_cuda::Gpus>>> = OnceLock::new();

/// Whether files are long enough. Of stdin and folders nobody knows.
#[cfg(feature = "cuda")]
fn is_worth_it(files: &[PathBuf]) -> bool {
    let len = |file: &PathBuf| std::fs::metadata(file).map_or(0, |meta| meta.len());
    files.iter().map(len).sum::<u64>() >= WORTH_A_GPU
}

/// Says if a GPU has failed and the CPU went on.
pub fn report(console: &Console) {
    #[cfg(feature = "cuda")]
    if let Some(failure) = FOUND.get().and_then(|found| found.as_ref()?.failure()) {
        console.note(format_args!(
            "the GPU failed ({failure}); the CPU went on, the result is the same"
        ));
    }
    #[cfg(not(feature = "cuda"))]
    let _ = console;
}
