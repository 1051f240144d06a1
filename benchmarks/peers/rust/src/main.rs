//! The workloads with rayon and crossbeam, behind the command line and the JSON of the C++ programs.

mod kernels;
mod pingpong;
mod queues;
mod skew;
mod streams;

use std::time::{Duration, Instant};

/// What the command line says.
pub struct Options {
    pub cpus: usize,
    pub items: Option<u64>,
}

/// A benchmark: runs once and gives the items that went through and the time they took.
pub struct Benchmark {
    pub name: String,
    pub once: Box<dyn Fn() -> Result<(u64, Duration), String>>,
}

impl Benchmark {
    pub fn new(name: String, once: impl Fn() -> Result<(u64, Duration), String> + 'static) -> Self {
        Benchmark { name: name + "/real_time", once: Box::new(once) }
    }
}

/// Times `work`, whose answer must be `answer`, and which must call each kernel as often as said.
pub fn checked(
    items: u64,
    answer: u64,
    calls: &[(i32, u64)],
    work: impl FnOnce() -> u64,
) -> Result<(u64, Duration), String> {
    kernels::calls_reset();
    let begin = Instant::now();
    let got = work();
    let took = begin.elapsed();
    if got != answer {
        return Err("wrong answer".into());
    }
    if calls.iter().any(|&(which, wanted)| kernels::calls(which) != wanted) {
        return Err("wrong number of calls of a kernel".into());
    }
    Ok((items, took))
}

/// This thread, and all that it starts from now on, to the first of the CPUs that it may use.
pub fn pin(first: usize, count: usize) -> bool {
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        let mut chosen: libc::cpu_set_t = std::mem::zeroed();
        let size = std::mem::size_of::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size, &mut allowed) != 0 {
            return false;
        }
        let mut found = 0;
        for cpu in 0..libc::CPU_SETSIZE as usize {
            if libc::CPU_ISSET(cpu, &allowed) {
                if found >= first && found < first + count {
                    libc::CPU_SET(cpu, &mut chosen);
                }
                found += 1;
            }
        }
        found >= first + count && libc::sched_setaffinity(0, size, &chosen) == 0
    }
}

fn usage(message: &str) -> ! {
    eprintln!("peers_rust: {message}");
    std::process::exit(2)
}

fn main() {
    let mut options = Options { cpus: 1, items: None };
    let (mut list, mut filter, mut min_time, mut pinned) = (false, String::new(), 0.5, 0);
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, "true"));
        let number = || value.parse::<u64>().unwrap_or_else(|_| usage(&format!("{name} takes a number")));
        match name {
            "--cpus" => options.cpus = number() as usize,
            "--pinned-to" => pinned = number() as usize,
            "--items" => options.items = Some(number()),
            "--benchmark_list_tests" => list = value != "false",
            "--benchmark_filter" => filter = value.into(),
            "--benchmark_min_time" => {
                min_time = value.parse().unwrap_or_else(|_| usage("the time is no number"))
            }
            "--benchmark_format" => {}
            _ => usage(&format!("{argument}?")),
        }
    }
    if !pin(0, if pinned > 0 { pinned } else { options.cpus }) {
        usage("there are fewer CPUs to run on");
    }
    let filter = regex::Regex::new(&filter).unwrap_or_else(|error| usage(&error.to_string()));
    let mut benchmarks = Vec::new();
    streams::register(&options, &mut benchmarks);
    skew::register(&options, &mut benchmarks);
    queues::register(&options, &mut benchmarks);
    pingpong::register(&options, &mut benchmarks);
    benchmarks.retain(|benchmark| filter.is_match(&benchmark.name));
    if list {
        for benchmark in &benchmarks {
            println!("{}", benchmark.name);
        }
        return;
    }
    let results: Vec<String> = benchmarks.iter().map(|benchmark| measure(benchmark, min_time)).collect();
    println!("{{\"benchmarks\": [\n{}\n]}}", results.join(",\n"));
}

/// An entry of the JSON. Names and messages have nothing in them that must be escaped.
fn measure(benchmark: &Benchmark, min_time: f64) -> String {
    let name = &benchmark.name;
    let (mut items, mut time, mut iterations) = (0, Duration::ZERO, 0);
    while iterations == 0 || time.as_secs_f64() < min_time {
        match (benchmark.once)() {
            Ok((count, took)) => {
                items += count;
                time += took;
                iterations += 1;
            }
            Err(message) => {
                return format!("{{\"name\": \"{name}\", \"error_occurred\": true, \"error_message\": \"{message}\"}}");
            }
        }
    }
    let speed = items as f64 / time.as_secs_f64();
    format!(
        "{{\"name\": \"{name}\", \"run_type\": \"iteration\", \"iterations\": {iterations}, \"items_per_second\": {speed:.3}}}"
    )
}
