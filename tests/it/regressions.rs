//! A test for each bug that was mended, named for what must not come back.
