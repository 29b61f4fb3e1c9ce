//! Lays text out on a page of 100 columns, each item with its sources at the right edge.

/// The width of the page, in columns.
pub(in crate::cli::demo) const COLUMNS: usize = 100;

/// A printout in the making.
pub(in crate::cli::demo) struct Page {
    text: String,
    colors: bool,
}

/// What a line is, where the terminal can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::demo) enum Tone {
    /// As any text.
    Plain,
    /// Somebody may die of overlooking it.
    Alarm,
    /// Doubtful or missing.
    Caution,
    /// Of lesser weight.
    Faint,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Alarm => "\x1b[1;31m",
            Self::Caution => "\x1b[33m",
            Self::Faint => "\x1b[2m",
        }
    }
}

impl Page {
    /// An empty page; `colors` where it goes to a terminal.
    pub(in crate::cli::demo) fn new(colors: bool) -> Self {
        Self { text: String::new(), colors }
    }

    /// The whole text.
    pub(in crate::cli::demo) fn into_text(self) -> String {
        self.text
    }

    /// A title between two rules.
    pub(in crate::cli::demo) fn title(&mut self, text: &str) {
        let rule = "═".repeat(COLUMNS);
        self.line(&rule, Tone::Plain);
        self.line(text, Tone::Plain);
        self.line(&rule, Tone::Plain);
    }

    /// The heading of a section.
    pub(in crate::cli::demo) fn heading(&mut self, text: &str, tone: Tone) {
        self.text.push('\n');
        let rule = "─".repeat(COLUMNS.saturating_sub(text.chars().count() + 1));
        self.line(&format!("{text} {rule}"), tone);
    }

    /// One item with who told it.
    pub(in crate::cli::demo) fn item(&mut self, text: &str, sources: &str, tone: Tone) {
        let tag = if sources.is_empty() { String::new() } else { format!("[{sources}]") };
        let tag_columns = tag.chars().count();
        let first_columns = COLUMNS - 2 - if tag.is_empty() { 0 } else { tag_columns + 2 };
        let mut lines = wrap(text, first_columns, COLUMNS - 4).into_iter();
        let first = lines.next().unwrap_or_default();
        let gap = COLUMNS.saturating_sub(2 + first.chars().count() + tag_columns);
        if tag.is_empty() {
            self.line(&format!("  {first}"), tone);
        } else {
            self.line(&format!("  {first}{}{tag}", " ".repeat(gap.max(1))), tone);
        }
        for line in lines {
            self.line(&format!("    {line}"), tone);
        }
    }

    /// A remark without a source of its own.
    pub(in crate::cli::demo) fn remark(&mut self, text: &str, tone: Tone) {
        self.item(text, "", tone);
    }

    fn line(&mut self, line: &str, tone: Tone) {
        let escape = if self.colors { tone.escape() } else { "" };
        self.text.push_str(escape);
        self.text.push_str(line.trim_end());
        if !escape.is_empty() {
            self.text.push_str("\x1b[0m");
        }
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
        let mut page = Page::new(false);
        let long = "word ".repeat(60);
        page.heading("ALLERGIES", Tone::Alarm);
        page.item(&long, "3 sources: lakeside mercy stanne", Tone::Plain);
        page.item(&"x".repeat(250), "mercy", Tone::Plain);
        let text = page.into_text();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        assert_eq!(text.matches("word").count(), 60);
        assert_eq!(text.matches('x').count(), 250);
        assert!(text.lines().nth(2).is_some_and(|line| line.ends_with("stanne]")));
    }

    #[test]
    fn colors_only_where_asked_for_and_a_member_cannot_send_them() {
        let print = |colors| {
            let mut page = Page::new(colors);
            page.item("a\u{1b}[2Jb", "mercy", Tone::Alarm);
            page.into_text()
        };
        assert!(!print(false).contains('\u{1b}'));
        assert_eq!(print(true).matches('\u{1b}').count(), 2);
    }
}
