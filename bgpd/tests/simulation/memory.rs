//! How much memory a value holds: an allocator that counts what each thread has.
#![allow(unsafe_code)] // an allocator cannot be written without; all it does is hand on to the system's and count

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Octets allocated by this thread less those it freed; each test has its own thread.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

// SAFETY: every call is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn count(octets: isize) {
    // A thread that ends has nobody left to ask.
    let _ = HELD.try_with(|held| held.set(held.get() + octets));
}

/// Drops a value, and says how many octets it held.
pub(crate) fn held_by<T>(value: T) -> usize {
    let before = HELD.get();
    drop(value);
    (before - HELD.get()) as usize
}
