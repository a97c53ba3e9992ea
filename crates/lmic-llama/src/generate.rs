//! Going on with a text: tokens are drawn one by one, each from what the model says behind all before it in its window.

use lmic::Result;
use lmic::coder::Coder;
use lmic::draw::{Choice, Draw, Given};
use lmic::progress::Progress;
use lmic::quantize::Symbols;

use crate::Llama;
use crate::model::{Stream, Workspace};

impl Llama {
    /// `len` bytes behind `prompt`, or fewer after [`Progress::stop`]. The last token may have stood for more bytes than there was
    /// room for. Of a prompt that is longer than a window, only the end counts.
    ///
    /// # Errors
    /// As [`Draw::new`].
    pub fn generate(
        &self,
        prompt: &[u8],
        len: usize,
        choice: Choice,
        threads: usize,
        progress: &Progress,
    ) -> Result<Vec<u8>> {
        let windows = self.default_windows();
        let (context, overlap) = (windows.context as usize, windows.overlap as usize);
        let mut draw = Draw::new(Given::First(0), choice)?;
        let mut tokens = self.tokens(prompt);
        // What the window repeats of the tokens, behind the start token.
        let mut pending = self.window(&tokens, (context - 1).min(tokens.len()));
        let mut cache = self.model.cache();
        let (mut work, mut symbols) = (Workspace::default(), Symbols::default());
        let mut to_skip = usize::from(self.tokens.space_before() && tokens.is_empty());
        let (mut text, mut fed) = (Vec::with_capacity(len), 0);
        while text.len() < len && !progress.is_stopped() {
            fed += pending.len();
            let stream = Stream { cache: &mut cache, tokens: &pending, wanted: 1 };
            let logits = self.model.forward(&mut [stream], threads, &mut work);
            for &token in self.tokens.silent() {
                logits[token as usize] = f32::NEG_INFINITY;
            }
            self.model.level().softmax(logits);
            symbols.quantize(logits, 0);
            let token = draw.symbol(&symbols, 0) as u32;
            let mut piece = Vec::new();
            self.tokens.append(token, &mut piece);
            let skipped = to_skip.min(usize::from(piece.starts_with(b" ")));
            to_skip = 0;
            text.extend_from_slice(&piece[skipped..]);
            tokens.push(token);
            pending = vec![token];
            if fed == context {
                fed = 0;
                cache.reset();
                pending = self.window(&tokens, overlap.min(tokens.len()));
            }
        }
        text.truncate(len);
        Ok(text)
    }

    /// The inputs of a window that begins with the last `repeated` of `tokens`.
    fn window(&self, tokens: &[u32], repeated: usize) -> Vec<u32> {
        let repeated = tokens[tokens.len() - repeated..].iter();
        let start = std::iter::once(self.tokens.start());
        start.chain(repeated.map(|&token| self.tokens.input(token))).collect()
    }
}
