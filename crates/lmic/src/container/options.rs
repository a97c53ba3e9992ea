//! Options of encoder and decoder.

use std::sync::Arc;

use super::preset::row;
use super::{MAX_BLOCK_LEN, MIN_BLOCK_SIZE};
use crate::block::{
    Content, DEFAULT_LEVEL, Finder, Kind, MAX_MODEL_NAME, MIXED_BLOCK_SIZE, Models, NamedNetwork,
    NamedPrimed, Numbered, StreamModel, Way, apart_network,
};
use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::nn::{Engines, Network, Windows};
use crate::progress::Progress;
use crate::records::Primed;

/// Memory that encoder and decoder keep to unless told otherwise: 4 GiB.
pub const DEFAULT_MEMORY_LIMIT: u64 = 4 << 30;

/// Bytes of content in a block that a transformer or a model of tokens codes alone. It would learn little from a longer
/// block than its windows hold, and many blocks keep all threads busy.
const NETWORK_BLOCK_SIZE: usize = 64 << 10;

/// Bytes of content in a block of records. Nothing is learned from one record to the next, so longer blocks gain nothing, and to
/// get at one record all of a block's payload is read.
const RECORDS_BLOCK_SIZE: usize = 256 << 10;

/// Repeats of at least so many bytes become copies, from level 5 on of four times as many. A model says in fewer bits that a
/// shorter one goes on than a copy takes, a weak model sooner than a strong one. (docs/measurements/container.md)
const SURE_COPY: usize = 1024; // tunable

/// How to encode. Validated once, when an encoder is made.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// 1 (fast) to [`MAX_LEVEL`](crate::MAX_LEVEL) (strong).
    pub level: u8,
    /// Bytes of content in a block, [`MIN_BLOCK_SIZE`] to [`MAX_BLOCK_LEN`]; `None` is the level's own.
    pub block_size: Option<usize>,
    /// Threads that code blocks, and teams of a long block, at the same time; 0 is one per core. The archive is the same for any
    /// number.
    pub threads: usize,
    /// Bytes of memory to keep to; `None` is no limit. Fewer threads are used if they do not fit.
    pub memory_limit: Option<u64>,
    /// What the whole input is; `None` recognises it.
    pub content: Option<Content>,
    /// A network to code bytes with, mixed with the strongest context mixing, in place of the level's model, unless it is just that. An
    /// archive names it, and is read with the same one only.
    pub model: Option<Network>,
    /// Uses the network alone, without context mixing. Only a transformer can be used so, and a model of tokens always is.
    pub alone: bool,
    /// How the network is used; `None` is [`Windows::sliding`] for a transformer alone, [`Network::mixed_windows`] in a mix.
    pub windows: Option<Windows>,
    /// A primed state to code bytes with, and the name that the archive shall have for it (1 to 64 bytes). An archive is read
    /// with the same state only. Up to level 4 the state codes alone, at level 5 together with context mixing, and from level 6
    /// on with a network of the library as well.
    pub primed: Option<(String, Arc<Primed>)>,
    /// Codes each line alone with the primed state, so that [`Archive::record`](super::Archive::record) gets to any of them
    /// quickly. What the state learns from a line is forgotten after it.
    pub records: bool,
    /// Where the network of a level is found that does not come with the program: [`apart_network`](crate::block::apart_network)
    /// says which levels need one.
    pub models: Models,
    /// What runs networks; the default is the CPU. The archive is the same for any.
    pub engines: Engines,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            level: DEFAULT_LEVEL,
            block_size: None,
            threads: 0,
            memory_limit: Some(DEFAULT_MEMORY_LIMIT),
            content: None,
            model: None,
            alone: false,
            windows: None,
            primed: None,
            records: false,
            models: Models::default(),
            engines: Engines::default(),
        }
    }
}

impl EncodeOptions {
    /// Checks every field; returns the model and the block size.
    pub(super) fn validate(&self) -> Result<(StreamModel, usize)> {
        let row = row(self.level)?;
        let own_size = match self.model {
            None if self.records => RECORDS_BLOCK_SIZE,
            None => row.block_size,
            Some(Network::Tokens(_)) => NETWORK_BLOCK_SIZE,
            Some(_) if self.alone => NETWORK_BLOCK_SIZE,
            Some(_) => MIXED_BLOCK_SIZE,
        };
        let block_size = self.block_size.unwrap_or(own_size);
        if !(MIN_BLOCK_SIZE..=MAX_BLOCK_LEN).contains(&block_size) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "block size {block_size}; allowed are {MIN_BLOCK_SIZE} to {MAX_BLOCK_LEN} bytes"
                ),
            ));
        }
        if let Some(content) = self.content {
            content.validate()?;
        }
        self.validate_content()?;
        Ok((self.stream_model(row.number)?, block_size))
    }

    /// Walks all of `data` as one block of what these options say it is, with any coder on the far side: to watch what each
    /// byte costs ([`Coder::begin`] says which it is), to sample, to go on with what is given. An archive may do better
    /// where an encoder finds out by itself what a block is. After [`Progress::stop`] it ends soon, and what the coder has seen
    /// means nothing.
    ///
    /// ```
    /// use lmic::walk::CodeLength;
    ///
    /// let mut data = b"to be or not to be. ".repeat(50);
    /// let mut coder = CodeLength::default();
    /// lmic::EncodeOptions { level: 3, ..Default::default() }.walk(&mut coder, &mut data, &Default::default())?;
    /// assert!(coder.bits() < data.len() as f64);
    /// # Ok::<(), lmic::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if an option is outside its documented range, for records, and for models of tokens.
    pub fn walk<C: Coder>(
        &self,
        coder: &mut C,
        data: &mut [u8],
        progress: &Progress,
    ) -> Result<()> {
        if self.records {
            let message = "records are walked one by one";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        match self.way()? {
            Some(way) => way.walk(coder, data, progress),
            None => Ok(()),
        }
    }

    /// Bytes of content in a block.
    pub(crate) fn block_len(&self) -> Result<usize> {
        Ok(self.validate()?.1)
    }

    /// Bytes of memory that [`walk`](Self::walk) takes for `len` bytes, with the bytes themselves.
    pub(crate) fn walk_memory(&self, len: usize) -> Result<u64> {
        let way = self.way()?;
        Ok(len as u64 + way.map_or(0, |way| way.memory(len)))
    }

    /// How all of an input is coded as one block.
    fn way(&self) -> Result<Option<Way>> {
        let (model, _) = self.validate()?;
        Way::new(&model, self.kind(self.content.unwrap_or_default(), &model), &self.models())
    }

    /// What finds repeats; `None` if lines, or pieces of a transformer alone, are coded each for itself.
    pub(super) fn finder(&self, block_size: usize) -> Option<Finder> {
        let apart = self.records || self.alone || matches!(self.model, Some(Network::Tokens(_)));
        let (sure, blocks) = match self.level {
            1..=4 => (SURE_COPY, 4),
            5 => (4 * SURE_COPY, 4),
            _ => (4 * SURE_COPY, 16), // of a quarter of the length
        };
        (!apart).then(|| Finder::new(sure, block_size.saturating_mul(blocks)))
    }

    /// The models that these options name.
    pub(super) fn models(&self) -> Models {
        let primed = self.primed.as_ref().map(|(_, primed)| Arc::clone(primed));
        let (given, others) = (self.model.clone(), self.models.clone());
        let is_it = |given: &Network, wanted: &NamedNetwork| given.identity() == wanted.identity;
        Models::found_by(move |wanted| match &given {
            Some(given) if is_it(given, wanted) => Ok(Some(given.clone())),
            _ => others.find(wanted),
        })
        .with_primed(move |_| Ok(primed.clone()))
        .run_by(self.engines.clone())
    }

    /// What a block of `content` in a stream of `model` is to be coded as.
    ///
    /// With a primed state, the level decides what bytes are coded as. And in a stream without a network, content that is to be
    /// coded without the network is bytes like any other.
    pub(super) fn kind(&self, content: Content, model: &StreamModel) -> Kind {
        match (content, row(self.level)) {
            (Content::Samples(format), _) => Kind::Samples(format),
            // What a primed state has learned may be of just such programs.
            (Content::Program(machine), _) if self.primed.is_none() => Kind::Program(machine),
            (_, Ok(&Numbered { number: network @ 5.., .. })) if self.primed.is_some() => {
                Kind::Guided { network }
            }
            (Content::Binary, _) if model.is_mixed() => Kind::Unmixed,
            (Content::Bytes | Content::Binary | Content::Program(_), _) => Kind::Bytes,
        }
    }

    fn validate_content(&self) -> Result<()> {
        let wrong = |message| Err(Error::new(ErrorKind::InvalidArgument, message));
        match self.content {
            Some(_) if self.records => wrong("records, and another content at once"),
            _ if self.records && self.primed.is_none() => wrong("records without a primed state"),
            _ => Ok(()),
        }
    }

    /// Whether a network that was given is the level's own, in the level's own lanes: then archives have the number of it, and its
    /// mix the start that was learned for it.
    fn is_of_level(&self, network: &Network) -> bool {
        let own = apart_network(self.level).is_some_and(|own| own.identity == network.identity());
        let usual = self.windows.is_none_or(|windows| windows == network.mixed_windows());
        own && usual && !self.alone
    }

    fn stream_model(&self, profile: u8) -> Result<StreamModel> {
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
        if let Some((name, primed)) = &self.primed {
            if self.model.is_some() {
                return wrong("a network and a primed state at once".into());
            }
            check_name(name)?;
            let (name, identity) = (name.clone(), primed.identity());
            return Ok(StreamModel::Primed(Arc::new(NamedPrimed { name, identity })));
        }
        let Some(network) = &self.model else { return Ok(StreamModel::of_number(profile)) };
        if self.is_of_level(network) {
            return Ok(StreamModel::of_number(profile));
        }
        let windows = match network {
            Network::Recurrent(_) if self.alone => {
                return wrong("a recurrent network cannot be used alone".into());
            }
            Network::Recurrent(_) => {
                let windows = self.windows.unwrap_or(network.mixed_windows());
                if (windows.context, windows.overlap) != (0, 0) {
                    return wrong("a recurrent network has no windows".into());
                }
                Windows { context: 2, ..windows }.validate()?;
                windows
            }
            Network::Tokens(model) => {
                let windows = self.windows.unwrap_or_else(|| model.windows());
                check_windows(windows, model.context())?;
                windows
            }
            Network::Transformer(model) => {
                let windows = self.windows.unwrap_or_else(|| match self.alone {
                    true => Windows::sliding(model),
                    false => network.mixed_windows(),
                });
                check_windows(windows, model.context())?;
                windows
            }
        };
        let name = network.name();
        check_name(name)?;
        let named =
            Arc::new(NamedNetwork { name: name.into(), identity: network.identity(), windows });
        Ok(match network {
            Network::Tokens(_) => StreamModel::Tokens(named),
            _ if self.alone => StreamModel::Network(named),
            _ => StreamModel::Mixed(named),
        })
    }
}

fn check_windows(windows: Windows, has: usize) -> Result<()> {
    windows.validate()?;
    let asked = windows.context as usize;
    if asked <= has {
        return Ok(());
    }
    let message = format!("a context of {asked}; the model has {has}");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

fn check_name(name: &str) -> Result<()> {
    if (1..=MAX_MODEL_NAME).contains(&name.len()) {
        return Ok(());
    }
    let message = format!("model name {name:?}; 1 to {MAX_MODEL_NAME} bytes allowed");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// How to decode.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Threads that decode at the same time; 0 is one per core.
    pub threads: usize,
    /// Bytes of memory to keep to; `None` is no limit. Fewer threads are used if they do not fit.
    pub memory_limit: Option<u64>,
    /// The networks and primed states that a decoder may use: see [`Models`].
    pub models: Models,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { threads: 0, memory_limit: Some(DEFAULT_MEMORY_LIMIT), models: Models::default() }
    }
}
