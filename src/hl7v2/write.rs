use super::{Delimiters, escape};

/// Writes a segment field by field; text is escaped, so that no value can part the message.
pub struct SegmentWriter {
    delimiters: Delimiters,
    out: String,
}

impl SegmentWriter {
    /// Begins a segment.
    pub fn new(id: &str, delimiters: Delimiters) -> Self {
        Self { delimiters, out: id.to_owned() }
    }

    /// Begins MSH, with its first two fields.
    pub fn header(delimiters: Delimiters) -> Self {
        Self::new("MSH", delimiters).raw(&delimiters.encoding_characters())
    }

    /// A field of one value.
    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.components(&[value])
    }

    /// A field of components; empty ones at its end are left out.
    #[must_use]
    pub fn components(self, values: &[&str]) -> Self {
        self.repetitions(&[values])
    }

    /// A field of repetitions, each of components.
    #[must_use]
    pub fn repetitions(mut self, repetitions: &[&[&str]]) -> Self {
        self.out.push(self.delimiters.field);
        for (at, values) in repetitions.iter().enumerate() {
            if at > 0 {
                self.out.push(self.delimiters.repetition);
            }
            let told =
                values.iter().rposition(|value| !value.is_empty()).map_or(0, |last| last + 1);
            for (at, value) in values[..told].iter().enumerate() {
                if at > 0 {
                    self.out.push(self.delimiters.component);
                }
                escape::escape(value, self.delimiters, &mut self.out);
            }
        }
        self
    }

    /// A field as it stands, such as one that is sent back.
    #[must_use]
    pub fn raw(mut self, field: &str) -> Self {
        self.out.push(self.delimiters.field);
        self.out.push_str(field);
        self
    }

    /// Fields without a value.
    #[must_use]
    pub fn skip(mut self, fields: usize) -> Self {
        self.out.extend(std::iter::repeat_n(self.delimiters.field, fields));
        self
    }

    /// The segment with its CR, without empty fields at its end.
    pub fn end(self) -> String {
        let mut out = self.out;
        if !out.starts_with("MSH") {
            out.truncate(out.trim_end_matches(self.delimiters.field).len());
        }
        out.push('\r');
        out
    }
}
