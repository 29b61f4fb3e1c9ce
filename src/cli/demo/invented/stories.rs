//! The written patients: each a way in which records go wrong, or a reason to want them fast.

use super::{
    Person, Site,
    Site::{Lakeside, Mercy, Northclinic, StAnne},
    charts::{Chart, Charts},
    facts::{
        Analyte, Code, allergy, blood_group, blood_pressure, coverage, cvx, day, encounter,
        imaging_report, immunization, laboratory, loinc, no_known_allergy, note, prescription,
        problem, procedure, rxnorm, snomed, vital_sign,
    },
};

/// Tells every story.
pub(super) fn tell(charts: &mut Charts) {
    warfarin_and_a_fall(charts);
    penicillin_that_one_hospital_does_not_know(charts);
    maiden_name(charts);
    twins(charts);
    father_and_son(charts);
    newborn_and_mother(charts);
    unidentified(charts);
    nickname_and_moved(charts);
    birth_date_with_day_and_month_swapped(charts);
    hyphenated_surname(charts);
    one_drug_at_three_members(charts);
    active_here_resolved_there(charts);
}

/// The patient of the played emergency, as the ambulance writes her down.
pub(super) fn as_the_ambulance_knows_her() -> Person {
    Person::new("Eleanor", "Whitcombe", "female", "1951-03-14")
        .reached("(740) 555-0142", "")
        .at_home("18 Orchard Lane", "Marlow", "OH", "45751")
}

const PENICILLIN: Code = snomed("91936005", "Allergy to penicillin");
const ANAPHYLAXIS: Code = snomed("39579001", "Anaphylaxis");
const ERUPTION: Code = snomed("271807003", "Eruption of skin");
const HYPERTENSION: Code = snomed("38341003", "Hypertensive disorder");
const CHECK_UP: Code = snomed("185349003", "Encounter for check up");
const EMERGENCY_VISIT: Code = snomed("4525004", "Emergency department patient visit");
const ADMISSION: Code = snomed("32485007", "Hospital admission");

const WARFARIN_5: Code = rxnorm("855332", "warfarin sodium 5 MG Oral Tablet");
const LISINOPRIL_10: Code = rxnorm("314076", "lisinopril 10 MG Oral Tablet");
const METFORMIN_500: Code = rxnorm("861007", "metformin hydrochloride 500 MG Oral Tablet");
const ATORVASTATIN_20: Code = rxnorm("617310", "atorvastatin 20 MG Oral Tablet");
const AMLODIPINE_5: Code = rxnorm("197361", "amlodipine 5 MG Oral Tablet");

const TDAP: Code = cvx("115", "Tdap");
const INFLUENZA: Code = cvx("141", "Influenza, seasonal, injectable");

const INR: Analyte = Analyte {
    code: loinc("6301-6", "INR in Platelet poor plasma by Coagulation assay"),
    unit: "{INR}",
    normal: (2.0, 3.0),
    critical: (0.8, 4.9),
};
const HEMOGLOBIN: Analyte = Analyte {
    code: loinc("718-7", "Hemoglobin [Mass/volume] in Blood"),
    unit: "g/dL",
    normal: (12.0, 16.0),
    critical: (7.0, 20.0),
};
const CREATININE: Analyte = Analyte {
    code: loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
    unit: "mg/dL",
    normal: (0.6, 1.2),
    critical: (0.2, 5.0),
};
const HBA1C: Analyte = Analyte {
    code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
    unit: "%",
    normal: (4.0, 5.6),
    critical: (2.0, 14.0),
};
const BILIRUBIN: Analyte = Analyte {
    code: loinc("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma"),
    unit: "mg/dL",
    normal: (0.2, 12.0),
    critical: (0.0, 18.0),
};

/// Found on her kitchen floor, confused. Four members know a part of why that is dangerous.
fn warfarin_and_a_fall(charts: &mut Charts) {
    let eleanor = as_the_ambulance_knows_her()
        .ssn("734-55-0114")
        .reached("(740) 555-0142", "e.whitcombe@example.org");
    let mut chart = charts.chart("whitcombe");
    chart
        .registered(Mercy, &eleanor)
        .registered(Lakeside, &eleanor.clone().named("Eleanor Jane", "Whitcombe"))
        .registered(StAnne, &Person { ssn: None, ..eleanor.clone() })
        .registered(Northclinic, &Person { email: None, ..eleanor });
    whitcombes_dangers(&mut chart);
    whitcombes_results(&mut chart);
    whitcombes_history(&mut chart);
}

fn whitcombes_dangers(chart: &mut Chart<'_>) {
    let anaphylaxis =
        allergy(PENICILLIN, "high", Some((ANAPHYLAXIS, "severe")), chart.years_ago(9));
    let none_known = no_known_allergy(chart.years_ago(3));
    chart.disputed("nka", (&[Mercy, Northclinic], &anaphylaxis), (&[Lakeside], &none_known));

    let ordered = chart.days_ago(64);
    let evening = prescription(WARFARIN_5, "5 mg by mouth every evening", "active", ordered);
    let doubled = prescription(WARFARIN_5, "5 mg by mouth twice a day", "active", ordered);
    chart.disputed("dose", (&[Northclinic, Mercy, Lakeside], &evening), (&[StAnne], &doubled));

    let fibrillation = snomed("49436004", "Atrial fibrillation");
    let since = chart.years_ago(6);
    let active = problem(fibrillation, "active", since);
    let resolved = problem(fibrillation, "resolved", since);
    chart.disputed("status", (&[Mercy, Northclinic], &active), (&[StAnne], &resolved));
}

fn whitcombes_results(chart: &mut Chart<'_>) {
    let inrs: [(i64, f64, &[Site]); 5] = [
        (1, 5.8, &[Lakeside]),
        (9, 3.9, &[Northclinic, Mercy]),
        (23, 2.7, &[Northclinic]),
        (51, 2.4, &[Northclinic, Mercy]),
        (80, 2.2, &[Mercy]),
    ];
    for (days, value, sites) in inrs {
        let at = chart.days_ago(days);
        chart.told(sites, &laboratory(INR, value, at));
    }
    for (days, value) in [(1, 9.8), (80, 12.6)] {
        let at = chart.days_ago(days);
        chart.told(&[Lakeside, StAnne], &laboratory(HEMOGLOBIN, value, at));
    }
    let at = chart.days_ago(80);
    chart
        .told(&[Mercy], &laboratory(CREATININE, 1.1, at))
        .told(&[StAnne], &blood_group(snomed("278149003", "Blood group A Rh(D) positive"), at))
        .told(&[Mercy, Northclinic], &blood_pressure(148, 84, at));
    let at = chart.days_ago(9);
    chart
        .told(&[Northclinic], &blood_pressure(152, 88, at))
        .told(&[Northclinic], &vital_sign(loinc("8867-4", "Heart rate"), 92.0, "/min", at))
        .told(&[Northclinic], &vital_sign(loinc("29463-7", "Body weight"), 61.5, "kg", at));
}

fn whitcombes_history(chart: &mut Chart<'_>) {
    let ordered = chart.days_ago(200);
    let metoprolol =
        rxnorm("866436", "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet");
    let amoxicillin = rxnorm("308191", "amoxicillin 500 MG Oral Capsule");
    let two_years = chart.days_ago(700);
    chart
        .told(
            &[Mercy, Lakeside],
            &prescription(LISINOPRIL_10, "10 mg once a day", "active", ordered),
        )
        .told(&[Mercy], &prescription(metoprolol, "50 mg once a day", "active", ordered))
        .told(
            &[Lakeside],
            &prescription(amoxicillin, "500 mg three times a day", "stopped", two_years),
        );

    let hip = chart.days_ago(1100);
    let visit = chart.days_ago(9);
    let fell = chart.days_ago(80);
    let since = chart.years_ago(14);
    let fall = snomed("1912002", "Fall");
    chart
        .told(&[Mercy, Lakeside], &problem(HYPERTENSION, "active", since))
        .told(&[StAnne], &procedure(snomed("52734007", "Total replacement of hip"), hip))
        .told(&[StAnne], &encounter("IMP", ADMISSION, fall, hip, 140))
        .told(&[StAnne], &encounter("EMER", EMERGENCY_VISIT, fall, fell, 6))
        .told(&[Northclinic], &encounter("AMB", CHECK_UP, HYPERTENSION, visit, 1))
        .told(
            &[StAnne],
            &imaging_report(loinc("24725-4", "CT Head"), "No hemorrhage, no fracture.", fell),
        )
        .told(
            &[StAnne],
            &note(
                loinc("18842-5", "Discharge summary"),
                "Fall at home on warfarin; CT clear; INR to be checked weekly by her clinic.",
                fell,
            ),
        );
    let [tdap, flu, pneumonia] = [2300, 38, 1500].map(|days| chart.days_ago(days));
    let covered = chart.years_ago(9);
    chart
        .told(&[Lakeside], &immunization(TDAP, tdap))
        .told(&[Lakeside, Northclinic], &immunization(INFLUENZA, flu))
        .told(&[Mercy], &immunization(cvx("33", "Pneumococcal polysaccharide PPV23"), pneumonia))
        .told(&[Mercy], &coverage("OVH-5519024", covered));
}

/// St. Anne saw the anaphylaxis; Lakeside writes that there is no allergy; Mercy writes nothing.
fn penicillin_that_one_hospital_does_not_know(charts: &mut Charts) {
    let daniel = Person::new("Daniel", "Okafor", "male", "1991-08-22")
        .ssn("734-55-0226")
        .reached("(740) 555-0163", "d.okafor@example.org")
        .at_home("402 Canal Street Apt 3", "Marlow", "OH", "45751");
    let mut chart = charts.chart("okafor");
    chart
        .registered(StAnne, &daniel)
        .registered(Lakeside, &Person { ssn: None, ..daniel.clone() })
        .registered(Mercy, &daniel);
    let seen = allergy(PENICILLIN, "high", Some((ANAPHYLAXIS, "severe")), chart.days_ago(410));
    let none = no_known_allergy(chart.days_ago(120));
    chart.disputed("nka", (&[StAnne], &seen), (&[Lakeside], &none));
    let [visit, wound] = [410, 30].map(|days| chart.days_ago(days));
    chart
        .told(&[StAnne], &encounter("EMER", EMERGENCY_VISIT, ANAPHYLAXIS, visit, 9))
        .told(&[Mercy], &encounter("AMB", CHECK_UP, snomed("195967001", "Asthma"), wound, 1))
        .told(&[Mercy, Lakeside], &problem(snomed("195967001", "Asthma"), "active", visit));
}

/// Mercy knew her before she married; Lakeside knows both names.
fn maiden_name(charts: &mut Charts) {
    let anna = Person::new("Anna Sofia", "Novak", "female", "1986-11-02")
        .ssn("734-55-0331")
        .reached("(740) 555-0117", "anna.sofia@example.org")
        .at_home("77 Millrace Road", "Benton Falls", "OH", "45760");
    let mut chart = charts.chart("novak");
    chart
        .registered(Mercy, &anna.clone().named("Anna Sofia", "Lindqvist"))
        .registered(Lakeside, &Person { maiden: Some("Lindqvist"), ..anna.clone() })
        .registered(Northclinic, &anna);
    let [appendix, latex, visit] = [4100, 3000, 200].map(|days| chart.days_ago(days));
    chart
        .told(&[Mercy], &procedure(snomed("80146002", "Appendectomy"), appendix))
        .told(
            &[Mercy],
            &allergy(snomed("300916003", "Latex allergy"), "low", Some((ERUPTION, "mild")), latex),
        )
        .told(
            &[Lakeside, Northclinic],
            &problem(snomed("40930008", "Hypothyroidism"), "active", visit),
        )
        .told(
            &[Northclinic],
            &encounter("AMB", CHECK_UP, snomed("40930008", "Hypothyroidism"), visit, 1),
        );
}

/// One birthday, one house, one telephone, one letter between their names: two persons. One of
/// them may die of a peanut.
fn twins(charts: &mut Charts) {
    let maya = Person {
        birth_order: Some(1),
        mothers_maiden_name: Some("Arroyo"),
        ..Person::new("Maya", "Castellanos", "female", "2011-06-02")
            .ssn("734-55-0448")
            .reached("(740) 555-0188", "")
            .at_home("9 Ferry Hill", "Marlow", "OH", "45751")
    };
    let mina = Person { birth_order: Some(2), ..maya.clone() }
        .named("Mina", "Castellanos")
        .ssn("734-55-0449");
    let mut chart = charts.chart("castellanos-maya");
    chart.registered(Northclinic, &maya).registered(StAnne, &maya);
    let [years, months] = [2600, 400].map(|days| chart.days_ago(days));
    let peanut = allergy(
        snomed("91935009", "Allergy to peanut"),
        "high",
        Some((ANAPHYLAXIS, "severe")),
        years,
    );
    chart.told(&[Northclinic, StAnne], &peanut).told(&[Northclinic], &immunization(TDAP, months));

    let mut chart = charts.chart("castellanos-mina");
    chart.registered(Northclinic, &mina).registered(StAnne, &mina);
    chart
        .told(&[Northclinic], &immunization(TDAP, months))
        .told(&[Northclinic, StAnne], &problem(snomed("195967001", "Asthma"), "active", years));
}

/// One name, one house, 27 years between them.
fn father_and_son(charts: &mut Charts) {
    let senior = Person::new("William Henry", "Harlan", "male", "1948-01-19")
        .suffix("Sr.")
        .ssn("734-55-0552")
        .reached("(740) 555-0129", "")
        .at_home("1 Quarry Road", "Benton Falls", "OH", "45760");
    let junior = Person { born: Some("1975-09-30".to_owned()), ..senior.clone() }
        .suffix("Jr.")
        .ssn("734-55-0553");
    let mut chart = charts.chart("harlan-sr");
    chart.registered(Mercy, &senior).registered(Lakeside, &senior);
    let [years, visit] = [1900, 60].map(|days| chart.days_ago(days));
    chart
        .told(
            &[Mercy, Lakeside],
            &problem(snomed("13645005", "Chronic obstructive lung disease"), "active", years),
        )
        .told(&[Mercy], &procedure(snomed("232717009", "Coronary artery bypass grafting"), years))
        .told(
            &[Mercy],
            &prescription(
                rxnorm("309362", "clopidogrel 75 MG Oral Tablet"),
                "75 mg once a day",
                "active",
                visit,
            ),
        );

    let mut chart = charts.chart("harlan-jr");
    chart.registered(Mercy, &junior).registered(Lakeside, &junior);
    chart
        .told(
            &[Lakeside],
            &problem(snomed("44054006", "Diabetes mellitus type 2"), "active", years),
        )
        .told(
            &[Mercy, Lakeside],
            &prescription(METFORMIN_500, "500 mg twice a day", "active", visit),
        );
}

/// Two days old, named after his mother until somebody asks her.
fn newborn_and_mother(charts: &mut Charts) {
    let lucia = Person::new("Lucia", "Ferreira", "female", "1998-04-11")
        .ssn("734-55-0667")
        .reached("(740) 555-0174", "lucia.f@example.org")
        .at_home("250 Depot Street", "Marlow", "OH", "45751");
    let born = charts.days_ago(2);
    let boy = Person {
        name_use: "temp",
        ssn: None,
        email: None,
        born: Some(day(born)),
        sex: "male",
        mothers_maiden_name: Some("Ferreira"),
        ..lucia.clone()
    }
    .named("Babyboy", "Ferreira");
    let mut chart = charts.chart("ferreira-babyboy");
    chart.registered(StAnne, &boy);
    let yesterday = chart.days_ago(1);
    chart
        .told(&[StAnne], &encounter("IMP", ADMISSION, snomed("281050002", "Livebirth"), born, 30))
        .told(&[StAnne], &vital_sign(loinc("8339-4", "Birth weight Measured"), 3210.0, "g", born))
        .told(&[StAnne], &laboratory(BILIRUBIN, 13.4, yesterday))
        .told(&[StAnne], &immunization(cvx("08", "Hep B, adolescent or pediatric"), born));

    let mut chart = charts.chart("ferreira-lucia");
    chart.registered(StAnne, &lucia).registered(Northclinic, &lucia);
    let expected = chart.days_ago(90);
    chart
        .told(&[StAnne], &procedure(snomed("11466000", "Cesarean section"), born))
        .told(&[StAnne, Northclinic], &laboratory(HEMOGLOBIN, 10.9, expected));
}

/// Nobody knows who he is. Whoever "recognizes" him by such data links a stranger's record.
fn unidentified(charts: &mut Charts) {
    let unknown =
        Person { born: None, name_use: "anonymous", ..Person::new("John", "Doe", "male", "") };
    let mut chart = charts.chart("unidentified");
    chart.registered(StAnne, &unknown);
    let [found, tested] = [3, 2].map(|days| chart.days_ago(days));
    chart
        .told(
            &[StAnne],
            &encounter("EMER", EMERGENCY_VISIT, snomed("418107008", "Unconscious"), found, 8),
        )
        .told(&[StAnne], &laboratory(CREATININE, 2.4, tested));
}

/// Bob at the old address, Robert at the new one.
fn nickname_and_moved(charts: &mut Charts) {
    let robert = Person::new("Robert James", "Kowalczyk", "male", "1963-12-08")
        .ssn("734-55-0771")
        .reached("(740) 555-0151", "bobk@example.org")
        .at_home("5 Lighthouse Court", "Port Amity", "OH", "45770");
    let bob = Person { ssn: None, ..robert.clone() }.named("Bob", "Kowalczyk").at_home(
        "31 Tannery Row",
        "Marlow",
        "OH",
        "45751",
    );
    let robert = Person { old_home: bob.home.clone(), ..robert };
    let mut chart = charts.chart("kowalczyk");
    chart.registered(Lakeside, &bob).registered(Northclinic, &robert);
    let [years, scoped] = [2400, 900].map(|days| chart.days_ago(days));
    chart
        .told(
            &[Lakeside, Northclinic],
            &problem(snomed("55822004", "Hyperlipidemia"), "active", years),
        )
        .told(&[Northclinic], &prescription(ATORVASTATIN_20, "20 mg at bedtime", "active", years))
        .told(&[Lakeside], &procedure(snomed("73761001", "Colonoscopy"), scoped));
}

/// 5 March or 3 May, depending on who typed it.
fn birth_date_with_day_and_month_swapped(charts: &mut Charts) {
    let priya = Person::new("Priya", "Raman", "female", "1984-03-05")
        .ssn("734-55-0883")
        .reached("(740) 555-0136", "priya.raman@example.org")
        .at_home("640 College Avenue", "Marlow", "OH", "45751");
    let mut chart = charts.chart("raman");
    chart
        .registered(Mercy, &priya)
        .registered(StAnne, &Person { born: Some("1984-05-03".to_owned()), ..priya });
    let [years, visit] = [3300, 15].map(|days| chart.days_ago(days));
    let migraine = snomed("37796009", "Migraine");
    chart
        .told(&[Mercy, StAnne], &problem(migraine, "active", years))
        .told(&[StAnne], &encounter("EMER", EMERGENCY_VISIT, migraine, visit, 4))
        .told(
            &[Mercy],
            &allergy(
                snomed("91939003", "Allergy to sulfonamide"),
                "low",
                Some((ERUPTION, "moderate")),
                years,
            ),
        );
}

/// Three spellings of two surnames.
fn hyphenated_surname(charts: &mut Charts) {
    let maria = Person::new("María José", "García-Lorenzo", "female", "1979-07-26")
        .ssn("734-55-0990")
        .reached("(740) 555-0199", "mj.garcia@example.org")
        .at_home("88 Saint Clair Street", "Port Amity", "OH", "45770");
    let mut chart = charts.chart("garcia-lorenzo");
    chart
        .registered(Mercy, &maria)
        .registered(Lakeside, &maria.clone().named("Maria", "Garcia Lorenzo"))
        .registered(Northclinic, &maria.clone().named("Maria Jose", "Garcia"));
    let [years, stone] = [1700, 700].map(|days| chart.days_ago(days));
    chart
        .told(&[Mercy, Lakeside, Northclinic], &problem(HYPERTENSION, "active", years))
        .told(&[Lakeside], &procedure(snomed("38102005", "Cholecystectomy"), stone))
        .told(
            &[Northclinic, Mercy],
            &prescription(AMLODIPINE_5, "5 mg once a day", "active", stone),
        );
}

/// One prescription that three members list: it is one drug, not three.
fn one_drug_at_three_members(charts: &mut Charts) {
    let henry = Person::new("Henry", "Adeyemi", "male", "1957-10-17")
        .ssn("734-55-1004")
        .reached("(740) 555-0108", "h.adeyemi@example.org")
        .at_home("14 Founders Square", "Benton Falls", "OH", "45760");
    let mut chart = charts.chart("adeyemi");
    for site in [Mercy, Lakeside, StAnne] {
        chart.registered(site, &henry);
    }
    let [years, ordered] = [3600, 150].map(|days| chart.days_ago(days));
    let metformin = prescription(METFORMIN_500, "500 mg twice a day with meals", "active", ordered);
    chart.told(&[Mercy, Lakeside, StAnne], &metformin).told(
        &[Lakeside, Mercy],
        &problem(snomed("44054006", "Diabetes mellitus type 2"), "active", years),
    );
    for (days, value) in [(20, 7.9), (112, 7.4), (205, 7.1)] {
        let at = chart.days_ago(days);
        chart.told(&[Lakeside, Mercy], &laboratory(HBA1C, value, at));
    }
}

/// Lakeside closed the epilepsy, Mercy still treats it.
fn active_here_resolved_there(charts: &mut Charts) {
    let ruth = Person::new("Ruth", "Silverman", "female", "1970-02-23")
        .ssn("734-55-1117")
        .reached("(740) 555-0155", "ruth.s@example.org")
        .at_home("3 Almond Court", "Marlow", "OH", "45751");
    let mut chart = charts.chart("silverman");
    chart.registered(Mercy, &ruth).registered(Lakeside, &ruth);
    let epilepsy = snomed("84757009", "Epilepsy");
    let [since, visit] = [4800, 33].map(|days| chart.days_ago(days));
    chart.disputed(
        "status",
        (&[Mercy], &problem(epilepsy, "active", since)),
        (&[Lakeside], &problem(epilepsy, "resolved", since)),
    );
    chart.told(&[Mercy], &encounter("AMB", CHECK_UP, epilepsy, visit, 1));
}
