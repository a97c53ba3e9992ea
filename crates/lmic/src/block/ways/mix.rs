//! A network, perhaps a primed state, and context mixing.

use std::sync::Arc;

use super::super::numbers::number;
use super::{Walk, another, check_context};
use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Network, Recurrent, Windowed, Windows};
use crate::predict::cm::primed::Primed;
use crate::predict::mix::{self, Start};
use crate::progress::Progress;
use crate::walk;

#[derive(Debug, Clone)]
pub(crate) struct Mix {
    network: MixedNetwork,
    /// What the mix begins with.
    start: Option<&'static Start>,
    pub(in super::super) primed: Option<Arc<Primed>>,
    lanes: u8,
    pub(super) threads: usize,
}

/// A network as `mix` uses it.
#[derive(Debug, Clone)]
enum MixedNetwork {
    Transformer(Windowed),
    Recurrent(Arc<Recurrent>),
}

/// `$what` with the network inside, of whichever type.
macro_rules! with_network {
    ($network:expr, $model:ident => $what:expr) => {
        match $network {
            MixedNetwork::Transformer($model) => $what,
            MixedNetwork::Recurrent($model) => {
                let $model = &**$model;
                $what
            }
        }
    };
}

impl Mix {
    /// With a network from elsewhere.
    pub(super) fn new(network: Network, windows: Windows) -> Result<Self> {
        let network = match network {
            Network::Transformer(model) => {
                check_context(model.context(), windows)?;
                let (context, overlap) = (windows.context as usize, windows.overlap as usize);
                MixedNetwork::Transformer(Windowed { model, context, overlap })
            }
            Network::Tokens(_) => return another("one of bytes"),
            Network::Recurrent(_) if windows.context != 0 => {
                let message = "windows of a recurrent network, which has none";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            Network::Recurrent(model) => MixedNetwork::Recurrent(model),
        };
        Ok(Self { network, start: None, primed: None, lanes: windows.lanes, threads: 1 })
    }

    /// With a network of the library.
    pub(super) fn built_in(n: u8, primed: Option<Arc<Primed>>) -> Result<Self> {
        let Some(network) = number(n).and_then(|row| row.network) else {
            let message = format!(
                "the archive is coded with the built-in model {n}, which this version lacks"
            );
            return Err(Error::new(ErrorKind::WrongModel, message));
        };
        let built_in = network.unpacked();
        let network = MixedNetwork::Recurrent(Arc::clone(&built_in.network));
        let (start, lanes) = (Some(&built_in.start), Windows::MIXED_LANES);
        Ok(Self { network, start, primed, lanes, threads: 1 })
    }
}

impl Walk for Mix {
    fn memory(&self, len: usize) -> u64 {
        let Self { primed, lanes, threads, .. } = self;
        with_network!(&self.network, model => {
            mix::Mix::memory(model, primed.as_ref(), *lanes, *threads, len)
        })
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        let Self { start, primed, lanes, threads, .. } = self;
        with_network!(&self.network, model => {
            let mut mix = mix::Mix::new(model, *start, primed.as_ref(), *lanes, *threads, progress);
            walk::walk(&mut mix, coder, data);
        });
    }
}
