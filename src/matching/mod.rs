//! Who is who: comparing demographics and judging whether they tell of one person. Pure.

pub mod nicknames;
