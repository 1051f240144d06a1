//! power, chain and token: rayon's bridge from an iterator that one thread at a time draws from, the
//! results collected for the thread that sums them; and
//! crossbeam's bounded channels, as a farm of as many workers as CPUs or with a thread for each stage.

use crate::kernels::{self, Stage};
use crate::{checked, Benchmark, Options};
use crossbeam::channel::bounded;
use rayon::prelude::*;
use std::cell::RefCell;
use std::thread;

const CHUNKS: [usize; 7] = [64, 256, 1024, 2048, 4096, 8192, 16384];
const ROOM: usize = 64;

#[derive(Clone, Copy)]
struct Shape {
    workload: &'static str,
    stage: Stage,
    kernel: i32,
    stages: usize,
    items: u64,
    chunk: usize,
}

impl Shape {
    fn name(&self, cpus: usize) -> String {
        let chunk = if self.workload == "token" { String::new() } else { format!("/chunk:{}", self.chunk) };
        format!("{}/k:{}/cpus:{cpus}{chunk}", self.workload, self.stages)
    }

    fn answer(&self) -> u64 {
        let n = self.items as u128;
        let sum = if self.workload == "power" {
            (n - 1) * n / 2 * (2 * n - 1) / 3
        } else {
            n * (n - 1) / 2 + self.stages as u128 * n
        };
        sum as u64
    }

    fn chunks(&self) -> u64 {
        (self.items + self.chunk as u64 - 1) / self.chunk as u64
    }

    fn fill(&self, index: u64, buffer: &mut Vec<u64>) {
        let first = index * self.chunk as u64;
        buffer.resize((self.items - first).min(self.chunk as u64) as usize, 0);
        kernels::fill(buffer, first);
    }

    fn all_stages(&self, index: u64, buffer: &mut Vec<u64>) -> u64 {
        self.fill(index, buffer);
        for _ in 0..self.stages {
            kernels::apply(self.stage, buffer);
        }
        kernels::sum(buffer)
    }

    fn one_by_one(&self, mut item: u64) -> u64 {
        for _ in 0..self.stages {
            kernels::apply(self.stage, std::slice::from_mut(&mut item));
        }
        item
    }
}

fn draw(item: u64) -> u64 {
    let mut drawn = 0;
    kernels::fill(std::slice::from_mut(&mut drawn), item);
    drawn
}

fn bridge(shape: Shape, pool: &rayon::ThreadPool) -> u64 {
    thread_local!(static BUFFER: RefCell<Vec<u64>> = RefCell::new(Vec::new()));
    let results: Vec<u64> = pool.install(|| {
        if shape.workload == "token" {
            return (0..shape.items).map(draw).par_bridge().map(|item| shape.one_by_one(item)).collect();
        }
        (0..shape.chunks())
            .par_bridge()
            .map(|index| BUFFER.with(|buffer| shape.all_stages(index, &mut buffer.borrow_mut())))
            .collect()
    });
    results.into_iter().fold(0, u64::wrapping_add)
}

fn farm(shape: Shape, cpus: usize) -> u64 {
    let token = shape.workload == "token";
    let (put, take) = bounded::<u64>(ROOM);
    let (put_sum, take_sum) = bounded::<u64>(ROOM);
    thread::scope(|scope| {
        scope.spawn(move || {
            for index in 0..shape.chunks() {
                put.send(if token { draw(index) } else { index }).unwrap();
            }
        });
        for _ in 0..cpus {
            let (take, put_sum) = (take.clone(), put_sum.clone());
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for job in take {
                    let result = if token { shape.one_by_one(job) } else { shape.all_stages(job, &mut buffer) };
                    put_sum.send(result).unwrap();
                }
            });
        }
        drop(put_sum);
        take_sum.iter().sum()
    })
}

/// Buffers travel, and come back to the source.
fn staged(shape: Shape) -> u64 {
    let (give_back, spare) = bounded::<Vec<u64>>(ROOM * (shape.stages + 2));
    for _ in 0..ROOM {
        give_back.send(Vec::with_capacity(shape.chunk)).unwrap();
    }
    thread::scope(|scope| {
        let (put, mut take) = bounded::<Vec<u64>>(ROOM);
        scope.spawn(move || {
            for index in 0..shape.chunks() {
                let mut buffer = spare.recv().unwrap();
                shape.fill(index, &mut buffer);
                put.send(buffer).unwrap();
            }
        });
        for _ in 0..shape.stages {
            let (put, next) = bounded::<Vec<u64>>(ROOM);
            let from = std::mem::replace(&mut take, next);
            scope.spawn(move || {
                for mut buffer in from {
                    kernels::apply(shape.stage, &mut buffer);
                    put.send(buffer).unwrap();
                }
            });
        }
        let mut total = 0u64;
        for buffer in take {
            total = total.wrapping_add(kernels::sum(&buffer));
            let _ = give_back.send(buffer); // the source may have ended
        }
        total
    })
}

fn staged_items(shape: Shape) -> u64 {
    thread::scope(|scope| {
        let (put, mut take) = bounded::<u64>(ROOM);
        scope.spawn(move || (0..shape.items).for_each(|item| put.send(draw(item)).unwrap()));
        for _ in 0..shape.stages {
            let (put, next) = bounded::<u64>(ROOM);
            let from = std::mem::replace(&mut take, next);
            scope.spawn(move || {
                for mut item in from {
                    kernels::apply(shape.stage, std::slice::from_mut(&mut item));
                    put.send(item).unwrap();
                }
            });
        }
        take.iter().sum()
    })
}

fn add(shape: Shape, cpus: usize, to: &mut Vec<Benchmark>) {
    let calls = vec![
        (shape.kernel, shape.stages as u64 * shape.chunks()),
        (kernels::SUM, if shape.workload == "token" { 0 } else { shape.chunks() }),
    ];
    let run = move |work: &dyn Fn() -> u64| checked(shape.items, shape.answer(), &calls, work);
    let name = shape.name(cpus);
    let one = run.clone();
    to.push(Benchmark::new(format!("{name}/rayon"), move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(cpus).build().map_err(|e| e.to_string())?;
        one(&|| bridge(shape, &pool))
    }));
    let one = run.clone();
    to.push(Benchmark::new(format!("{name}/crossbeam/threads:farm"), move || one(&|| farm(shape, cpus))));
    to.push(Benchmark::new(format!("{name}/crossbeam/threads:stages"), move || {
        run(&|| if shape.workload == "token" { staged_items(shape) } else { staged(shape) })
    }));
}

pub fn register(options: &Options, to: &mut Vec<Benchmark>) {
    let items = |usual| options.items.unwrap_or(usual);
    let (square, increment): (Stage, Stage) = (kernels::kernel_square, kernels::kernel_increment);
    for stages in [1, 4] {
        let shape = Shape {
            workload: "token", stage: increment, kernel: kernels::INCREMENT, stages, items: items(1_000_000), chunk: 1,
        };
        add(shape, options.cpus, to);
    }
    for chunk in CHUNKS {
        let power = Shape {
            workload: "power", stage: square, kernel: kernels::SQUARE, stages: 1, items: items(20_000_000), chunk,
        };
        add(power, options.cpus, to);
        for stages in [1, 4, 8] {
            let chain = Shape { workload: "chain", stage: increment, kernel: kernels::INCREMENT, stages, ..power };
            add(chain, options.cpus, to);
        }
    }
}
