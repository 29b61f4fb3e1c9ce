//! Tessera.
fn main() {}
