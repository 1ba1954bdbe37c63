//! `firstring simulate`: its words, and which simulation they ask for.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, FAILED, failed, missing_path};
use crate::clock::Clock;
use crate::sim;
use crate::time::Millis;

const SIMULATE_HELP: &str = "\
Examples:
  firstring simulate --seeds 1000                      a thousand hours of simulated centres
  firstring simulate --seed 4711 --trace               one of them again, step by step
  firstring simulate --what-if                         how many seats for 95 % in 10 s, in a city like Ningbo
  firstring simulate --what-if --calls 1500 --plot seats.svg
  firstring simulate --what-if --journal /var/lib/firstring/journal --growth 20 --seats 3..8
  firstring simulate --flood --seeds 100               200 calls a minute from 20 numbers
  firstring simulate --small                           every interleaving of three seats and four calls
  firstring simulate --reference                       the choice of seats against a naive one, 100,000 steps

docs/what-if.md says what is simulated, what is assumed and how to read the table.";

/// `firstring simulate`
#[derive(Clone, Debug, Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct Simulate {
    /// How many centres
    #[arg(long, default_value_t = 100)]
    pub seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub first: u64,
    /// One seed only: a failing one again, or the days of --what-if
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    pub seed: Option<u64>,
    /// Virtual minutes of each
    #[arg(long, default_value_t = sim::day::MINUTES, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
    /// Where a failing seed is kept, with what led to it
    #[arg(long, value_name = "FOLDER", default_value = "failing-seeds")]
    pub keep: PathBuf,
    /// Print every step of each seed
    #[arg(long)]
    pub trace: bool,
    /// A flood instead: 200 calls a minute from 20 numbers at four seats, and one genuine call a minute
    #[arg(long, conflicts_with_all = ["trace", "minutes"])]
    pub flood: bool,
    /// Every interleaving of a small centre instead: three seats, four calls
    #[arg(long, conflicts_with_all = ["trace", "minutes", "flood", "seeds", "first", "seed"])]
    pub small: bool,
    /// The choice of seats against a naive one instead, 100,000 generated steps
    #[arg(long, conflicts_with_all = ["trace", "minutes", "flood", "small", "seeds", "first", "seed"])]
    pub reference: bool,
    #[command(flatten)]
    pub what_if: WhatIf,
}

/// `firstring simulate --what-if`
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How many seats")]
pub struct WhatIf {
    /// How many seats for so many answered in time? Days of calls instead, lived through with one seat after another
    #[arg(long, conflicts_with_all = ["trace", "minutes", "flood", "small", "reference", "seeds", "first"])]
    pub what_if: bool,
    /// Calls of this journal (a folder or a segment) instead of generated ones; it is only read
    #[arg(long, value_name = "PATH", requires = "what_if", conflicts_with_all = ["calls", "days"])]
    pub journal: Option<PathBuf>,
    /// Generated calls a day
    #[arg(long, default_value_t = sim::what_if::CALLS_A_DAY, requires = "what_if", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub calls: u32,
    /// Generated days
    #[arg(long, default_value_t = 7, requires = "what_if", value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: u32,
    /// So many percent more calls, or fewer (-20)
    #[arg(long, default_value_t = 0, value_name = "PERCENT", requires = "what_if", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-90..=1000))]
    pub growth: i32,
    /// Seats to try, such as 4 or 3..9; otherwise up to the first number that is enough, and one more
    #[arg(long, value_name = "SEATS", requires = "what_if")]
    pub seats: Option<sim::what_if::Seats>,
    /// Share of callers to be answered in time
    #[arg(long, default_value_t = 95, value_name = "PERCENT", requires = "what_if", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub goal: u32,
    /// Seconds from arrival to answer that are in time
    #[arg(long, default_value_t = 10, value_name = "SECONDS", requires = "what_if", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub within: u32,
    /// Also draw it into this file (SVG)
    #[arg(long, value_name = "FILE", requires = "what_if")]
    pub plot: Option<PathBuf>,
    /// Language of table and plot
    #[arg(long, default_value = "zh", value_parser = ["zh", "en"], requires = "what_if")]
    pub lang: String,
}

pub(super) fn run_simulate(simulate: &Simulate) -> u8 {
    if simulate.what_if.what_if {
        return run_what_if(&simulate.what_if, simulate.seed.unwrap_or(1));
    }
    if simulate.small {
        let walk = sim::small::walk(sim::small::DEPTH_MAX);
        for violation in &walk.violations {
            eprintln!("{violation}");
        }
        println!("{walk}");
        return if walk.holds() { DONE } else { FAILED };
    }
    if simulate.reference {
        let comparison = sim::reference::compare(sim::reference::STEPS, None);
        for difference in &comparison.told {
            eprintln!("{difference}");
        }
        println!("{comparison}");
        return if comparison.holds() { DONE } else { FAILED };
    }
    let (first, seeds) = simulate
        .seed
        .map_or((simulate.first, simulate.seeds), |seed| (seed, 1));
    if simulate.flood {
        let floods = sim::flood::campaign(first, seeds);
        println!("{floods}");
        return if floods.holds() { DONE } else { FAILED };
    }
    if simulate.trace {
        for seed in first..first.saturating_add(seeds) {
            let (_, trail) = sim::day::trace(seed, simulate.minutes);
            for line in trail {
                println!("{line}");
            }
        }
    }
    run_hours(simulate, first, seeds)
}

fn run_hours(simulate: &Simulate, first: u64, seeds: u64) -> u8 {
    let began = Clock::process().now();
    let seconds = || Clock::process().now().since(began).as_secs_f64();
    let mut kept = true;
    let campaign = sim::day::campaign(first, seeds, simulate.minutes, |seed, result| {
        if let Err(violation) = result {
            eprint!("{violation}");
            kept &= keep_seed(simulate, violation);
        }
        let done = seed.saturating_sub(first) + 1;
        if done.is_multiple_of(500) {
            eprintln!("sim: {done} of {seeds} seeds in {:.0} s", seconds());
        }
    });
    let took = seconds();
    println!(
        "sim: {:.1} seeds a second, {took:.0} s",
        seeds as f64 / took.max(0.001)
    );
    println!("{campaign}");
    if campaign.violations.is_empty() && kept {
        DONE
    } else {
        FAILED
    }
}

/// Writes down how the seed is run again and what it showed.
fn keep_seed(simulate: &Simulate, violation: &sim::day::Violation) -> bool {
    let seed = violation.seed;
    let file = simulate.keep.join(format!("seed-{seed}.txt"));
    let text = format!(
        "firstring {}\nfirstring simulate --seed {seed} --minutes {}\n{violation}",
        env!("CARGO_PKG_VERSION"),
        simulate.minutes
    );
    let written =
        std::fs::create_dir_all(&simulate.keep).and_then(|()| std::fs::write(&file, text));
    match written {
        Ok(()) => eprintln!("kept in {}", file.display()),
        Err(ref error) => eprintln!("{}: {error}", file.display()),
    }
    written.is_ok()
}

fn run_what_if(what_if: &WhatIf, seed: u64) -> u8 {
    use sim::what_if::{Goal, Language, ask, generated, plot, recorded, table};
    let traffic = if let Some(journal) = &what_if.journal {
        if let Some(code) = missing_path(journal) {
            return code;
        }
        match recorded(journal, seed, what_if.growth) {
            Ok(traffic) => traffic,
            Err(error) => return failed(&error),
        }
    } else {
        let calls = i64::from(what_if.calls) * i64::from(100 + what_if.growth) / 100;
        let calls = u32::try_from(calls.max(1)).unwrap_or(u32::MAX);
        generated(seed, what_if.days, calls)
    };
    let goal = Goal {
        percent: what_if.goal,
        within: Millis::from_secs(what_if.within),
    };
    let language = if what_if.lang == "en" {
        Language::En
    } else {
        Language::Zh
    };
    let answer = ask(&traffic, what_if.seats.as_ref(), goal);
    println!("{}", table(&answer, language));
    if let Some(file) = &what_if.plot
        && let Err(error) = std::fs::write(file, plot(&answer, language))
    {
        eprintln!("{}: {error}", file.display());
        return FAILED;
    }
    DONE
}
