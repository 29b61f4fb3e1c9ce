use std::{fs, path::Path};

use crate::{cli::unusable::UnusableInput, matching::Model};

/// Loads a model file, or the model that ships with this program.
pub(super) fn load(file: Option<&Path>) -> Result<Model, UnusableInput> {
    let Some(file) = file else { return Ok(Model::default_model()) };
    let text = fs::read_to_string(file)
        .map_err(|source| UnusableInput::Unreadable { file: file.to_owned(), source })?;
    Model::from_json(&text).map_err(|error| UnusableInput::line(file, 1, error.to_string()))
}
