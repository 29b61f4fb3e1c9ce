//! JSON taken apart where it stands: no tree, no numbers read, nothing copied that need not be.

use std::borrow::Cow;

/// The members of an object in order, their values as they are written; `None` where it is no object.
pub(super) fn members(object: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut scan = Scan { text: object, at: 0 };
    scan.take(b'{')?;
    let mut members = Vec::new();
    if scan.peek()? == b'}' {
        return Some(members);
    }
    loop {
        let name = string(scan.value()?)?;
        scan.take(b':')?;
        members.push((name, scan.value()?));
        match scan.next()? {
            b',' => {}
            b'}' => return Some(members),
            _ => return None,
        }
    }
}

/// The items of a list, as they are written; `None` where it is no list.
pub(super) fn items(list: &str) -> Option<Vec<&str>> {
    let mut scan = Scan { text: list, at: 0 };
    scan.take(b'[')?;
    let mut items = Vec::new();
    if scan.peek()? == b']' {
        return Some(items);
    }
    loop {
        items.push(scan.value()?);
        match scan.next()? {
            b',' => {}
            b']' => return Some(items),
            _ => return None,
        }
    }
}

/// The text of a string, escapes undone; `None` where it is no string.
pub(super) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        Some(bytes[self.at])
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    /// The next value, whole.
    fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        match first {
            b'"' => self.skip_string()?,
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match bytes.get(self.at)? {
                        b'"' => {
                            self.skip_string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
                let rest = &bytes[start..];
                self.at = start + rest.iter().position(ends).unwrap_or(rest.len());
                if self.at == start {
                    return None;
                }
            }
        }
        Some(&self.text[start..self.at])
    }

    fn skip_string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_as_they_are_written() {
        let text = r#" { "a" : 3.10 , "b\"":"}\\", "c": [1, {"d": "]"}, "e"], "f":{} }"#;
        let told = members(text).expect("an object");
        let told: Vec<(&str, &str)> = told.iter().map(|(name, raw)| (&**name, *raw)).collect();
        assert_eq!(told[..2], [("a", "3.10"), ("b\"", r#""}\\""#)]);
        assert_eq!(items(told[2].1).expect("a list"), ["1", r#"{"d": "]"}"#, r#""e""#]);
        assert_eq!(members(told[3].1).expect("an object").len(), 0);
        assert_eq!(string(told[1].1).as_deref(), Some(r"}\"));
    }

    #[test]
    fn what_is_no_json_is_never_taken_for_some() {
        for text in ["", "{", "[1", "{\"a\"}", "{\"a\":}", "[,]", "\"a", "{\"a\":\"\\", "]", "{]"] {
            assert!(members(text).is_none() && items(text).is_none(), "{text}");
        }
    }
}
