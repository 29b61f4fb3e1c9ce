use super::directive::{ConsentDirective, Effect, Provision, Request, Specificity};
use super::policy::{ConsentSettings, DefaultPolicy, Unlabelled};
use crate::access::{Denial, Restrictions, SecurityLabel};
use crate::domain::PurposeOfUse;

/// What was decided about one member's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What must be withheld, or why all is.
    pub(super) outcome: Result<Restrictions, Denial>,
    /// Whether it stands only because somebody declared an emergency.
    pub(super) broke_glass: bool,
}

/// Decides about the data of `request.holder`.
///
/// 1. Each directive in force that is about these data has one say, its exceptions before its base
///    rule.
/// 2. A deny stands unless a permit outweighs it, so deny wins among equals and among rules that
///    cannot be compared.
/// 3. No deny stands: a permit permits.
/// 4. Nor does one permit: the exchange's default policy decides, unless some directive permits
///    only others. Once a consent is on file its terms override the default (IHE PCF 53.2.2).
/// 5. Labels that any directive denies are withheld from what is permitted.
/// 6. Where the exchange allows it, BTG leaves out all that denies or withholds, and says so.
pub(super) fn decide(
    settings: &ConsentSettings,
    directives: &[&ConsentDirective],
    request: &Request<'_>,
) -> Verdict {
    let says: Vec<Say> = directives.iter().filter_map(|one| say(one, request)).collect();
    let quiet = settle(settings, &says, request.purpose);
    if !settings.break_glass || !request.purpose.is_a(PurposeOfUse::BreakGlass) {
        return quiet;
    }
    let overridden: Vec<Say> = says
        .into_iter()
        .filter(|say| say.ruling == Ruling::Permit)
        .map(|say| Say { restrictions: Restrictions::default(), ..say })
        .collect();
    let loud = settle(settings, &overridden, request.purpose);
    let opened = loud.outcome.is_ok() && loud.outcome != quiet.outcome;
    Verdict { broke_glass: loud.broke_glass || opened, ..loud }
}

fn settle(settings: &ConsentSettings, says: &[Say], purpose: PurposeOfUse) -> Verdict {
    let ruled = |ruling| says.iter().filter(move |say| say.ruling == ruling);
    let weights = |ruling| ruled(ruling).flat_map(|say| say.weights.iter().copied());
    let stands = |deny| !weights(Ruling::Permit).any(|permit| permit.outweighs(deny));
    let denied = weights(Ruling::Deny).any(stands);
    let permitted = ruled(Ruling::Permit).next().is_some();
    let only_others = ruled(Ruling::OnlyOthers).next().is_some();
    if denied || !permitted && only_others {
        return Verdict { outcome: Err(Denial::Directive), broke_glass: false };
    }
    if !permitted && !settings.default_policy.permits(purpose) {
        return Verdict { outcome: Err(Denial::DefaultPolicy), broke_glass: false };
    }
    let mut restrictions = Restrictions::default();
    for say in says {
        restrictions.join(&say.restrictions);
    }
    if settings.unlabelled == Unlabelled::Withhold && !restrictions.is_none() {
        restrictions.withhold_unlabelled();
    }
    let emergency = !permitted && settings.default_policy == DefaultPolicy::EmergencyOnly;
    Verdict { outcome: Ok(restrictions), broke_glass: emergency }
}

/// What one directive says to a request.
struct Say {
    ruling: Ruling,
    /// How narrowly the rules that decided are meant.
    weights: Vec<Specificity>,
    restrictions: Restrictions,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ruling {
    Permit,
    Deny,
    /// It permits, but not this request.
    OnlyOthers,
    /// It is about labelled data only.
    Labels,
}

fn say(directive: &ConsentDirective, request: &Request<'_>) -> Option<Say> {
    let mut say = readable_say(directive, request)?;
    // An exception that cannot be read permits nothing, and restricts no less than if it could be.
    for unread in directive.exceptions.iter().filter(|one| one.never) {
        limit(&mut say.restrictions, &[unread]);
    }
    Some(say)
}

fn readable_say(directive: &ConsentDirective, request: &Request<'_>) -> Option<Say> {
    let root = &directive.root;
    if !root.is_about(request) {
        return None;
    }
    let applies = root.applies(request);
    // Of a base rule that permits something we cannot read, what it excepts still is denied.
    if !applies && !root.never {
        return outside(root);
    }
    let base = root.specificity(request.purpose);
    let weight = |one: &Provision| base.and(one.specificity(request.purpose));
    let exceptions = || directive.exceptions.iter().filter(|one| one.applies(request));
    let permits: Vec<&Provision> =
        exceptions().filter(|one| one.effect == Effect::Permit && applies).collect();
    let denies: Vec<Specificity> = exceptions()
        .filter(|one| one.effect == Effect::Deny && one.labels.is_empty())
        .map(weight)
        .filter(|deny| !permits.iter().any(|one| weight(one).outweighs(*deny)))
        .collect();
    if !denies.is_empty() {
        // Should a permit of another consent outweigh this, what it withholds stays withheld.
        let unread = if applies { None } else { outside(root) };
        let mut restrictions = unread.map(|say| say.restrictions).unwrap_or_default();
        for labelled in exceptions().filter(|one| one.effect == Effect::Deny) {
            withhold(&mut restrictions, &labelled.labels);
        }
        return Some(Say { ruling: Ruling::Deny, weights: denies, restrictions });
    }

    let mut say = if permits.is_empty() && applies {
        base_say(root, base)
    } else if permits.is_empty() {
        outside(root)?
    } else {
        excepted(root, &permits, permits.iter().map(|one| weight(one)).collect())
    };
    for labelled in exceptions().filter(|one| one.effect == Effect::Deny) {
        withhold(&mut say.restrictions, &labelled.labels);
    }
    Some(say)
}

/// What the base rule says to a request that it does not cover.
fn outside(root: &Provision) -> Option<Say> {
    let mut restrictions = Restrictions::default();
    let ruling = match (root.effect, root.is_by_sensitivity()) {
        (Effect::Deny, _) => return None,
        (Effect::Permit, false) => {
            // What we cannot read restricts no less than what we can.
            if root.never {
                limit(&mut restrictions, &[root]);
                let sensitive = root.labels.iter().filter(|one| one.confidentiality().is_none());
                sensitive.for_each(|label| restrictions.withhold(label));
            }
            Ruling::OnlyOthers
        }
        (Effect::Permit, true) => {
            withhold(&mut restrictions, &root.labels);
            Ruling::Labels
        }
    };
    Some(Say { ruling, weights: Vec::new(), restrictions })
}

/// What the base rule says to a request that it covers, without exceptions.
fn base_say(root: &Provision, weight: Specificity) -> Say {
    let mut restrictions = Restrictions::default();
    let ruling = match (root.effect, root.labels.is_empty()) {
        (Effect::Deny, true) => Ruling::Deny,
        (Effect::Deny, false) => {
            withhold(&mut restrictions, &root.labels);
            Ruling::Labels
        }
        (Effect::Permit, _) if root.is_by_sensitivity() => Ruling::Labels,
        (Effect::Permit, _) => {
            limit(&mut restrictions, &[root]);
            Ruling::Permit
        }
    };
    Say { ruling, weights: vec![weight], restrictions }
}

/// What a directive says to a request that exceptions permit.
fn excepted(root: &Provision, permits: &[&Provision], weights: Vec<Specificity>) -> Say {
    let mut restrictions = Restrictions::default();
    let only_labelled = match root.effect {
        Effect::Deny => !root.labels.is_empty(),
        Effect::Permit => root.is_by_sensitivity(),
    };
    if only_labelled {
        return Say { ruling: Ruling::Labels, weights, restrictions };
    }
    let mut permitted = permits.to_vec();
    if root.effect == Effect::Permit {
        permitted.push(root);
    }
    limit(&mut restrictions, &permitted);
    Say { ruling: Ruling::Permit, weights, restrictions }
}

fn withhold(restrictions: &mut Restrictions, labels: &[SecurityLabel]) {
    for label in labels {
        restrictions.withhold(label);
    }
}

/// Permits of one directive add up: the highest confidentiality that any of them names, or no bound
/// where one names none.
fn limit(restrictions: &mut Restrictions, permits: &[&Provision]) {
    if permits.iter().any(|one| one.labels.is_empty()) {
        return;
    }
    let labels = permits.iter().flat_map(|one| &one.labels);
    if let Some(max) = labels.filter_map(SecurityLabel::confidentiality).max() {
        restrictions.limit(max);
    }
}
