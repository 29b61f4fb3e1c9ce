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
/// 1. Each directive in force has at most one say, its exceptions before its base rule.
/// 2. A deny stands unless a permit outweighs it, so deny wins among equals and among rules that
///    cannot be compared.
/// 3. No deny stands: a permit permits. Neither: the exchange's default policy.
/// 4. Labels that any directive denies are withheld from what is permitted.
/// 5. Where the exchange allows it, BTG leaves out all that denies or withholds, and says so.
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
        .filter(|say| say.ruling == Some(Effect::Permit))
        .map(|say| Say { restrictions: Restrictions::default(), ..say })
        .collect();
    let loud = settle(settings, &overridden, request.purpose);
    let opened = loud.outcome.is_ok() && loud.outcome != quiet.outcome;
    Verdict { broke_glass: loud.broke_glass || opened, ..loud }
}

fn settle(settings: &ConsentSettings, says: &[Say], purpose: PurposeOfUse) -> Verdict {
    let ruling = |effect| says.iter().filter(move |say| say.ruling == Some(effect));
    let stands = |deny: &Say| !ruling(Effect::Permit).any(|say| say.weight.outweighs(deny.weight));
    if ruling(Effect::Deny).any(stands) {
        return Verdict { outcome: Err(Denial::Directive), broke_glass: false };
    }
    let permitted = ruling(Effect::Permit).next().is_some();
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
    /// `None`: only some labels are concerned.
    ruling: Option<Effect>,
    weight: Specificity,
    restrictions: Restrictions,
}

fn say(directive: &ConsentDirective, request: &Request<'_>) -> Option<Say> {
    let root = &directive.root;
    // Of a base rule that permits something we cannot read, what it excepts still is denied.
    if !root.applies(request) && !root.never {
        return None;
    }
    let exceptions: Vec<&Provision> = directive
        .exceptions
        .iter()
        .filter(|one| one.applies(request) && !(root.never && is_permit(one)))
        .collect();
    let base = root.specificity(request.purpose);
    let weight = |one: &Provision| base.and(one.specificity(request.purpose));
    let permits: Vec<&Provision> = exceptions.iter().copied().filter(|e| is_permit(e)).collect();
    let deny = exceptions
        .iter()
        .filter(|one| one.effect == Effect::Deny && one.labels.is_empty())
        .find(|deny| !permits.iter().any(|one| weight(one).outweighs(weight(deny))));

    let mut restrictions = Restrictions::default();
    for labelled in exceptions.iter().filter(|one| one.effect == Effect::Deny) {
        labelled.labels.iter().for_each(|label| restrictions.withhold(label));
    }
    let decided = |ruling, one: &Provision, restrictions| {
        Some(Say { ruling, weight: weight(one), restrictions })
    };
    if let Some(deny) = deny {
        return decided(Some(Effect::Deny), deny, Restrictions::default());
    }
    let narrowest =
        permits.iter().copied().reduce(|a, b| if weight(b).outweighs(weight(a)) { b } else { a });
    match (narrowest, root.effect, root.labels.is_empty()) {
        // Only labelled data were denied, and this request is excepted.
        (Some(permit), Effect::Deny, false) => decided(None, permit, restrictions),
        (Some(permit), effect, _) => {
            let mut allowed: Vec<&[SecurityLabel]> =
                permits.iter().map(|one| one.labels.as_slice()).collect();
            if effect == Effect::Permit {
                allowed.push(&root.labels);
            }
            limit(&mut restrictions, &allowed);
            decided(Some(Effect::Permit), permit, restrictions)
        }
        (None, Effect::Permit, _) if root.never => decided(None, root, restrictions),
        (None, Effect::Permit, _) => {
            limit(&mut restrictions, &[&root.labels]);
            decided(Some(Effect::Permit), root, restrictions)
        }
        (None, Effect::Deny, true) => decided(Some(Effect::Deny), root, Restrictions::default()),
        (None, Effect::Deny, false) => {
            root.labels.iter().for_each(|label| restrictions.withhold(label));
            decided(None, root, restrictions)
        }
    }
}

fn is_permit(one: &Provision) -> bool {
    one.effect == Effect::Permit
}

/// Permits of one directive add up: the highest confidentiality that any of them names, or no bound
/// where one names none. (Permits by other labels never apply; see [`super::told`].)
fn limit(restrictions: &mut Restrictions, permits: &[&[SecurityLabel]]) {
    if permits.iter().any(|labels| labels.is_empty()) {
        return;
    }
    let highest =
        permits.iter().flat_map(|labels| labels.iter()).filter_map(SecurityLabel::confidentiality);
    if let Some(max) = highest.max() {
        restrictions.limit(max);
    }
}
