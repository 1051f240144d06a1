//! skew: each item burns a time of a Pareto distribution, as in shapes/skew/config.h.

use crate::{checked, kernels, Benchmark, Options};
use crossbeam::channel::bounded;
use rayon::prelude::*;
use std::sync::Arc;
use std::thread;

const DRAWN: usize = 20_000;

fn units() -> Vec<u64> {
    let (mean, shape) = (15_000.0, 1.2);
    let mut state = 88172645463325252u64;
    let draws: Vec<f64> = (0..DRAWN)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let uniform = ((state >> 11) as f64 + 0.5) / 9007199254740992.0;
            uniform.powf(-1.0 / shape).min(1250.0)
        })
        .collect();
    let sum: f64 = draws.iter().sum();
    draws.iter().map(|draw| (draw * mean * DRAWN as f64 / sum).min(250.0 * mean) as u64).collect()
}

/// The map of n steps is the map of the bits of n, one after the other.
fn answer(items: u64, units: &[u64]) -> u64 {
    (0..items).fold(0u64, |sum, item| {
        let (mut multiplier, mut increment, mut state) = (6364136223846793005u64, 1442695040888963407u64, item);
        let mut steps = units[item as usize % DRAWN];
        while steps != 0 {
            if steps & 1 == 1 {
                state = state.wrapping_mul(multiplier).wrapping_add(increment);
            }
            increment = increment.wrapping_mul(multiplier).wrapping_add(increment);
            multiplier = multiplier.wrapping_mul(multiplier);
            steps >>= 1;
        }
        sum.wrapping_add(state)
    })
}

fn burn(first: u64, chunk: u64, items: u64, units: &[u64]) -> u64 {
    (first..(first + chunk).min(items))
        .fold(0, |sum: u64, item| sum.wrapping_add(kernels::burn(item, units[item as usize % DRAWN])))
}

fn farm(cpus: usize, chunk: u64, items: u64, units: &[u64]) -> u64 {
    let (put, take) = bounded::<u64>(64);
    let (put_sum, take_sum) = bounded::<u64>(64);
    thread::scope(|scope| {
        scope.spawn(move || (0..items).step_by(chunk as usize).for_each(|first| put.send(first).unwrap()));
        for _ in 0..cpus {
            let (take, put_sum) = (take.clone(), put_sum.clone());
            scope.spawn(move || take.iter().for_each(|first| put_sum.send(burn(first, chunk, items, units)).unwrap()));
        }
        drop(put_sum);
        take_sum.iter().fold(0u64, |sum, one| sum.wrapping_add(one))
    })
}

fn bridge(pool: &rayon::ThreadPool, chunk: u64, items: u64, units: &[u64]) -> u64 {
    pool.install(|| {
        (0..items)
            .step_by(chunk as usize)
            .par_bridge()
            .map(|first| burn(first, chunk, items, units))
            .reduce(|| 0, |a, b| a.wrapping_add(b))
    })
}

pub fn register(options: &Options, to: &mut Vec<Benchmark>) {
    let (cpus, items) = (options.cpus, options.items.unwrap_or(DRAWN as u64));
    let table = Arc::new(units());
    for chunk in [1, 16] {
        let name = format!("skew/cpus:{cpus}/chunk:{chunk}");
        let calls = [(kernels::BURN, items)];
        let units = table.clone();
        to.push(Benchmark::new(format!("{name}/rayon"), move || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(cpus).build().map_err(|e| e.to_string())?;
            checked(items, answer(items, &units), &calls, || bridge(&pool, chunk, items, &units))
        }));
        let units = table.clone();
        to.push(Benchmark::new(format!("{name}/crossbeam/threads:farm"), move || {
            checked(items, answer(items, &units), &calls, || farm(cpus, chunk, items, &units))
        }));
    }
}
