//! queue: crossbeam's queues and channels, item by item.

use crate::{Benchmark, Options};
use crossbeam::channel::{self, Receiver, Sender};
use crossbeam::queue::{ArrayQueue, SegQueue};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const ROOM: usize = 4096;

trait Queue: Sync {
    fn put(&self, item: u64, waiting: &mut Waiting);
    fn take(&self, waiting: &mut Waiting) -> u64;
}

/// On an empty or full queue: give up the CPU at once, or look 64 times first.
struct Waiting {
    spins: bool,
    looks: u32,
}

impl Waiting {
    fn until<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> T {
        self.looks = 0;
        loop {
            if let Some(found) = look() {
                return found;
            }
            self.looks += 1;
            if self.spins && self.looks <= 64 {
                std::hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl Queue for SegQueue<u64> {
    fn put(&self, item: u64, _: &mut Waiting) {
        self.push(item);
    }
    fn take(&self, waiting: &mut Waiting) -> u64 {
        waiting.until(|| self.pop())
    }
}

impl Queue for ArrayQueue<u64> {
    fn put(&self, item: u64, waiting: &mut Waiting) {
        waiting.until(|| self.push(item).ok());
    }
    fn take(&self, waiting: &mut Waiting) -> u64 {
        waiting.until(|| self.pop())
    }
}

/// Waits by itself.
impl Queue for (Sender<u64>, Receiver<u64>) {
    fn put(&self, item: u64, _: &mut Waiting) {
        self.0.send(item).unwrap();
    }
    fn take(&self, _: &mut Waiting) -> u64 {
        self.1.recv().unwrap()
    }
}

fn run(queue: impl Queue, pairs: u64, items: u64, spins: bool) -> Result<(u64, Duration), String> {
    let share = items / pairs;
    let gate = Barrier::new(2 * pairs as usize + 1);
    let (queue, gate) = (&queue, &gate);
    let (total, took) = thread::scope(|scope| {
        let mut consumers = Vec::new();
        let mut producers = Vec::new();
        for pair in 0..pairs {
            producers.push(scope.spawn(move || {
                let mut waiting = Waiting { spins, looks: 0 };
                gate.wait();
                for item in 1 + pair * share..=(pair + 1) * share {
                    queue.put(item, &mut waiting);
                }
            }));
            consumers.push(scope.spawn(move || {
                let mut waiting = Waiting { spins, looks: 0 };
                gate.wait();
                (0..share).map(|_| queue.take(&mut waiting)).sum::<u64>()
            }));
        }
        gate.wait();
        let begin = Instant::now();
        producers.into_iter().for_each(|thread| thread.join().unwrap());
        let total: u64 = consumers.into_iter().map(|thread| thread.join().unwrap()).sum();
        (total, begin.elapsed())
    });
    if total != items / 2 * (items + 1) {
        return Err("wrong sum".into());
    }
    Ok((items, took))
}

pub fn register(options: &Options, to: &mut Vec<Benchmark>) {
    let items = (options.items.unwrap_or(1 << 20) / 512).max(1) * 512;
    for pairs in [1, 2, 4] {
        let name = format!("queue/{pairs}p{pairs}c/batch:1/cpus:{}", options.cpus);
        for spins in [false, true] {
            let wait = if spins { "spin" } else { "yield" };
            to.push(Benchmark::new(format!("{name}/seg_queue/wait:{wait}"), move || {
                run(SegQueue::new(), pairs, items, spins)
            }));
            to.push(Benchmark::new(format!("{name}/array_queue/wait:{wait}"), move || {
                run(ArrayQueue::new(ROOM), pairs, items, spins)
            }));
        }
        to.push(Benchmark::new(format!("{name}/channel/bounded"), move || {
            run(channel::bounded(ROOM), pairs, items, false)
        }));
        to.push(Benchmark::new(format!("{name}/channel/unbounded"), move || {
            run(channel::unbounded(), pairs, items, false)
        }));
    }
}
