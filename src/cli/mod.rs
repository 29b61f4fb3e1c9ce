//! The commands of `tessera`, one file each: arguments, one call, and what is printed.

pub mod certs;
//! Commands: parse, call, render.
