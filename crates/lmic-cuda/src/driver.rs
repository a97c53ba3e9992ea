//! NVIDIA's driver in safe types: all that is unsafe in this crate.
//!
//! What is allocated keeps its device alive. A launch is the one place where the GPU is told addresses: [`Module::launch`] says what
//! has to be true of them.

#![allow(unsafe_code, reason = "the interface of the driver is one of C")]

use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUfunction_attribute};
use cudarc::driver::{DriverError, result};

/// What the driver says went wrong.
#[derive(Debug, Clone)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        let known = error.error_string().or_else(|_| error.error_name());
        let known = known.map(|text| text.to_string_lossy().into_owned());
        Self(known.unwrap_or_else(|_| format!("CUDA error {}", error.0 as u32)))
    }
}

pub type Result<T> = std::result::Result<T, Failure>;

/// How many GPUs there are; 0 without a driver.
pub fn count() -> usize {
    // SAFETY: loads a library, if there is one, whose initialisers are the system's own.
    if !unsafe { sys::is_culib_present() } || result::init().is_err() {
        return 0;
    }
    result::device::get_count().map_or(0, |count| count.max(0) as usize)
}

/// A GPU.
pub struct Device {
    ordinal: i32,
    context: sys::CUcontext,
    name: String,
    shared_memory: u32,
    multiprocessors: u32,
}

// SAFETY: the driver's handles may be used on any thread on which the context is current, which every method sees to.
unsafe impl Send for Device {}
// SAFETY: as above; the driver locks what needs it.
unsafe impl Sync for Device {}

/// Kernels on a GPU, of one PTX.
pub struct Module {
    device: Arc<Device>,
    kernels: Vec<sys::CUfunction>,
}

// SAFETY: as for `Device`.
unsafe impl Send for Module {}
// SAFETY: as for `Device`.
unsafe impl Sync for Module {}

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub blocks: u32,
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
}

impl Device {
    /// Takes GPU `ordinal`.
    ///
    /// # Errors
    /// What the driver says; also if the GPU is older than the kernels.
    pub fn open(ordinal: usize) -> Result<Self> {
        let ordinal = i32::try_from(ordinal).map_err(|_| Failure("no such GPU".into()))?;
        let device = result::device::get(ordinal)?;
        // SAFETY: the device is one.
        unsafe {
            let attribute = |which| result::device::get_attribute(device, which);
            let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
            if major < 8 {
                return Err(Failure(format!(
                    "compute capability {major}: 8.0 and later are supported"
                )));
            }
            let shared_memory =
                attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
            Ok(Self {
                ordinal,
                context: result::primary_ctx::retain(device)?,
                name: result::device::get_name(device)?,
                shared_memory: shared_memory as u32,
                multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?
                    as u32,
            })
        }
    }

    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most bytes of shared memory of a block of threads.
    pub fn shared_memory(&self) -> u32 {
        self.shared_memory
    }

    pub fn multiprocessors(&self) -> usize {
        self.multiprocessors as usize
    }

    fn make_current(&self) -> Result<()> {
        // SAFETY: the context is never released.
        Ok(unsafe { result::ctx::set_current(self.context) }?)
    }
}

impl Module {
    /// Has the driver make machine code of `ptx`, unless it has done so before and kept it, and finds the kernels of these names in it.
    ///
    /// # Errors
    /// What the driver says.
    pub fn load(device: &Arc<Device>, ptx: &str, names: &[&CStr]) -> Result<Self> {
        device.make_current()?;
        let ptx = CString::new(ptx).expect("PTX has no zero");
        // SAFETY: the PTX ends with a zero; the module stays for ever.
        unsafe {
            let module = result::module::load_data(ptx.as_ptr().cast())?;
            let mut kernels = Vec::new();
            for &name in names {
                let kernel = result::module::get_function(module, name.to_owned())?;
                result::function::set_function_attribute(
                    kernel,
                    CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    device.shared_memory as i32,
                )?;
                kernels.push(kernel);
            }
            Ok(Self { device: Arc::clone(device), kernels })
        }
    }

    /// Starts a kernel, by its place among the names, on a queue. Arguments are copied.
    ///
    /// # Safety
    /// They must be those of the kernel, in its order, and what they point to must stay until the kernel has ended.
    pub unsafe fn launch(
        &self,
        kernel: usize,
        shape: Shape,
        queue: &Queue,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        self.device.make_current()?;
        let (blocks, threads) = ((shape.blocks, 1, 1), (shape.threads, 1, 1));
        let kernel = self.kernels[kernel];
        // SAFETY: the function is the kernel's, and the caller answers for the arguments.
        unsafe {
            result::launch_kernel(kernel, blocks, threads, shape.shared, queue.stream, arguments)
        }?;
        Ok(())
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("ordinal", &self.ordinal).field("name", &self.name).finish()
    }
}

/// A queue of launches, which run one after the other. (The driver says stream, which here is something else.)
pub struct Queue {
    device: Arc<Device>,
    stream: sys::CUstream,
}

// SAFETY: as for `Device`.
unsafe impl Send for Queue {}
// SAFETY: as for `Device`.
unsafe impl Sync for Queue {}

impl Queue {
    pub fn new(device: &Arc<Device>) -> Result<Self> {
        device.make_current()?;
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
        Ok(Self { device: Arc::clone(device), stream })
    }

    /// Whether all is done.
    ///
    /// # Errors
    /// What has gone wrong on the GPU since.
    pub fn is_done(&self) -> Result<bool> {
        self.device.make_current()?;
        // SAFETY: the stream lives as long as this.
        match unsafe { sys::cuStreamQuery(self.stream) } {
            sys::CUresult::CUDA_SUCCESS => Ok(true),
            sys::CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            error => Err(DriverError(error).into()),
        }
    }

    /// Waits until all is done.
    ///
    /// # Errors
    /// What has gone wrong on the GPU since.
    pub fn wait(&self) -> Result<()> {
        self.device.make_current()?;
        // SAFETY: as above.
        Ok(unsafe { result::stream::synchronize(self.stream) }?)
    }
}

impl Queue {
    /// Makes memory zeros, and waits until it is.
    ///
    /// # Errors
    /// What the driver says.
    pub fn zero(&self, memory: &Memory) -> Result<()> {
        self.device.make_current()?;
        // SAFETY: the memory has this length.
        unsafe { result::memset_d8_async(memory.address, 0, memory.len, self.stream) }?;
        self.wait()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A lost GPU gives errors, and there is nothing left to free.
        if self.wait().is_ok() {
            // SAFETY: nobody else has it.
            let _ = unsafe { result::stream::destroy(self.stream) };
        }
    }
}

/// Memory of the GPU.
pub struct Memory {
    device: Arc<Device>,
    address: u64,
    len: usize,
}

impl Memory {
    /// `len` bytes of any content.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn new(device: &Arc<Device>, len: usize) -> Result<Self> {
        device.make_current()?;
        // SAFETY: what is in it is written before it is read: by `copy`, or by a kernel.
        let address = unsafe { result::malloc_sync(len.max(1)) }?;
        Ok(Self { device: Arc::clone(device), address, len })
    }

    /// Memory that holds `content`.
    ///
    /// # Errors
    /// As [`Memory::new`].
    pub fn of<T: Plain>(device: &Arc<Device>, content: &[T]) -> Result<Self> {
        let memory = Self::new(device, size_of_val(content))?;
        if !content.is_empty() {
            // SAFETY: it is as long.
            unsafe { result::memcpy_htod_sync(memory.address, content) }?;
        }
        Ok(memory)
    }

    pub fn address(&self) -> u64 {
        self.address
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.device.make_current().is_ok() {
            // SAFETY: it was allocated so, and nobody else has it. On a lost GPU this fails, and nothing is left to free.
            let _ = unsafe { result::free_sync(self.address) };
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Types of which any bits are a value, without padding.
///
/// # Safety
/// That must be true.
pub unsafe trait Plain: Copy {}
// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: numbers.
unsafe impl Plain for i8 {}
// SAFETY: numbers.
unsafe impl Plain for u64 {}
// SAFETY: numbers.
unsafe impl Plain for f32 {}
// SAFETY: numbers.
unsafe impl Plain for [f32; 256] {}

/// Memory of this machine that the GPU reads and writes, too, at the same address. Whoever reads or writes it here sees to it that
/// no kernel does so meanwhile.
pub struct Pinned<T> {
    device: Arc<Device>,
    at: *mut T,
    len: usize,
}

// SAFETY: it is like a box of plain numbers.
unsafe impl<T: Plain> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Pinned<T> {}

impl<T: Plain> Pinned<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// If there is no such memory.
    pub fn new(device: &Arc<Device>, len: usize) -> Result<Self> {
        device.make_current()?;
        let bytes = (len * size_of::<T>()).max(1);
        let flags = sys::CU_MEMHOSTALLOC_DEVICEMAP | sys::CU_MEMHOSTALLOC_PORTABLE;
        // SAFETY: it is filled before anyone reads.
        let at = unsafe {
            let at = result::malloc_host(bytes, flags)?;
            at.cast::<u8>().write_bytes(0, bytes);
            at.cast::<T>()
        };
        Ok(Self { device: Arc::clone(device), at, len })
    }

    /// Where the GPU sees it.
    pub fn address(&self) -> u64 {
        self.at as u64
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self) -> &[T] {
        // SAFETY: `len` numbers are there, aligned to pages, and any bits are numbers.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }

    pub fn get_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }
}

impl Pinned<u64> {
    /// Number `at`, which a kernel may be writing.
    pub fn watch(&self, at: usize) -> u64 {
        assert!(at < self.len);
        // SAFETY: it is there, aligned, and lives as long as this.
        let number = unsafe { AtomicU64::from_ptr(self.at.add(at)) };
        number.load(Ordering::Acquire)
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        if self.device.make_current().is_ok() {
            // SAFETY: it was allocated so, and nobody else has it.
            let _ = unsafe { result::free_host(self.at.cast()) };
        }
    }
}
