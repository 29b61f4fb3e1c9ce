use fastrand::Rng;

/// Things drawn in proportion to their weights.
pub(super) struct Weighted<T> {
    /// Sum of the weights up to and with each item.
    cumulative: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy> Weighted<T> {
    pub(super) fn new(weighted: impl IntoIterator<Item = (T, u32)>) -> Self {
        let mut sum = 0;
        let (cumulative, items) = weighted
            .into_iter()
            .map(|(item, weight)| {
                sum += weight;
                (sum, item)
            })
            .unzip();
        Self { cumulative, items }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> T {
        let total = self.cumulative.last().copied().unwrap_or(0).max(1);
        let point = rng.u32(..total);
        self.items[self.cumulative.partition_point(|&sum| sum <= point)]
    }
}

/// True with this probability.
pub(super) fn chance(rng: &mut Rng, probability: f32) -> bool {
    rng.f32() < probability
}

/// One of a list that is not empty, all alike.
pub(super) fn one_of<T: Copy>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.usize(..items.len())]
}

/// A rank below `ranks`, about as likely as 1 / (rank + `flat`): few common ones and a long tail.
pub(super) fn zipf_rank(rng: &mut Rng, ranks: u32, flat: f64) -> u32 {
    let stretched = flat * ((1.0 + f64::from(ranks) / flat).powf(rng.f64()) - 1.0);
    (stretched as u32).min(ranks - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept() {
        let mut rng = Rng::with_seed(1);
        let weighted = Weighted::new([('a', 90), ('b', 10), ('c', 0)]);
        let drawn: Vec<char> = (0..10_000).map(|_| weighted.draw(&mut rng)).collect();
        let of_b = drawn.iter().filter(|&&c| c == 'b').count();
        assert!((800..1_200).contains(&of_b), "{of_b}");
        assert!(!drawn.contains(&'c'));
    }

    #[test]
    fn low_ranks_are_common_and_high_ones_rare_and_none_is_out_of_range() {
        let mut rng = Rng::with_seed(1);
        let ranks: Vec<u32> = (0..10_000).map(|_| zipf_rank(&mut rng, 50_000, 100.0)).collect();
        assert!(ranks.iter().all(|&rank| rank < 50_000));
        assert!(ranks.iter().filter(|&&rank| rank < 100).count() > 800);
        assert!(ranks.iter().filter(|&&rank| rank > 25_000).count() > 500);
    }
}
