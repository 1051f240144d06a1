//! pingpong: two of crossbeam's channels of one item.

use crate::{pin, Benchmark, Options};
use crossbeam::channel::bounded;
use std::thread;
use std::time::{Duration, Instant};

const TRIPS: u64 = 500;

fn run(across: bool) -> Result<(u64, Duration), String> {
    let (there, take_there) = bounded::<u64>(1);
    let (back, take_back) = bounded::<u64>(1);
    let other = thread::spawn(move || {
        if across {
            pin(1, 1);
        }
        for item in take_there {
            back.send(item).unwrap();
        }
    });
    // A thread of its own, so that the affinity ends with it.
    let this = thread::spawn(move || {
        if across {
            pin(0, 1);
        }
        let begin = Instant::now();
        for item in 1..=TRIPS {
            there.send(item).unwrap();
            if take_back.recv().unwrap() != item {
                return Err("wrong item".to_string());
            }
        }
        Ok((TRIPS, begin.elapsed()))
    });
    let result = this.join().unwrap();
    other.join().unwrap();
    result
}

pub fn register(options: &Options, to: &mut Vec<Benchmark>) {
    let cpus = options.cpus;
    for across in [false, true] {
        if across && cpus == 1 {
            continue;
        }
        let threads = if across { "across" } else { "free" };
        to.push(Benchmark::new(format!("pingpong/cpus:{cpus}/threads:{threads}/crossbeam/bounded"), move || {
            run(across)
        }));
    }
}
