//! Strings as protocol 0 writes them, one per line.

/// A Python 2 string literal: quotes, and escapes with a backslash.
pub(super) fn unquote(line: &str) -> Result<Vec<u8>, &'static str> {
    let inner = ['\'', '"'].iter().find_map(|&quote| {
        let inner = line.trim_end().strip_prefix(quote)?;
        inner.strip_suffix(quote)
    });
    let inner = inner.ok_or("a string without its quotes")?;
    let (mut text, mut rest) = (Vec::new(), inner.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => text.push(b'\n'),
            Some(b'r') => text.push(b'\r'),
            Some(b't') => text.push(b'\t'),
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(|digit| hex(digit?));
                let [Some(high), Some(low)] = digits else {
                    return Err("a string with a broken \\x escape");
                };
                text.push((16 * high + low) as u8);
            }
            Some(other @ (b'\\' | b'\'' | b'"')) => text.push(other),
            _ => return Err("a string with an unknown escape"),
        }
    }
    Ok(text)
}

/// Python's "raw-unicode-escape": Latin-1, with \uXXXX and \UXXXXXXXX; a lone surrogate, which
/// Python allows, becomes U+FFFD.
pub(super) fn unescape(mut line: &[u8]) -> Result<String, &'static str> {
    let mut text = String::new();
    while let Some((&byte, after)) = line.split_first() {
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                line = after;
                continue;
            }
        };
        let digits = after.get(1..=digits).ok_or("a text with a broken \\u escape")?;
        let code =
            digits.iter().try_fold(0u64, |code, &digit| Some(16 * code + u64::from(hex(digit)?)));
        let code = code.and_then(|code| u32::try_from(code).ok());
        let letter = match code {
            Some(0xd800..0xe000) => Some(char::REPLACEMENT_CHARACTER),
            code => code.and_then(char::from_u32),
        };
        text.push(letter.ok_or("a text with a broken \\u escape")?);
        line = &after[1 + digits.len()..];
    }
    Ok(text)
}

fn hex(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}
