//! How many bits data cost under a model: the walk of an encoder, with a coder that adds up instead of coding.
//!
//! These are estimates, as no code is made: an archive has some bytes around its codes, and copies what repeats over longer
//! distances. Data longer than a block are scored block by block. Models of tokens score by themselves, in a crate above this one.

use crate::EncodeOptions;
use crate::coder::Coder;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{check_available, is_available};
use crate::parallel;
use crate::progress::Progress;
use crate::quantize::{BitProb, Distribution};
use crate::walk::CodeLength;

/// The bits of each of `texts`, alone, under the model of `options`: as many at the same time as threads and memory allow. The
/// texts share the model, so scoring many short ones costs no more than coding them would.
///
/// ```
/// use lmic::{EncodeOptions, progress::Progress, score};
///
/// let options = EncodeOptions { level: 3, ..EncodeOptions::default() };
/// let [said, noise] = [b"to be or not to be or not to be", b"0mGq/7xY+Rk2vZp9sLw4cTn8bJd5aHe"];
/// let bits = score::bits(&options, &[said, noise], &Progress::default())?;
/// assert!(bits[0] < bits[1]);
/// # Ok::<(), lmic::Error>(())
/// ```
///
/// # Errors
/// As [`EncodeOptions::walk`], and [`ErrorKind::MemoryLimit`] if a block does not fit into the memory limit. After
/// [`Progress::stop`] the numbers mean nothing.
pub fn bits(options: &EncodeOptions, texts: &[&[u8]], progress: &Progress) -> Result<Vec<f64>> {
    let block_size = options.block_len()?;
    let (mut blocks, mut owners) = (Vec::new(), Vec::new());
    for (owner, text) in texts.iter().enumerate() {
        let before = blocks.len();
        blocks.extend(text.chunks(block_size));
        owners.extend((before..blocks.len()).map(|_| owner));
    }
    let scored = parallel::map(&blocks, options.most_walks(&blocks)?, |block| {
        if progress.is_stopped() {
            return Ok(0.0);
        }
        let mut coder = CodeLength::default();
        options.walk(&mut coder, &mut block.to_vec(), progress).map(|()| coder.bits())
    });
    let mut sums = vec![0.0; texts.len()];
    for (owner, bits) in owners.into_iter().zip(scored) {
        sums[owner] += bits?;
    }
    Ok(sums)
}

/// What each byte of `data` costs, in bits. A sample of several bytes costs what it does at its first byte.
///
/// # Errors
/// As [`bits`].
pub fn byte_costs(options: &EncodeOptions, data: &[u8], progress: &Progress) -> Result<Vec<f64>> {
    let blocks: Vec<_> = data.chunks(options.block_len()?).collect();
    let scored = parallel::map(&blocks, options.most_walks(&blocks)?, |block| {
        let mut costs = Costs { costs: vec![CodeLength::default(); block.len()], at: 0 };
        options.walk(&mut costs, &mut block.to_vec(), progress)?;
        Ok(costs.costs.iter().map(CodeLength::bits).collect())
    });
    Ok(scored.into_iter().collect::<Result<Vec<Vec<f64>>>>()?.concat())
}

impl EncodeOptions {
    /// How many blocks may be walked at the same time.
    fn most_walks(&self, blocks: &[&[u8]]) -> Result<usize> {
        let longest = blocks.iter().map(|block| block.len()).max().unwrap_or(0);
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let cost = self.walk_memory(longest)?.max(1);
        let limit = self.memory_limit.unwrap_or(u64::MAX);
        if cost > limit {
            let message =
                format!("scoring a block needs {cost} bytes of memory, the limit is {limit}");
            return Err(Error::new(ErrorKind::MemoryLimit, message));
        }
        check_available(cost)?;
        let most = usize::try_from(limit / cost).unwrap_or(usize::MAX);
        let threads = (1..=threads.min(most).min(blocks.len())).rev();
        let is_there = |&threads: &usize| is_available(cost.saturating_mul(threads as u64));
        Ok(threads.into_iter().find(is_there).unwrap_or(1))
    }
}

/// The coder that keeps what each byte costs.
struct Costs {
    costs: Vec<CodeLength>,
    at: usize,
}

impl Coder for Costs {
    const TOLD: bool = true;

    fn begin(&mut self, at: usize) {
        self.at = at;
    }

    fn bit(&mut self, p1: BitProb, bit: bool) -> bool {
        self.costs[self.at].bit(p1, bit)
    }

    fn symbol<D: Distribution>(&mut self, distribution: &D, symbol: usize) -> usize {
        self.costs[self.at].symbol(distribution, symbol)
    }
}
