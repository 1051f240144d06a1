//! The kernels of support/kernels.c, and their counted calls.

pub const SQUARE: i32 = 1;
pub const INCREMENT: i32 = 2;
pub const SUM: i32 = 3;
pub const BURN: i32 = 4;

pub type Stage = unsafe extern "C" fn(*const u64, *mut u64, usize);

extern "C" {
    fn kernel_fill(out: *mut u64, first: u64, count: usize);
    pub fn kernel_square(from: *const u64, out: *mut u64, count: usize);
    pub fn kernel_increment(from: *const u64, out: *mut u64, count: usize);
    fn kernel_sum(from: *const u64, count: usize) -> u64;
    fn kernel_burn(seed: u64, units: u64) -> u64;
    fn kernel_calls(which: i32) -> u64;
    fn kernel_calls_reset();
}

pub fn fill(items: &mut [u64], first: u64) {
    unsafe { kernel_fill(items.as_mut_ptr(), first, items.len()) }
}

pub fn apply(stage: Stage, items: &mut [u64]) {
    unsafe { stage(items.as_ptr(), items.as_mut_ptr(), items.len()) }
}

pub fn sum(items: &[u64]) -> u64 {
    unsafe { kernel_sum(items.as_ptr(), items.len()) }
}

pub fn burn(seed: u64, units: u64) -> u64 {
    unsafe { kernel_burn(seed, units) }
}

pub fn calls(which: i32) -> u64 {
    unsafe { kernel_calls(which) }
}

pub fn calls_reset() {
    unsafe { kernel_calls_reset() }
}
