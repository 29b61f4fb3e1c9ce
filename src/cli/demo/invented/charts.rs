use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{Person, Site};
use crate::cli::demo::truth::Truth;

/// The paper of all four members while it is written, and the truth about it.
pub(super) struct Charts {
    now: OffsetDateTime,
    shelves: BTreeMap<Site, Shelf>,
    truth: Truth,
    patients: u32,
}

/// What one member holds.
#[derive(Default)]
struct Shelf {
    resources: BTreeMap<String, Vec<Value>>,
    numbered: u32,
}

/// One patient's chart over all members.
pub(super) struct Chart<'a> {
    charts: &'a mut Charts,
    key: String,
    /// `Patient.id` by member.
    registered: BTreeMap<Site, String>,
}

impl Charts {
    pub(super) fn new(seed: u64, now: OffsetDateTime) -> Self {
        let mut shelves: BTreeMap<Site, Shelf> =
            Site::ALL.into_iter().map(|site| (site, Shelf::default())).collect();
        for (site, shelf) in &mut shelves {
            shelf.staff(*site);
        }
        let truth = Truth { seed, ..Truth::default() };
        Self { now, shelves, truth, patients: 0 }
    }

    /// A moment so many days ago, at an hour that is in the past at any time of today.
    pub(super) fn days_ago(&self, days: i64) -> OffsetDateTime {
        let minute = (days * 37).rem_euclid(60);
        self.now.date().midnight().assume_utc()
            - Duration::days(days)
            - Duration::minutes(9 * 60 + minute)
    }

    pub(super) fn years_ago(&self, years: i64) -> OffsetDateTime {
        self.days_ago(years * 1461 / 4 + 17)
    }

    pub(super) fn chart(&mut self, key: &str) -> Chart<'_> {
        self.truth.patients.entry(key.to_owned()).or_default();
        self.truth.expected.entry(key.to_owned()).or_default();
        Chart { charts: self, key: key.to_owned(), registered: BTreeMap::new() }
    }

    pub(super) fn patient_count(&self) -> usize {
        self.truth.patients.len()
    }

    /// Writes the folders and the truth.
    pub(super) fn write(mut self, dir: &Path) -> Result<Truth> {
        for (site, shelf) in &self.shelves {
            let folder = dir.join(site.code());
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            let counts = self.truth.counts.entry(site.code().to_owned()).or_default();
            for (kind, resources) in &shelf.resources {
                counts.insert(kind.clone(), resources.len());
                let path = folder.join(format!("{kind}.ndjson"));
                let file = File::create(&path)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                let mut file = BufWriter::new(file);
                for resource in resources {
                    serde_json::to_writer(&mut file, resource)?;
                    file.write_all(b"\n")?;
                }
                file.flush()?;
            }
        }
        self.truth.write(dir)?;
        Ok(self.truth)
    }
}

impl Chart<'_> {
    /// The member registers the patient as this person.
    pub(super) fn registered(&mut self, site: Site, person: &Person) -> &mut Self {
        self.charts.patients += 1;
        let number = self.charts.patients;
        let record_number = site.record_number(number);
        let id = match site {
            Site::Mercy | Site::Northclinic => record_number.clone(),
            Site::Lakeside | Site::StAnne => site.resource_id("Patient", number),
        };
        let patient = person.to_patient(site, &id, &record_number);
        self.charts.shelf(site).put(patient);
        let local_ids = self.charts.truth.patients.entry(self.key.clone()).or_default();
        local_ids.insert(site.code().to_owned(), id.clone());
        self.registered.insert(site, id);
        self
    }

    /// One fact, told by each of these members in its own writing.
    pub(super) fn told(&mut self, sites: &[Site], fact: &Value) -> &mut Self {
        let author = sites[0];
        let names: Vec<String> =
            sites.iter().map(|site| self.put(*site, author, fact.clone())).collect();
        for (index, a) in names.iter().enumerate() {
            for b in &names[index + 1..] {
                self.charts.truth.same_fact.push([a.clone(), b.clone()]);
            }
        }
        self
    }

    /// Two members that contradict each other: `status`, `dose` or `nka`. Each side may be several
    /// members that agree.
    pub(super) fn disputed(
        &mut self,
        kind: &str,
        one: (&[Site], &Value),
        other: (&[Site], &Value),
    ) -> &mut Self {
        let author = one.0[0];
        let mut names = [Vec::new(), Vec::new()];
        for (names, (sites, fact)) in names.iter_mut().zip([one, other]) {
            // One prescription told with two doses has one prescriber.
            names.extend(sites.iter().map(|site| self.put(*site, author, fact.clone())));
            for (index, a) in names.iter().enumerate() {
                for b in &names[index + 1..] {
                    self.charts.truth.same_fact.push([a.clone(), b.clone()]);
                }
            }
        }
        for a in &names[0] {
            for b in &names[1] {
                self.charts.truth.conflicts.push((a.clone(), b.clone(), kind.to_owned()));
            }
        }
        self
    }

    /// Puts a member's copy on its shelf and says its name in the truth.
    fn put(&mut self, site: Site, author: Site, mut fact: Value) -> String {
        let kind = fact["resourceType"].as_str().expect("every fact has its type").to_owned();
        let patient = self.registered.get(&site).expect("a story registers before it tells");
        let patient = json!({"reference": format!("Patient/{patient}")});
        let clinician = json!({"reference": format!("Practitioner/{}", clinician_id(site, author)),
            "display": clinician_name(author)});
        let house = json!({"reference": format!("Organization/{}", house_id(site, author)),
            "display": author.name()});
        if let "AllergyIntolerance" | "Immunization" = kind.as_str() {
            fact["patient"] = patient;
        } else if kind == "Coverage" {
            fact["beneficiary"] = patient;
        } else {
            fact["subject"] = patient;
        }
        match kind.as_str() {
            "AllergyIntolerance" => fact["recorder"] = clinician,
            "MedicationRequest" => fact["requester"] = clinician,
            "Coverage" => {
                let payer = format!("Organization/{}", payer_id(site));
                fact["payor"] = json!([{"reference": payer, "display": PAYER}]);
            }
            "Encounter" => fact["serviceProvider"] = house,
            "DiagnosticReport" | "Observation" => fact["performer"] = json!([house]),
            "DocumentReference" => {
                fact["author"] = json!([clinician]);
                fact["custodian"] = house;
            }
            _ => {}
        }
        *self.charts.truth.expected.entry(self.key.clone()).or_default() += 1;
        let shelf = self.charts.shelf(site);
        shelf.numbered += 1;
        let id = site.resource_id(&kind, shelf.numbered);
        fact["id"] = json!(id);
        shelf.put(site.write(fact));
        format!("{}/{kind}/{id}", site.code())
    }

    pub(super) fn days_ago(&self, days: i64) -> OffsetDateTime {
        self.charts.days_ago(days)
    }

    pub(super) fn years_ago(&self, years: i64) -> OffsetDateTime {
        self.charts.years_ago(years)
    }
}

impl Charts {
    fn shelf(&mut self, site: Site) -> &mut Shelf {
        self.shelves.entry(site).or_default()
    }
}

impl Shelf {
    fn put(&mut self, resource: Value) {
        let kind = resource["resourceType"].as_str().expect("every resource has its type");
        self.resources.entry(kind.to_owned()).or_default().push(resource);
    }

    /// The members know one another's houses and clinicians, each under its own ids.
    fn staff(&mut self, site: Site) {
        for author in Site::ALL {
            let npi = match author {
                Site::Mercy => "1888888017",
                Site::Lakeside => "1888888025",
                Site::StAnne => "1888888033",
                Site::Northclinic => "1888888041",
            };
            let (given, family) = clinician_name(author).split_once(' ').expect("two names");
            self.put(json!({"resourceType": "Organization", "id": house_id(site, author),
                "active": true, "name": author.name()}));
            self.put(json!({"resourceType": "Practitioner", "id": clinician_id(site, author),
                "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}],
                "name": [{"family": family, "given": [given]}]}));
        }
        self.put(json!({"resourceType": "Organization", "id": payer_id(site), "active": true,
            "name": PAYER}));
    }
}

const PAYER: &str = "Ohio Valley Health Plan";

const fn clinician_name(author: Site) -> &'static str {
    match author {
        Site::Mercy => "Ingrid Solheim",
        Site::Lakeside => "Marcus Bell",
        Site::StAnne => "Joy Nakamura",
        Site::Northclinic => "Tomas Rivera",
    }
}

fn clinician_id(site: Site, author: Site) -> String {
    site.resource_id("Practitioner", 900_001 + author as u32)
}

fn house_id(site: Site, author: Site) -> String {
    site.resource_id("Organization", 900_101 + author as u32)
}

fn payer_id(site: Site) -> String {
    site.resource_id("Organization", 900_201)
}
