mod book;
mod decide;
mod directive;
mod policy;
mod told;
mod told_time;

pub use book::{ConsentBook, ConsentError, Recorded};
pub use directive::ConsentDirective;
pub use policy::{ConsentSettings, DefaultPolicy, Unlabelled};
pub use told::{ConsentPatient, InvalidConsent, ToldConsent};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
