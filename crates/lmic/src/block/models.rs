//! Where a decoder finds the networks and primed states that streams name.

use std::fmt;
use std::sync::Arc;

use super::stream::{NamedNetwork, NamedPrimed};
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Engine, Engines, Network, Windows};
use crate::predict::cm::primed::Primed;

/// Networks and primed states at hand. The default has none.
#[derive(Clone, Default)]
pub struct Models {
    find: Option<Arc<Finder<NamedNetwork, Network>>>,
    find_primed: Option<Arc<Finder<NamedPrimed, Arc<Primed>>>>,
    engines: Engines,
}

type Finder<Wanted, Found> = dyn Fn(&Wanted) -> Result<Option<Found>> + Send + Sync;

impl Models {
    /// A decoder's models: these networks.
    pub fn of<M: Into<Network>>(models: Vec<M>) -> Self {
        let models: Vec<Network> = models.into_iter().map(Into::into).collect();
        Self::found_by(move |wanted| {
            Ok(models.iter().find(|model| model.identity() == wanted.identity).cloned())
        })
    }

    /// Models that `find` returns when a stream names one. Each decoder calls it for each block, from one thread at a time, so it
    /// should remember what it has loaded. A model of another identity counts as not found.
    pub fn found_by(
        find: impl Fn(&NamedNetwork) -> Result<Option<Network>> + Send + Sync + 'static,
    ) -> Self {
        Self { find: Some(Arc::new(find)), ..Self::default() }
    }

    /// The same models, and primed states that `find` returns when a stream names one, as in [`Models::found_by`].
    #[must_use]
    pub fn with_primed(
        self,
        find: impl Fn(&NamedPrimed) -> Result<Option<Arc<Primed>>> + Send + Sync + 'static,
    ) -> Self {
        Self { find_primed: Some(Arc::new(find)), ..self }
    }

    /// The same models, whose networks (and those of the library) are run by `engines`.
    #[must_use]
    pub fn run_by(self, engines: Engines) -> Self {
        Self { engines, ..self }
    }

    pub(super) fn engine(
        &self,
        network: &Network,
        windows: Option<Windows>,
    ) -> Option<Arc<dyn Engine>> {
        self.engines.of(network, windows)
    }

    /// The network of this identity, if it is at hand.
    pub(crate) fn find(&self, wanted: &NamedNetwork) -> Result<Option<Network>> {
        let found = self.find.as_ref().map_or(Ok(None), |find| find(wanted))?;
        Ok(found.filter(|model| model.identity() == wanted.identity))
    }

    pub(super) fn get(&self, wanted: &NamedNetwork) -> Result<Network> {
        self.find(wanted)?.ok_or_else(|| not_at_hand("model", &wanted.name, &wanted.identity_hex()))
    }

    pub(crate) fn get_primed(&self, wanted: &NamedPrimed) -> Result<Arc<Primed>> {
        let found = self.find_primed.as_ref().map_or(Ok(None), |find| find(wanted))?;
        let found = found.filter(|primed| primed.identity() == wanted.identity);
        found.ok_or_else(|| not_at_hand("primed state", &wanted.name, &wanted.identity_hex()))
    }
}

fn not_at_hand(what: &str, name: &str, identity: &str) -> Error {
    let message = format!(
        "the archive is coded with the {what} {name:?} of identity {identity}, which is not at hand"
    );
    Error::new(ErrorKind::WrongModel, message)
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Models")
            .field("any", &(self.find.is_some() || self.find_primed.is_some()))
            .finish()
    }
}
