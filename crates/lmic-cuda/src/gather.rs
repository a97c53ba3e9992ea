//! Gathers what many threads feed to one network, and launches it together.
//!
//! A launch takes as long for a few streams as for many, and what several launches do at once fits on a GPU side by side. So a few
//! launches may run at a time; while they do, feeds wait, and the next launch takes all of them. No thread is kept for it:
//! whoever feeds or waits looks what can be launched.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::{Device, Failure, Memory, Module, Pinned, Queue, Result};
use crate::model::Model;
use crate::plan::{NAMES, Plan, Rows as PlannedRows};

/// Launches at the same time.
const LAUNCHES: usize = 8; // tunable

/// Rows of a launch, unless one caller has more.
const ROWS: usize = 16_384; // tunable

/// Words of `Row` of the kernel.
pub const ROW_WORDS: usize = 5;

/// How long a thread looks again and again before it gives its core to others.
const EAGER: Duration = Duration::from_micros(30); // tunable

/// After how long without an answer the driver is asked whether the GPU is still there.
const SUSPICIOUS: Duration = Duration::from_millis(100); // tunable

/// How kernels are launched.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tuning {
    /// Rows of a piece, if that shall not depend on how many there are.
    pub block_rows: Option<usize>,
    /// Blocks of threads, if that shall not depend on how many rows there are.
    pub blocks: Option<usize>,
    /// PTX, if not our own.
    pub ptx: Option<&'static str>,
    /// After how many launches one fails, for tests.
    pub fail_after: Option<u64>,
}

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

/// A GPU's kernels.
pub struct Kernels {
    device: Arc<Device>,
    module: Module,
}

impl Kernels {
    /// # Errors
    /// What the driver says.
    pub fn load(device: Arc<Device>, tuning: Tuning) -> Result<Self> {
        let module = Module::load(&device, tuning.ptx.unwrap_or(crate::PTX), &NAMES)?;
        Ok(Self { device, module })
    }

    pub fn device(&self) -> &Arc<Device> {
        &self.device
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
    /// Whether a stream has several rows.
    follow: bool,
    /// Memory for what goes from product to product.
    scratch: Option<Memory>,
    /// Zeros between launches.
    counters: Option<Memory>,
    /// The launch, or 0, and its blocks of threads.
    number: u64,
    blocks: usize,
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
            places.push(Place { queue: Queue::new(device)?, done: Pinned::new(device, 1)? });
            let rows = Pinned::new(device, 4096 * ROW_WORDS)?;
            in_flight.push(InFlight {
                rows,
                follow: false,
                scratch: None,
                counters: None,
                number: 0,
                blocks: 0,
            });
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
        for place in 0..LAUNCHES {
            let number = state.places[place].number;
            if number != 0 && self.is_done(number) {
                state.places[place].number = 0;
                state.places[place].blocks = 0;
            }
        }
        while !state.waiting.is_empty() && state.failure.is_none() {
            // Two blocks of threads fit on a multiprocessor. What waits longer is launched together.
            let running: usize = state.places.iter().map(|place| place.blocks).sum();
            let free = state.places.iter().position(|place| place.number == 0);
            let Some(place) = free.filter(|_| running <= self.device().multiprocessors()) else {
                return;
            };
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
        if count * ROW_WORDS > in_flight.rows.len() {
            let count = count.next_power_of_two();
            in_flight.rows = Pinned::new(self.device(), count * ROW_WORDS)?;
        }
        in_flight.follow = false;
        let mut to = in_flight.rows.get_mut();
        for request in &state.waiting[..taken] {
            let request = request.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = request.rows.as_flattened();
            to[..rows.len()].copy_from_slice(rows);
            to = &mut to[rows.len()..];
            in_flight.follow |= request.runs.iter().any(|&rows| rows > 1);
        }
        self.start(in_flight, place, number, count)?;
        state.places[place].number = number;
        for request in state.waiting.drain(..taken) {
            request.launch.store(number, Ordering::Release);
        }
        Ok(())
    }

    /// Launches rows that are in `in_flight`.
    fn start(
        &self,
        in_flight: &mut InFlight,
        place: usize,
        number: u64,
        count: usize,
    ) -> Result<()> {
        let (device, plan) = (self.device(), &self.model.plan);
        let queue = &self.places[place].queue;
        let counters = Plan::counters(count);
        if in_flight.counters.as_ref().is_none_or(|own| own.len() < counters) {
            let counters = Memory::new(device, counters.next_power_of_two())?;
            queue.zero(&counters)?;
            in_flight.counters = Some(counters);
        }
        let rows = PlannedRows {
            rows: in_flight.rows.address(),
            count,
            follow: in_flight.follow,
            counters: in_flight.counters.as_ref().map_or(0, Memory::address),
            done: self.places[place].done.address(),
            ticket: number,
        };
        let scratch = in_flight.scratch(device, plan.scratch(count, rows.follow))?;
        let Tuning { block_rows, blocks, .. } = self.tuning;
        let (kernel, shape, mut launch) =
            plan.launch(&self.model, rows, scratch, block_rows, blocks, device.multiprocessors());
        #[allow(unsafe_code, reason = "see there")]
        // SAFETY: this is the argument of the kernel. The place's memory is in use by no other launch, and has the size that the plan
        // asks for. States and places for weights are there, because whoever submits keeps them until the launch is done.
        unsafe {
            self.kernels.module.launch(kernel, shape, queue, &mut [pointer(&mut launch)])?;
        }
        in_flight.blocks = shape.blocks as usize;
        Ok(())
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

fn pointer<T>(argument: &mut T) -> *mut c_void {
    std::ptr::from_mut(argument).cast()
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("kernels", &self.kernels).finish_non_exhaustive()
    }
}
