//! Gathers what many threads feed to one network, and launches it together.
//!
//! A launch takes as long for a few streams as for many, and what several launches do at once fits on a GPU side by side. So a few
//! launches may run at a time; while they do, feeds wait, and the next launch takes all of them. No thread is kept for it:
//! whoever feeds or waits looks what can be launched.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::{Device, Failure, Memory, Module, Pinned, Queue, Result, Shape};
use crate::model::{Model, Needs, TILE_ROWS, TILES};
use crate::wide::{NAMES, Rows as WideRows};

/// Launches at the same time.
const LAUNCHES: usize = 4; // tunable

/// Rows of a launch, unless one caller has more.
const ROWS: usize = 16_384; // tunable

/// Words of `Row` of the kernel.
pub const ROW_WORDS: usize = 5;

/// Up to how many tiles there are blocks of one tile and of two. With many blocks, those with more tiles are quicker, as L2 has not
/// the bandwidth for more readers of all weights.
const MOST_OF_TILES: [usize; 2] = [72, 144]; // tunable

/// How long a thread looks again and again before it gives its core to others.
const EAGER: Duration = Duration::from_micros(30); // tunable

/// After how long without an answer the driver is asked whether the GPU is still there.
const SUSPICIOUS: Duration = Duration::from_millis(100); // tunable

/// How kernels are launched.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Most threads of a block.
    pub threads: u32,
    /// Tiles of a block, if it shall not depend on how many rows there are.
    pub tiles: Option<usize>,
    /// Whether networks are taken through product by product, if that shall not depend on how wide they are.
    pub wide: Option<bool>,
    /// Rows of a block of these, if that shall not depend on how many there are.
    pub block_rows: Option<usize>,
    /// After how many launches one fails, for tests.
    pub fail_after: Option<u64>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { threads: u32::MAX, tiles: None, wide: None, block_rows: None, fail_after: None }
    }
}

/// Threads of blocks of one, two and four tiles. Each warp of level 8 has as many tiles of outputs as the others, or nearly so.
const THREADS: [u32; 3] = [640, 512, 320];

/// The module of kernels for products.
const WIDE: usize = TILES.len();

/// Launches at the same time where each fills the GPU.
const WIDE_LAUNCHES: usize = 2; // tunable

/// A symbol of a stream, as the kernel wants it: where the stream's state is, where the weights go or 0, the last eight symbols in
/// two words, the hash of the word so far. Addresses are those that the GPU sees.
pub type Row = [u64; ROW_WORDS];

/// Rows of one caller, and what became of them.
#[derive(Debug, Default)]
pub struct Request {
    rows: Mutex<Rows>,
    /// The launch that has it: 0 before, else its number times `LAUNCHES`, plus its place.
    launch: AtomicU64,
}

#[derive(Debug, Default)]
struct Rows {
    /// Stream after stream.
    rows: Vec<Row>,
    /// How many each stream has.
    runs: Vec<usize>,
}

/// A GPU's kernels, loaded when they are needed first.
pub struct Kernels {
    device: Arc<Device>,
    modules: [OnceLock<Module>; TILES.len() + 1],
}

impl Kernels {
    /// Loads those that are needed in any case.
    ///
    /// # Errors
    /// What the driver says.
    pub fn load(device: Arc<Device>) -> Result<Self> {
        let kernels = Self { device, modules: Default::default() };
        kernels.module(0)?;
        Ok(kernels)
    }

    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The kernels for blocks of `TILES[which]` tiles, or with [`WIDE`] for products.
    fn module(&self, which: usize) -> Result<&Module> {
        let module = &self.modules[which];
        if module.get().is_none() {
            // If another thread does the same at the same time, one of the two is not used.
            let names = if which == WIDE { &NAMES[..] } else { &[c"lmic_feed"] };
            let _ = module.set(Module::load(&self.device, crate::PTX[which], names)?);
        }
        Ok(module.get().expect("was just set"))
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Threads' feeds to one network on one GPU.
pub struct Gather {
    model: Model,
    kernels: Arc<Kernels>,
    tuning: Tuning,
    places: Vec<Place>,
    state: Mutex<State>,
}

struct Place {
    queue: Queue,
    /// Blocks of threads that have ended.
    blocks: Memory,
    /// The number of the last launch that has ended.
    done: Pinned<u64>,
}

struct State {
    /// What each place has in flight.
    places: Vec<InFlight>,
    waiting: Vec<Arc<Request>>,
    launches: u64,
    /// What went wrong, after which nothing is launched.
    failure: Option<Failure>,
    /// Launches until one is made to fail, for tests.
    until_failure: Option<u64>,
}

struct InFlight {
    rows: Pinned<u64>,
    jobs: Pinned<u64>,
    /// Whether a stream has several rows.
    follow: bool,
    /// Memory for all blocks.
    scratch: Option<Memory>,
    /// The launch, or 0.
    number: u64,
}

impl Gather {
    /// A gatherer for `model`.
    ///
    /// # Errors
    /// If there is no memory.
    pub fn new(kernels: &Arc<Kernels>, model: Model, tuning: Tuning) -> Result<Self> {
        let device = kernels.device();
        let mut places = Vec::new();
        let mut in_flight = Vec::new();
        for _ in 0..LAUNCHES {
            places.push(Place {
                queue: Queue::new(device)?,
                blocks: Memory::of(device, &[0u64])?,
                done: Pinned::new(device, 1)?,
            });
            let (rows, jobs) = (Pinned::new(device, 4096 * ROW_WORDS)?, Pinned::new(device, 4096)?);
            in_flight.push(InFlight { rows, jobs, follow: false, scratch: None, number: 0 });
        }
        let state = State {
            places: in_flight,
            waiting: Vec::new(),
            launches: 0,
            failure: None,
            until_failure: tuning.fail_after,
        };
        let kernels = Arc::clone(kernels);
        Ok(Self { model, kernels, tuning, places, state: Mutex::new(state) })
    }

    pub fn device(&self) -> &Arc<Device> {
        self.kernels.device()
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What has gone wrong, if anything has.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// From now on this has failed.
    pub fn give_up(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
    }

    /// Which of `TILES` blocks shall have if so many tiles are to be computed, and what they need.
    fn choose(&self, tiles: usize) -> (usize, Needs) {
        let wanted = match self.tuning.tiles {
            Some(n) => TILES.iter().position(|&tiles| tiles == n).unwrap_or(0),
            None => MOST_OF_TILES.iter().take_while(|&&most| tiles > most).count(),
        };
        let fitting = (0..=wanted).rev().find_map(|which| Some((which, self.model.needs[which]?)));
        fitting.expect("who made this has looked")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes states those of streams to which nothing has been fed.
    ///
    /// # Errors
    /// What the driver says.
    pub fn reset(&self, states: &Memory) -> Result<()> {
        self.places[0].queue.zero(states)
    }

    /// Hands in rows of streams, `runs[i]` of stream i, and launches them if a launch may begin.
    ///
    /// What they point to must stay as it is until [`wait`](Self::wait) has returned.
    pub fn submit(&self, request: &Arc<Request>, runs: &[usize], rows: impl Iterator<Item = Row>) {
        let mut own = request.rows.lock().unwrap_or_else(PoisonError::into_inner);
        own.rows.clear();
        own.rows.extend(rows);
        own.runs.clear();
        own.runs.extend_from_slice(runs);
        drop(own);
        request.launch.store(0, Ordering::Release);
        let mut state = self.lock();
        state.waiting.push(Arc::clone(request));
        self.launch_waiting(&mut state);
    }

    /// Waits until a request is done.
    ///
    /// # Errors
    /// What has gone wrong; then nothing is known of the states of the streams.
    pub fn wait(&self, request: &Request) -> Result<()> {
        let since = Instant::now();
        let mut asked = since;
        for turn in 0u64.. {
            match request.launch.load(Ordering::Acquire) {
                0 => {
                    // If another thread has it, that one launches.
                    if let Ok(mut state) = self.state.try_lock() {
                        if let Some(failure) = &state.failure {
                            return Err(failure.clone());
                        }
                        self.launch_waiting(&mut state);
                    }
                }
                launch => {
                    if self.is_done(launch) {
                        return Ok(());
                    }
                    // Others may wait for a place that has become free.
                    if turn % 16 == 15
                        && let Ok(mut state) = self.state.try_lock()
                    {
                        self.launch_waiting(&mut state);
                    }
                }
            }
            if turn % 16 != 0 {
                std::hint::spin_loop();
                continue;
            }
            let now = Instant::now();
            if now - since > EAGER {
                std::thread::yield_now();
            }
            if now - asked > SUSPICIOUS {
                asked = now;
                self.check()?;
            }
        }
        unreachable!("turns without end")
    }

    fn is_done(&self, launch: u64) -> bool {
        let place = (launch % LAUNCHES as u64) as usize;
        self.places[place].done.watch(0) >= launch
    }

    /// Asks the driver whether the GPU still works.
    fn check(&self) -> Result<()> {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.failure = self.places.iter().find_map(|place| place.queue.is_done().err());
        }
        state.failure.clone().map_or(Ok(()), Err)
    }

    fn launch_waiting(&self, state: &mut State) {
        let places = if self.model.plan.is_some() { WIDE_LAUNCHES } else { LAUNCHES };
        for place in 0..places {
            if state.waiting.is_empty() || state.failure.is_some() {
                return;
            }
            let number = state.places[place].number;
            if number != 0 && !self.is_done(number) {
                continue;
            }
            if let Err(failure) = self.launch(state, place) {
                state.failure = Some(failure);
            }
        }
    }

    /// Launches what waits, as far as it fits.
    fn launch(&self, state: &mut State, place: usize) -> Result<()> {
        if let Some(left) = &mut state.until_failure {
            if *left == 0 {
                return Err(Failure("a failure was asked for".into()));
            }
            *left -= 1;
        }
        state.launches += 1;
        let number = state.launches * LAUNCHES as u64 + place as u64;
        let in_flight = &mut state.places[place];
        let (mut taken, mut count) = (0, 0);
        for request in &state.waiting {
            let rows = request.rows.lock().unwrap_or_else(PoisonError::into_inner).rows.len();
            if taken > 0 && count + rows > ROWS {
                break;
            }
            (taken, count) = (taken + 1, count + rows);
        }
        if count > in_flight.jobs.len() {
            let count = count.next_power_of_two();
            in_flight.rows = Pinned::new(self.device(), count * ROW_WORDS)?;
            in_flight.jobs = Pinned::new(self.device(), count)?;
        }
        in_flight.follow = false;
        let (mut to, mut jobs) = (in_flight.rows.get_mut(), Jobs::new(in_flight.jobs.get_mut()));
        for request in &state.waiting[..taken] {
            let request = request.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = request.rows.as_flattened();
            to[..rows.len()].copy_from_slice(rows);
            to = &mut to[rows.len()..];
            request.runs.iter().for_each(|&rows| jobs.add(rows));
            in_flight.follow |= request.runs.iter().any(|&rows| rows > 1);
        }
        let jobs = jobs.finish();
        self.start(in_flight, place, number, count, jobs)?;
        state.places[place].number = number;
        for request in state.waiting.drain(..taken) {
            request.launch.store(number, Ordering::Release);
        }
        Ok(())
    }

    /// Launches rows and jobs that are in `in_flight`.
    fn start(
        &self,
        in_flight: &mut InFlight,
        place: usize,
        number: u64,
        count: usize,
        jobs: usize,
    ) -> Result<()> {
        let queue = &self.places[place].queue;
        let done = self.places[place].done.address();
        if let Some(plan) = &self.model.plan {
            let rows = WideRows {
                rows: in_flight.rows.address(),
                jobs: in_flight.jobs.address(),
                count,
                job_count: jobs,
                follow: in_flight.follow,
                done,
                ticket: number,
            };
            let scratch = in_flight.scratch(self.device(), plan.scratch(count, rows.follow))?;
            let module = self.kernels.module(WIDE)?;
            let block_rows = self.tuning.block_rows;
            return plan.run(
                &self.model,
                rows,
                scratch,
                block_rows,
                |kernel, shape, launch, mut layer, mut which| {
                    let mut arguments = [pointer(launch), pointer(&mut layer), pointer(&mut which)];
                    #[allow(unsafe_code, reason = "see there")]
                    // SAFETY: as below; the memory has the size that the plan asks for.
                    unsafe {
                        module.launch(kernel, shape, queue, &mut arguments)
                    }
                },
            );
        }
        let (which, needs) = self.choose(jobs);
        let blocks_of_threads = jobs.div_ceil(TILES[which]);
        let mut scratch = in_flight.scratch(self.device(), needs.scratch * blocks_of_threads)?;
        let shape = Shape {
            blocks: blocks_of_threads as u32,
            threads: THREADS[which].min(self.tuning.threads),
            shared: needs.shared as u32,
        };
        let mut model = self.model.words;
        let (mut rows, mut of_jobs) = (in_flight.rows.address(), in_flight.jobs.address());
        let mut tiles = jobs as u32;
        let mut blocks = self.places[place].blocks.address();
        let (mut done, mut ticket) = (done, number);
        let mut y_outside = u32::from(needs.y_outside);
        let mut arguments = [
            pointer(&mut model),
            pointer(&mut rows),
            pointer(&mut of_jobs),
            pointer(&mut tiles),
            pointer(&mut blocks),
            pointer(&mut done),
            pointer(&mut ticket),
            pointer(&mut scratch),
            pointer(&mut y_outside),
        ];
        #[allow(unsafe_code, reason = "see there")]
        // SAFETY: these are the arguments of the kernel. The place's memory is in use by no other launch. States and places for weights
        // are there, because whoever submits keeps them until the launch is done.
        unsafe {
            self.kernels.module(which)?.launch(0, shape, queue, &mut arguments)
        }
    }
}

impl InFlight {
    /// Memory of at least so many bytes.
    fn scratch(&mut self, device: &Arc<Device>, bytes: usize) -> Result<u64> {
        if self.scratch.as_ref().is_none_or(|own| own.len() < bytes) {
            self.scratch = Some(Memory::new(device, bytes.next_power_of_two())?);
        }
        Ok(self.scratch.as_ref().map_or(0, Memory::address))
    }
}

/// Packs runs of rows into jobs, which are of one tile if their runs are short.
struct Jobs<'a> {
    /// A job's first row, and in the upper half how many it has.
    jobs: &'a mut [u64],
    len: usize,
    first: usize,
    rows: usize,
}

impl<'a> Jobs<'a> {
    fn new(jobs: &'a mut [u64]) -> Self {
        Self { jobs, len: 0, first: 0, rows: 0 }
    }

    fn add(&mut self, rows: usize) {
        if self.rows > 0 && self.rows + rows > TILE_ROWS {
            self.close();
        }
        self.rows += rows;
    }

    fn close(&mut self) {
        self.jobs[self.len] = self.first as u64 | (self.rows as u64) << 32;
        self.len += 1;
        self.first += self.rows;
        self.rows = 0;
    }

    /// How many jobs there are.
    fn finish(mut self) -> usize {
        if self.rows > 0 {
            self.close();
        }
        self.len
    }
}

fn pointer<T>(argument: &mut T) -> *mut c_void {
    std::ptr::from_mut(argument).cast()
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("kernels", &self.kernels).finish_non_exhaustive()
    }
}
