//! A step of a MuJoCo plant does not allocate. One test alone in its program, so that no other thread is counted.
#![cfg(feature = "mujoco")]
// A global allocator is an unsafe trait; nothing else here is unsafe.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use engram::plant::{Driven, MUJOCO_NAMES, Start, TaskSet, by_name, random_stream};

/// The system's allocator, counting per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`, for `alloc` above passes both on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as in `dealloc`, and the caller's promise about `size` is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_mujoco_step_allocates_nothing() {
    let robot = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/robots/balancer.toml"
    );
    for name in MUJOCO_NAMES.into_iter().chain([robot]) {
        let plant = by_name(name).unwrap();
        let mut random = random_stream(0, TaskSet::HeldOut.stream(), 0);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        let actions = plant.contract().actions.len();
        let mut driven = Driven::new(plant);
        driven.begin(&task, 1);
        let mut command = vec![0.0f32; actions];
        let before = ALLOCATIONS.get();
        assert!(before > 0, "the counter works");
        for step in 0..400 {
            for (index, entry) in command.iter_mut().enumerate() {
                *entry = if (step + index) % 7 < 3 { 0.8 } else { -0.8 };
            }
            driven.act(&command);
            if driven.plant().ended() {
                driven.restart(Start::Usual);
            }
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{name}");
    }
}
