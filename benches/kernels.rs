//! The string kernels of matching beside `strsim`, on names as they are compared: upper case, ASCII.
//!
//! `cargo bench --bench kernels`

use divan::{Bencher, black_box, counter::ItemsCount};
use tessera::matching::similarity;

/// Pairs of names: equal, one edit apart, nicknames, swapped letters, strangers, double surnames.
const PAIRS: [(&str, &str); 12] = [
    ("MARTINEZ", "MARTINEZ"),
    ("JOHNSON", "JOHNSTON"),
    ("CATHERINE", "KATHERINE"),
    ("BRIAN", "BRAIN"),
    ("ROBERT", "BOB"),
    ("SMITH", "SMYTHE"),
    ("NGUYEN", "GARCIA"),
    ("O", "OLIVIA"),
    ("GARCIA LOPEZ", "LOPEZ GARCIA"),
    ("WILHELMINA", "WILLIAM"),
    ("CHRISTOPHER", "CHRISTOFER"),
    ("MONTGOMERY-BLACKWOOD", "MONTGOMERY"),
];

fn main() {
    divan::main();
}

fn over_pairs<T>(bencher: Bencher<'_, '_>, kernel: impl Fn(&str, &str) -> T + Sync) {
    bencher.counter(ItemsCount::new(PAIRS.len())).bench(|| {
        for (a, b) in black_box(PAIRS) {
            black_box(kernel(a, b));
        }
    });
}

#[divan::bench]
fn jaro_winkler_tessera(bencher: Bencher<'_, '_>) {
    over_pairs(bencher, similarity::jaro_winkler);
}

#[divan::bench]
fn jaro_winkler_strsim(bencher: Bencher<'_, '_>) {
    over_pairs(bencher, strsim::jaro_winkler);
}

#[divan::bench]
fn osa_distance_tessera(bencher: Bencher<'_, '_>) {
    over_pairs(bencher, similarity::osa_distance);
}

#[divan::bench]
fn osa_distance_strsim(bencher: Bencher<'_, '_>) {
    over_pairs(bencher, strsim::osa_distance);
}

#[divan::bench]
fn within_one_edit_tessera(bencher: Bencher<'_, '_>) {
    over_pairs(bencher, |a, b| similarity::within_one_edit(a.as_bytes(), b.as_bytes()));
}
