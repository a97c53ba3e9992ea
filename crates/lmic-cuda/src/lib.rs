//! Runs the recurrent networks of lmic on NVIDIA GPUs: archives have the same bytes as with a CPU, and each reads the other's.
//!
//! NVIDIA's driver is looked for at run time. Where there is none, or no GPU of compute capability 8.0 or later, [`Gpus::find`]
//! finds nothing. Before it is used, a GPU is compared with the CPU on some symbols. One that differs, or fails in the middle, is replaced by the CPU, which is fed again what the GPU was fed.
//!
//! ```no_run
//! let gpus = lmic_cuda::Gpus::find(None).expect("a GPU");
//! let options = lmic::EncodeOptions { level: 8, engines: gpus.engines(), ..Default::default() };
//! let archive = lmic::compress_with(b"some bytes", &options)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The kernels are in `kernels/`, as source and as PTX, which `scripts/cuda_ptx.py` makes of it.

mod driver;
mod engine;
mod gather;
mod model;
mod plan;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lmic::nn::{Engine, Engines, Network};

use driver::Device;
use engine::CudaEngine;
#[doc(hidden)]
pub use gather::Tuning;
use gather::{Gather, Kernels};
use model::Model;

/// The kernels, which `scripts/cuda_ptx.py` makes of the source beside them.
const PTX: &str = include_str!("../kernels/recurrent.ptx");

/// From how many weights on a network is made for GPUs: any of those that are supported is then faster than all cores beside it.
const MADE_FOR_GPUS: usize = 20 << 20; // tunable

/// Whether a GPU is faster than CPUs for this network whatever is coded, so that it may be used unasked: that of level 9.
pub fn is_made_for_gpus(network: &Network) -> bool {
    let Network::Recurrent(network) = network else { return false };
    let c = network.config();
    c.layers * c.hidden_size * (4 * c.state_size + 3 * c.intermediate_size) >= MADE_FOR_GPUS
}

/// A network's identity, and a GPU.
type Place = ([u8; 32], usize);

/// GPUs, and the networks that they hold.
pub struct Gpus {
    devices: Vec<Arc<Kernels>>,
    tuning: Tuning,
    /// By identity and GPU; `None` where there was no memory.
    engines: Mutex<HashMap<Place, Option<Arc<CudaEngine>>>>,
    next: AtomicUsize,
}

impl Gpus {
    /// All GPUs, or the one of a number; the first is 0.
    ///
    /// # Errors
    /// In a sentence why there is none.
    pub fn find(which: Option<usize>) -> Result<Arc<Self>, String> {
        Self::with(which, Tuning::default())
    }

    /// [`find`](Self::find) for tests and measurements.
    #[doc(hidden)]
    pub fn with(which: Option<usize>, tuning: Tuning) -> Result<Arc<Self>, String> {
        let count = driver::count();
        let numbers = match which {
            _ if count == 0 => return Err("there is no NVIDIA GPU, or no driver for it".into()),
            Some(number) if number < count => number..number + 1,
            Some(number) => return Err(format!("there is no GPU {number}, only {count}")),
            None => 0..count,
        };
        let mut devices = Vec::new();
        for number in numbers {
            match Device::open(number).and_then(|device| Kernels::load(Arc::new(device), tuning)) {
                Ok(kernels) => devices.push(Arc::new(kernels)),
                Err(failure) if which.is_some() => return Err(format!("GPU {number}: {failure}")),
                Err(_) => {}
            }
        }
        if devices.is_empty() {
            return Err("no GPU of compute capability 8.0 or later could be used".into());
        }
        let (engines, next) = (Mutex::default(), AtomicUsize::new(0));
        Ok(Arc::new(Self { devices, tuning, engines, next }))
    }

    /// What the driver calls them.
    pub fn names(&self) -> Vec<&str> {
        self.devices.iter().map(|kernels| kernels.device().name()).collect()
    }

    /// Engines for the options of encoder and decoder. Blocks are dealt out to the GPUs in turn.
    pub fn engines(self: &Arc<Self>) -> Engines {
        let gpus = Arc::clone(self);
        Engines::found_by(move |network, _| gpus.engine(network))
    }

    /// An engine for a network on the next GPU; `None` for networks that are not for GPUs, or if there is no memory for it.
    pub fn engine(&self, network: &Network) -> Option<Arc<dyn Engine>> {
        let Network::Recurrent(network) = network else { return None };
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.devices.len();
        let kernels = &self.devices[place];
        let device = kernels.device();
        if !plan::Plan::new(network.config()).fits(device.shared_memory()) {
            return None;
        }
        let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        let engine = engines.entry((network.identity(), place)).or_insert_with(|| {
            let model = Model::load(device, network).ok()??;
            let gather = Gather::new(kernels, model, self.tuning).ok()?;
            let engine = CudaEngine::new(Arc::clone(network), gather);
            // A test that counts launches wants none of these.
            if self.tuning.fail_after.is_none() {
                engine.check();
            }
            Some(Arc::new(engine))
        });
        engine.clone().map(|engine| engine as _)
    }

    /// What has gone wrong on a GPU, if anything has; the CPU went on then.
    pub fn failure(&self) -> Option<String> {
        let engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        engines.values().flatten().find_map(|engine| engine.failure())
    }
}

impl fmt::Debug for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpus").field("devices", &self.devices).finish_non_exhaustive()
    }
}
