//! A network, perhaps a primed state, and context mixing.

use std::sync::Arc;

use super::super::models::Models;
use super::super::numbers::number;
use super::super::stream::NamedNetwork;
use super::{Walk, another, check_context};
use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Engine, Network};
use crate::predict::cm::primed::Primed;
use crate::predict::mix::{self, Start};
use crate::predict::teams::{Alone, Cut, Run};
use crate::progress::Progress;

/// Teams that a thread decodes in turn if their network is computed elsewhere: while it decodes one, the others' is.
const TEAMS_OF_A_THREAD: usize = 4; // tunable

/// So many threads, which wait for what is computed elsewhere most of the time, count as one. Thus more blocks are on their way, and
/// more is computed at once.
const WAITING_THREADS: usize = 4; // tunable

#[derive(Debug, Clone)]
pub(crate) struct Mix {
    engine: Arc<dyn Engine>,
    /// What the mix begins with.
    start: Option<&'static Start>,
    pub(in super::super) primed: Option<Arc<Primed>>,
    lanes: u8,
}

impl Mix {
    /// A mix with a network that the stream names.
    pub(super) fn new(named: &NamedNetwork, models: &Models) -> Result<Self> {
        let (network, windows) = (models.get(named)?, named.windows);
        let asked = match &network {
            Network::Transformer(model) => {
                check_context(model.context(), windows)?;
                Some(windows)
            }
            Network::Recurrent(_) if windows.context != 0 => {
                let message = "windows of a recurrent network, which has none";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            Network::Recurrent(_) | Network::Tokens(_) => None,
        };
        let Some(engine) = models.engine(&network, asked) else { return another("one of bytes") };
        Ok(Self { engine, start: None, primed: None, lanes: windows.lanes })
    }

    /// A mix with a network of the library.
    pub(super) fn built_in(n: u8, primed: Option<Arc<Primed>>, models: &Models) -> Result<Self> {
        let Some(numbered) = number(n).and_then(|row| row.network) else {
            let message = format!(
                "the archive is coded with the built-in model {n}, which this version lacks"
            );
            return Err(Error::new(ErrorKind::WrongModel, message));
        };
        let network = Network::Recurrent(numbered.network(models)?);
        let Some(engine) = models.engine(&network, None) else { return another("one of bytes") };
        Ok(Self { engine, start: Some(numbered.start()?), primed, lanes: numbered.lanes })
    }
}

impl Mix {
    /// The same with another number of lanes.
    pub(in super::super) fn with_lanes(&self, lanes: u8) -> Self {
        Self { lanes, ..self.clone() }
    }

    /// Whether the network is one of the library, which its stream names by a number.
    pub(in super::super) fn is_built_in(&self) -> bool {
        self.start.is_some() && self.primed.is_none()
    }

    /// Most lanes of a team.
    pub(in super::super) fn lanes(&self) -> u8 {
        self.lanes
    }

    /// How a block of `len` bytes is cut into teams and lanes.
    pub(in super::super) fn cut(&self, len: usize) -> Cut {
        mix::Mix::cut(len, self.lanes, self.primed.is_some())
    }

    /// How many threads can work on a block of `len` bytes, which are known or not.
    pub(super) fn most_threads(&self, len: usize, known: bool) -> usize {
        let teams = self.cut(len).teams();
        // What is known is computed ahead, so that a thread with one team seldom waits.
        let wait = self.engine.computes_elsewhere() && !known;
        if wait { teams.div_ceil(TEAMS_OF_A_THREAD) } else { teams }
    }

    /// As how many threads those of a block count.
    pub(super) fn busy(&self, threads: usize) -> usize {
        if self.engine.computes_elsewhere() { threads.div_ceil(WAITING_THREADS) } else { threads }
    }

    /// The model of a block of `len` bytes.
    fn mix(&self, len: usize) -> mix::Mix<'_> {
        mix::Mix::new(&*self.engine, self.start, self.primed.as_ref(), self.cut(len))
    }
}

impl Walk for Mix {
    fn memory(&self, len: usize) -> u64 {
        mix::Mix::memory(&*self.engine, self.primed.as_ref(), self.cut(len))
    }

    fn teams(&self, len: usize) -> usize {
        self.cut(len).teams()
    }

    fn walk_teams(&self, run: impl Run, data: &mut [u8], progress: &Progress) {
        self.mix(data.len()).walk_teams(run, data, progress);
    }

    fn walk<C: Coder>(&self, coder: &mut C, data: &mut [u8], progress: &Progress) {
        match self.teams(data.len()) {
            0 | 1 => self.mix(data.len()).walk_alone(coder, data, progress),
            _ => self.walk_teams(Alone(coder), data, progress),
        }
    }
}
