//! Lays text out on a page of 100 columns, each item with its sources at the right edge.

use super::Tone;

/// The width of the page, in columns.
pub(super) const COLUMNS: usize = 100;

/// A printout in the making.
pub(super) struct Page {
    text: String,
}

impl Tone {
    /// What stands in the margin.
    const fn mark(self) -> &'static str {
        match self {
            Self::Alarm => "! ",
            Self::Caution => "? ",
            Self::Plain | Self::Faint => "  ",
        }
    }
}

impl Page {
    /// An empty page.
    pub(super) fn new() -> Self {
        Self { text: String::new() }
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The heading of a section.
    pub(super) fn heading(&mut self, text: &str) {
        self.text.push('\n');
        let rule = "─".repeat(COLUMNS.saturating_sub(text.chars().count() + 1));
        self.line(&format!("{text} {rule}"));
    }

    /// One item with who told it.
    pub(super) fn item(&mut self, text: &str, sources: &str, tone: Tone) {
        let tag = if sources.is_empty() { String::new() } else { format!("[{sources}]") };
        let tag_columns = tag.chars().count();
        let first_columns = COLUMNS - 2 - if tag.is_empty() { 0 } else { tag_columns + 2 };
        let mut lines = wrap(text, first_columns, COLUMNS - 4).into_iter();
        let first = lines.next().unwrap_or_default();
        let gap = COLUMNS.saturating_sub(2 + first.chars().count() + tag_columns);
        let mark = tone.mark();
        if tag.is_empty() {
            self.line(&format!("{mark}{first}"));
        } else {
            self.line(&format!("{mark}{first}{}{tag}", " ".repeat(gap.max(1))));
        }
        for line in lines {
            self.line(&format!("    {line}"));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// Breaks text at spaces; a word longer than a line is broken anywhere. Control characters, which
/// a member could use to repaint a terminal, become spaces.
fn wrap(text: &str, first_columns: usize, other_columns: usize) -> Vec<String> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let columns = if lines.len() == 1 { first_columns } else { other_columns };
            let gap = usize::from(used > 0);
            let line = lines.last_mut().expect("there is always one line");
            if used + gap + word.len() <= columns {
                if gap == 1 {
                    line.push(' ');
                }
                line.extend(&word);
                used += gap + word.len();
                break;
            }
            if used == 0 {
                let rest = word.split_off(columns.max(1).min(word.len()));
                line.extend(&word);
                word = rest;
            }
            lines.push(String::new());
            used = 0;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_the_page_and_no_word_is_lost() {
        let mut page = Page::new();
        let long = "word ".repeat(60);
        page.heading("ALLERGIES");
        page.item(&long, "3 sources: lakeside mercy stanne", Tone::Plain);
        page.item(&"x".repeat(250), "mercy", Tone::Plain);
        let text = page.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        assert_eq!(text.matches("word").count(), 60);
        assert_eq!(text.matches('x').count(), 250);
        assert!(text.lines().nth(2).is_some_and(|line| line.ends_with("stanne]")));
    }

    #[test]
    fn what_may_kill_is_marked_and_a_member_cannot_repaint_a_terminal() {
        let mut page = Page::new();
        page.item("a\u{1b}[2Jb", "mercy", Tone::Alarm);
        let text = page.into_text();
        assert!(text.starts_with("! a [2Jb") && !text.contains('\u{1b}'), "{text}");
    }
}
