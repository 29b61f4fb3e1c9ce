//! Term frequency: agreeing on a rare value says more than agreeing on a common one.
//!
//! For a value of share p the chance that two strangers agree on it is p²; a level that gathers many
//! values has the probability Σp². The adjustment moves a pair from the level's average to its own
//! value. It concerns strangers only: people who live together share surnames for a reason.

use serde::{Deserialize, Serialize};

use super::{
    columns::Field,
    counts::{Counts, Holders, Occurrences, SHARED_FIELDS},
    kept::kept,
    levels::{Attribute, birth_date, email, family, given, location, phone, ssn},
    normalize::BirthDate,
    room::reach,
};

/// Shares below and above which a name counts as rare and as common.
const NAME_SHARES: [f64; 2] = [5e-4, 5e-3];
/// A value that more people hold than this is shared: a clinic's phone, a shelter's address.
const PHONE_SHARED: u16 = 6;
const BUILDING_SHARED: u16 = 10;
/// A value that more people hold than this is no evidence at all.
const SSN_HOLDERS_MAX: u16 = 6;
const EMAIL_HOLDERS_MAX: u16 = 12;
const PHONE_HOLDERS_MAX: u16 = 60;
/// The most that two similar common names are discounted, in nats.
const FUZZY_MAX: f32 = 2.5;
/// Days of a year that birth dates spread over, allowing for uneven seasons.
const DAYS_SPREAD: f64 = 330.0;
/// A date is over-frequent where it occurs this many times the average, and often enough to tell.
const FREQUENT_DATE: (f64, f64) = (8.0, 40.0);

/// Chances that two strangers agree exactly, level by level; what the model was trained with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Collisions {
    /// Rare, usual, common names.
    pub(crate) given: [f64; 3],
    pub(crate) family: [f64; 3],
    /// Over-frequent dates, and all others.
    pub(crate) birth_date: [f64; 2],
    pub(crate) social_security: f64,
    /// Held by few, held by many.
    pub(crate) phone: [f64; 2],
    pub(crate) email: f64,
    pub(crate) building: [f64; 2],
}

impl Collisions {
    /// Each exact level with its chance.
    pub(crate) fn levels(&self) -> Vec<(Attribute, u8, f64)> {
        let mut levels = Vec::with_capacity(24);
        for (i, chance) in self.given.into_iter().enumerate() {
            levels.push((Attribute::GivenName, given::SAME + i as u8, chance));
        }
        for (i, chance) in self.family.into_iter().enumerate() {
            let level = family::SAME + i as u8;
            levels.push((Attribute::FamilyName, level, chance));
            levels.push((Attribute::FamilyName, level + family::BOTH_FEMALE, chance));
        }
        let [frequent, usual] = self.birth_date;
        levels.push((Attribute::BirthDate, birth_date::SAME_FREQUENT, frequent));
        levels.push((Attribute::BirthDate, birth_date::SAME, usual));
        levels.push((Attribute::SocialSecurity, ssn::SAME, self.social_security));
        for context in [0, phone::LOCATION_DIFFERS, phone::LOCATION_AGREES] {
            levels.push((Attribute::Phone, context + phone::SAME, self.phone[0]));
            levels.push((Attribute::Phone, context + phone::SAME_SHARED, self.phone[1]));
        }
        levels.push((Attribute::Email, email::SAME, self.email));
        levels.push((Attribute::Location, location::SAME, self.building[0]));
        levels.push((Attribute::Location, location::SAME_SHARED, self.building[1]));
        levels
    }

    fn blend(&mut self, shipped: &Self, local_weight: f64, scale: f64) {
        let w = local_weight;
        let mix = |local: &mut f64, shipped: f64, scale: f64| {
            *local = w * *local * scale + (1.0 - w) * shipped;
        };
        for i in 0..2 {
            mix(&mut self.birth_date[i], shipped.birth_date[i], 1.0);
            mix(&mut self.phone[i], shipped.phone[i], scale);
            mix(&mut self.building[i], shipped.building[i], scale);
        }
        mix(&mut self.social_security, shipped.social_security, scale);
        mix(&mut self.email, shipped.email, scale);
    }
}

/// How names are shared out: those listed, and how common a typical other one is.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameShares {
    /// By interned number; 0 where not listed.
    pub(crate) listed: Vec<f32>,
    pub(crate) unlisted: f64,
}

/// Weights of one name field.
#[derive(Clone, Default)]
struct NameTerms {
    ln_share: Vec<f32>,
    unseen: f32,
    adjust: [f32; 3],
    /// Brings the smaller share of two similar names to the average of such pairs, in nats.
    fuzzy: f32,
}

impl NameTerms {
    fn derive(seen: &Occurrences, shipped: &NameShares, weight: f64) -> (Self, [f64; 3]) {
        let total = (seen.total as f64 + weight).max(1.0);
        let prior = weight / total;
        let length = seen.of.len().max(shipped.listed.len());
        let (mut mass, mut collision) = ([0.0; 3], [0.0; 3]);
        let unseen = ((weight * shipped.unlisted).max(1.0) / total) as f32;
        let mut ln_share = vec![unseen.ln(); length];
        let mut listed_mass = 0.0;
        for (id, slot) in ln_share.iter_mut().enumerate().skip(1) {
            let count = f64::from(seen.of.get(id).copied().unwrap_or(0));
            let listed = f64::from(shipped.listed.get(id).copied().unwrap_or(0.0));
            listed_mass += listed;
            if count == 0.0 && listed == 0.0 {
                continue;
            }
            let expected = if listed > 0.0 { listed } else { shipped.unlisted };
            let share = (count + weight * expected) / total;
            let bucket = bucket(share.ln() as f32);
            mass[bucket] += share;
            collision[bucket] += share * share;
            *slot = share.ln() as f32;
        }
        let unlisted_mass = (1.0 - listed_mass).max(0.0);
        mass[0] += prior * unlisted_mass;
        collision[0] += prior * prior * unlisted_mass * shipped.unlisted;
        let collision = collision.map(|c: f64| c.max(1e-9));
        let adjust = std::array::from_fn(|b| (mass[b].max(1e-9) / collision[b]).ln() as f32);
        (Self { ln_share, unseen: unseen.ln(), adjust, fuzzy: 0.0 }, collision)
    }

    fn ln_share(&self, id: u32) -> f32 {
        self.ln_share.get(id as usize).copied().unwrap_or(self.unseen)
    }

    /// The bucket of a name (0 rare, 1 usual, 2 common) and its adjustment in nats.
    fn exact(&self, id: u32) -> (u8, f32) {
        let ln_share = self.ln_share(id);
        let bucket = bucket(ln_share);
        (bucket as u8, ln_share + self.adjust[bucket])
    }

    fn fuzzy(&self, a: u32, b: u32) -> f32 {
        (self.ln_share(a).min(self.ln_share(b)) + self.fuzzy).clamp(0.0, FUZZY_MAX)
    }
}

fn bucket(ln_share: f32) -> usize {
    NAME_SHARES.iter().filter(|limit| f64::from(ln_share) >= limit.ln()).count()
}

/// Weights of cities or postal codes: only the adjustment, the level is one.
#[derive(Clone, Default)]
struct AreaTerms {
    adjust: Vec<f32>,
}

impl AreaTerms {
    fn derive(seen: &Occurrences, local_weight: f64) -> Self {
        let total = (seen.total as f64).max(1.0);
        let share = |count: u32| f64::from(count) / total;
        let collision: f64 = seen.of.iter().map(|&c| share(c) * share(c)).sum();
        let adjust = |&count: &u32| match count {
            0 => 0.0,
            count => ((share(count) / collision).ln() * local_weight) as f32,
        };
        Self { adjust: seen.of.iter().map(adjust).collect() }
    }

    fn exact(&self, id: u32) -> f32 {
        self.adjust.get(id as usize).copied().unwrap_or(0.0)
    }
}

/// Values that many people hold.
#[derive(Clone, Default)]
struct SharedTerms {
    holders: Vec<u16>,
    shared_above: u16,
    /// ln(Σp / Σp²) over shared values, and ln of the total, in nats.
    adjust: f32,
}

impl SharedTerms {
    fn derive(holders: Vec<u16>, shared_above: u16, holders_max: u16) -> (Self, [f64; 2]) {
        let usable = |k: &&u16| **k <= holders_max;
        let total: f64 = holders.iter().filter(usable).map(|&k| f64::from(k)).sum::<f64>().max(1.0);
        let (mut few, mut many, mut many_mass) = (0.0, 0.0, 0.0);
        for &count in holders.iter().filter(usable) {
            let k = f64::from(count);
            if count > shared_above {
                many += k * k / total / total;
                many_mass += k / total;
            } else if count > 0 {
                few += k * (k - 1.0) / total / total;
            }
        }
        let many = f64::max(many, 1e-9);
        let adjust = (f64::max(many_mass, 1e-9) / many / total).ln() as f32;
        let terms = Self { holders, shared_above, adjust };
        (terms, [f64::max(few, 0.05 / total / total), many])
    }

    fn holders(&self, id: u32) -> u16 {
        self.holders.get(id as usize).copied().unwrap_or(0)
    }

    /// The adjustment in nats where the value is shared by many.
    fn shared(&self, id: u32) -> Option<f32> {
        let holders = self.holders(id);
        (holders > self.shared_above).then(|| f32::from(holders).ln() + self.adjust)
    }
}

fn people_holding(values: &[Holders]) -> Vec<u16> {
    values.iter().map(|holders| holders.people()).collect()
}

/// All term weights of a population, blended with the model's where it is small.
#[derive(Clone, Default)]
pub(crate) struct TermWeights {
    given: NameTerms,
    family: NameTerms,
    cities: AreaTerms,
    postal_codes: AreaTerms,
    frequent_dates: hashbrown::HashMap<BirthDate, f32, foldhash::fast::FixedState>,
    shared: [SharedTerms; SHARED_FIELDS.len()],
    pub(crate) collisions: Collisions,
    /// Chance of two strangers' full birth dates agreeing if days were spread evenly over the years
    /// seen: what duplicates cannot inflate.
    pub(crate) birth_date_floor: f64,
}

kept!(Collisions { given, family, birth_date, social_security, phone, email, building });
kept!(NameTerms { ln_share, unseen, adjust, fuzzy });
kept!(AreaTerms { adjust });
kept!(SharedTerms { holders, shared_above, adjust });
kept!(TermWeights {
    given,
    family,
    cities,
    postal_codes,
    frequent_dates,
    shared,
    collisions,
    birth_date_floor,
});

/// What the model knows of frequencies before a population is seen.
pub(crate) struct Shipped<'a> {
    pub(crate) given: &'a NameShares,
    pub(crate) family: &'a NameShares,
    pub(crate) collisions: &'a Collisions,
    pub(crate) fuzzy: [f64; 2],
    /// How many records of the model's kind weigh as much as what it knows; 0 to forget it.
    pub(crate) weight: f64,
    /// The population that the model's chances hold for, in records.
    pub(crate) records: f64,
}

impl TermWeights {
    /// Derives weights from what was counted and what the model ships.
    pub(crate) fn derive(counts: &Counts, shipped: &Shipped<'_>) -> Self {
        let records = counts.records as f64;
        let local_weight = records / (records + shipped.weight).max(1.0);
        let scale = if shipped.weight > 0.0 { (records / shipped.records).min(1.0) } else { 1.0 };
        let mut weights = Self::default();
        let (given, given_collisions) =
            NameTerms::derive(&counts.given, shipped.given, shipped.weight);
        let (family, family_collisions) =
            NameTerms::derive(&counts.family, shipped.family, shipped.weight);
        weights.given = given;
        weights.family = family;
        weights.set_fuzzy(shipped.fuzzy);
        weights.cities = AreaTerms::derive(&counts.cities, local_weight);
        weights.postal_codes = AreaTerms::derive(&counts.postal_codes, local_weight);
        weights.derive_dates(counts);
        weights.derive_shared(counts);
        weights.collisions.blend(shipped.collisions, local_weight, scale);
        weights.collisions.given = given_collisions;
        weights.collisions.family = family_collisions;
        weights
    }

    fn derive_dates(&mut self, counts: &Counts) {
        let total = (counts.dated as f64).max(1.0);
        let average = (total / counts.dates.len().max(1) as f64).max(1.0);
        let limit = (FREQUENT_DATE.0 * average).max(FREQUENT_DATE.1);
        let (mut frequent, mut usual, mut mass) = (0.0, 0.0, 0.0);
        let mut years: hashbrown::HashMap<u32, f64> = hashbrown::HashMap::new();
        for (date, &count) in &counts.dates {
            let count = f64::from(count);
            let share = count / total;
            *years.entry(date.year()).or_insert(0.0) += share;
            if count > limit {
                frequent += share * share;
                mass += share;
                self.frequent_dates.insert(*date, share.ln() as f32);
            } else {
                usual += share * share;
            }
        }
        for weight in self.frequent_dates.values_mut() {
            *weight += (mass / frequent).ln() as f32;
        }
        self.collisions.birth_date = [f64::max(frequent, 1e-9), f64::max(usual, 1e-9)];
        let even: f64 = years.values().map(|p| p * p).sum::<f64>() / DAYS_SPREAD;
        self.birth_date_floor = even.min(usual);
    }

    fn derive_shared(&mut self, counts: &Counts) {
        let mut chances = [[0.0; 2]; SHARED_FIELDS.len()];
        for (i, field) in SHARED_FIELDS.into_iter().enumerate() {
            let (shared_above, holders_max) = match field {
                Field::Ssn => (SSN_HOLDERS_MAX, SSN_HOLDERS_MAX),
                Field::Phone => (PHONE_SHARED, PHONE_HOLDERS_MAX),
                Field::Email => (EMAIL_HOLDERS_MAX, EMAIL_HOLDERS_MAX),
                _ => (BUILDING_SHARED, u16::MAX),
            };
            (self.shared[i], chances[i]) =
                SharedTerms::derive(people_holding(&counts.holders[i]), shared_above, holders_max);
        }
        self.collisions.social_security = chances[0][0];
        self.collisions.phone = chances[1];
        self.collisions.email = chances[2][0];
        self.collisions.building = chances[3];
    }

    /// Sets how common similar names are on average (given, family), in nats below one.
    pub(crate) fn set_fuzzy(&mut self, fuzzy: [f64; 2]) {
        self.given.fuzzy = fuzzy[0] as f32;
        self.family.fuzzy = fuzzy[1] as f32;
    }

    /// Follows one record's change of a shared value until the next derivation.
    pub(crate) fn set_holders(&mut self, field: usize, id: u32, holders: u16) {
        *reach(&mut self.shared[field].holders, id as usize) = holders;
    }

    pub(crate) fn given(&self, id: u32) -> (u8, f32) {
        self.given.exact(id)
    }

    pub(crate) fn family(&self, id: u32) -> (u8, f32) {
        self.family.exact(id)
    }

    pub(crate) fn similar_given(&self, a: u32, b: u32) -> f32 {
        self.given.fuzzy(a, b)
    }

    pub(crate) fn similar_family(&self, a: u32, b: u32) -> f32 {
        self.family.fuzzy(a, b)
    }

    /// ln of the smaller share of two names.
    pub(crate) fn smaller_share(&self, is_family: bool, a: u32, b: u32) -> f32 {
        let terms = if is_family { &self.family } else { &self.given };
        terms.ln_share(a).min(terms.ln_share(b))
    }

    /// The share of a name, for model files.
    pub(crate) fn name_share(&self, is_family: bool, id: u32) -> f64 {
        let terms = if is_family { &self.family } else { &self.given };
        f64::from(terms.ln_share(id)).exp()
    }

    pub(crate) fn city(&self, id: u32) -> f32 {
        self.cities.exact(id)
    }

    pub(crate) fn postal_code(&self, id: u32) -> f32 {
        self.postal_codes.exact(id)
    }

    pub(crate) fn frequent_date(&self, date: BirthDate) -> Option<f32> {
        self.frequent_dates.get(&date).copied()
    }

    /// The social security number, 0 where too many hold it.
    pub(crate) fn usable_ssn(&self, id: u32) -> u32 {
        if self.shared[0].holders(id) > SSN_HOLDERS_MAX { 0 } else { id }
    }

    /// The phone, 0 where too many hold it.
    pub(crate) fn usable_phone(&self, id: u32) -> u32 {
        if self.shared[1].holders(id) > PHONE_HOLDERS_MAX { 0 } else { id }
    }

    /// The e-mail address, 0 where too many hold it.
    pub(crate) fn usable_email(&self, id: u32) -> u32 {
        if self.shared[2].holders(id) > EMAIL_HOLDERS_MAX { 0 } else { id }
    }

    pub(crate) fn shared_phone(&self, id: u32) -> Option<f32> {
        self.shared[1].shared(id)
    }

    pub(crate) fn shared_building(&self, id: u32) -> Option<f32> {
        self.shared[3].shared(id)
    }
}
