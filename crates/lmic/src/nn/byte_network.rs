//! What a model of bytes needs of a network, whatever is inside.

/// What one stream feeds to a network in a call.
#[derive(Debug)]
pub struct Feed<'a, S> {
    /// What the network has kept of the stream so far; the new symbols are added.
    pub state: &'a mut S,
    /// The next symbols: bytes, or [`START_SYMBOL`](super::START_SYMBOL) at the beginning.
    pub symbols: &'a [u16],
    /// For how many of the last symbols a distribution is wanted.
    pub wanted: usize,
}

/// A network that predicts the next byte, with a state for each stream.
///
/// Contract: the bits of what it says depend on the symbols of a stream alone; not on other streams, nor on how many
/// symbols come at once, nor on the CPU.
pub trait ByteNetwork: Send + Sync {
    /// What is kept of a stream: of a fixed size.
    type State: Send;

    /// Buffers of one thread, kept from call to call.
    type Workspace: Default + Send;

    /// The state of a stream of which nothing has been fed.
    fn state(&self) -> Self::State;

    /// Back to that; keeps the memory.
    fn reset(&self, state: &mut Self::State);

    /// Feeds symbols to streams and returns weights in proportion to the probabilities of the 256 bytes, the largest
    /// about 1, in one row for each symbol wanted, stream after stream.
    ///
    /// # Panics
    /// If a symbol is none, more rows are wanted than fed, or a state is another network's.
    fn weights<'w>(
        &self,
        feeds: &mut [Feed<'_, Self::State>],
        work: &'w mut Self::Workspace,
    ) -> &'w [[f32; 256]];

    /// Bytes of a state.
    fn state_bytes(&self) -> u64;

    /// Bytes of a workspace for `rows` rows at once.
    fn workspace_bytes(&self, rows: usize) -> u64;
}
