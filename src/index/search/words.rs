//! Texts as words that can be looked up by their beginning, whatever their case and accents.

use crate::matching::{Lexicon, kept::kept};

/// What is kept of one word, in bytes; longer ones are found by their beginning and then compared.
const WORD_BYTES_MAX: usize = 32;
/// New words that stand unsorted, at the least.
const UNSORTED_MIN: usize = 1_024;

/// The words of a text, folded: ASCII letters and digits in lower case, accents taken off, other
/// scripts transliterated, apostrophes left out, all other punctuation between words.
pub(super) fn fold(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut put = |c: char| {
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        } else if c != '\'' && c != '`' && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            put(c);
        } else {
            any_ascii::any_ascii_char(c).chars().for_each(&mut put);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Distinct words, numbered from 1 in order of arrival.
#[derive(Default)]
pub(super) struct Words {
    lexicon: Lexicon,
    /// Numbers in the order of their words; those from `sorted.len() + 1` on are not sorted yet.
    sorted: Vec<u32>,
}

impl Words {
    /// The number of a folded word, added where it is new.
    pub(super) fn intern(&mut self, word: &str) -> u32 {
        let known = self.lexicon.len();
        let no = self.lexicon.intern(&word.as_bytes()[..word.len().min(WORD_BYTES_MAX)]);
        let unsorted = known - 1 - self.sorted.len();
        if no as usize == known && unsorted > self.sorted.len() / 8 + UNSORTED_MIN {
            self.sort();
        }
        no
    }

    fn sort(&mut self) {
        let (lexicon, first) = (&self.lexicon, self.sorted.len() as u32 + 1);
        self.sorted.extend(first..lexicon.len() as u32);
        // A stable sort finds the long sorted run and merges it with the rest.
        self.sorted.sort_by(|a, b| lexicon.text(*a).cmp(lexicon.text(*b)));
    }

    /// The number of a folded word, where it is known.
    pub(super) fn find(&self, word: &str) -> Option<u32> {
        self.lexicon.find(&word.as_bytes()[..word.len().min(WORD_BYTES_MAX)]).filter(|no| *no != 0)
    }

    /// The numbers of the words that begin so.
    pub(super) fn beginning<'a>(&'a self, start: &'a str) -> impl Iterator<Item = u32> + 'a {
        let start = &start.as_bytes()[..start.len().min(WORD_BYTES_MAX)];
        let text = |no: u32| self.lexicon.text(no);
        let first = self.sorted.partition_point(|no| text(*no) < start);
        let sorted = self.sorted[first..].iter().copied();
        let sorted = sorted.take_while(move |no| text(*no).starts_with(start));
        sorted.chain(self.unsorted().filter(move |no| text(*no).starts_with(start)))
    }

    /// The numbers of the words that have this in them, or were cut and may have. Looks at every
    /// word, of which there are far fewer than records.
    pub(super) fn containing<'a>(&'a self, part: &'a str) -> impl Iterator<Item = u32> + 'a {
        let part = part.as_bytes();
        (1..self.lexicon.len() as u32).filter(move |no| {
            let text = self.lexicon.text(*no);
            text.len() == WORD_BYTES_MAX || text.windows(part.len().max(1)).any(|at| at == part)
        })
    }

    #[cfg(test)]
    pub(super) fn text(&self, no: u32) -> String {
        String::from_utf8_lossy(self.lexicon.text(no)).into_owned()
    }

    fn unsorted(&self) -> impl Iterator<Item = u32> {
        self.sorted.len() as u32 + 1..self.lexicon.len() as u32
    }
}

kept!(Words { lexicon, sorted });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_punctuation_do_not_count() {
        for (text, expected) in [
            ("Müller-Lüdenscheidt", &["muller", "ludenscheidt"][..]),
            ("  O'Brien ", &["obrien"]),
            ("St. John’s", &["st", "johns"]),
            ("12B Main St., Apt #4", &["12b", "main", "st", "apt", "4"]),
            ("Ağaoğlu", &["agaoglu"]),
            ("'-'", &[]),
        ] {
            assert_eq!(fold(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_found_by_their_beginning_sorted_or_not() {
        let mut words = Words::default();
        let numbers: Vec<u32> =
            (0..5_000).map(|no| words.intern(&format!("w{:04}", no * 7919 % 5_000))).collect();
        assert!(!words.sorted.is_empty() && words.unsorted().count() > 0);
        assert_eq!(words.beginning("w01").count(), 100);
        assert_eq!(words.beginning("x").count(), 0);
        assert_eq!(words.find("w0042"), words.beginning("w0042").next());
        assert_eq!(
            words.containing("99").count(),
            (0..5_000).filter(|no| { format!("w{no:04}").contains("99") }).count()
        );
        assert_eq!(words.intern("w0000"), numbers[0]);
        let long = "a".repeat(40);
        words.intern(&long);
        assert_eq!((words.beginning(&long).count(), words.containing("b").count()), (1, 1));
    }
}
