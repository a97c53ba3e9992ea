//! `--device`: what networks run on. Archives are the same for any.

use std::str::FromStr;
#[cfg(feature = "cuda")]
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use lmic::nn::Engines;

use crate::console::Console;

/// What networks run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// GPUs for networks that are made for them, if there are any; else the CPU.
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
    /// The engines of this device.
    ///
    /// # Errors
    /// If a GPU was asked for and there is none.
    #[cfg(feature = "cuda")]
    pub fn engines(self) -> Result<Engines> {
        match self {
            Self::Cpu => Ok(Engines::default()),
            // The driver is not looked for before such a network is there.
            Self::Auto => Ok(Engines::found_by(|network, _| {
                let found = || lmic_cuda::Gpus::find(None).ok();
                let made_for_them = lmic_cuda::is_made_for_gpus(network);
                made_for_them.then(|| FOUND.get_or_init(found).as_ref()?.engine(network)).flatten()
            })),
            Self::Cuda(which) => {
                let found = lmic_cuda::Gpus::find(which).map_err(anyhow::Error::msg)?;
                let engines = found.engines();
                FOUND.get_or_init(|| Some(found));
                Ok(engines)
            }
        }
    }

    /// The engines of this device.
    ///
    /// # Errors
    /// If it is a GPU, for which this build has no engine.
    #[cfg(not(feature = "cuda"))]
    pub fn engines(self) -> Result<Engines> {
        match self {
            Self::Auto | Self::Cpu => Ok(Engines::default()),
            Self::Cuda(_) => {
                anyhow::bail!("this build of lmic knows no GPUs (its feature `cuda` is off)")
            }
        }
    }
}

/// The GPUs that were found, once they were looked for.
#[cfg(feature = "cuda")]
static FOUND: OnceLock<Option<Arc<lmic_cuda::Gpus>>> = OnceLock::new();

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
