//! The commands of `tessera`, one file each: arguments, one call, and what is printed.

pub mod audit;
pub mod certs;
pub mod member;
pub mod simulate;
//! The commands of the `tessera` binary: parse arguments, call the rooms, print.

pub mod demo;
