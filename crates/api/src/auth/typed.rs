//! Codes that people read aloud and type: digits without I, L, O and U, in groups of four.

/// 5 bits each.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// No code is longer, however it is typed.
const MAX_TYPED: usize = 64;

/// A code of random bytes, one digit each.
pub(super) fn of_bytes<const N: usize>(random: [u8; N]) -> String {
    let digit = |byte: u8| DIGITS.get(usize::from(byte % 32)).map_or('0', |digit| char::from(*digit));
    random.into_iter().map(digit).collect()
}

/// Takes what people type for a code of so many digits: with or without hyphens, in any case.
pub(super) fn read(text: &str, digits: usize) -> Option<String> {
    let read = |letter: char| match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    let separator = |letter: &char| *letter == '-' || letter.is_whitespace();
    let code: String = text.chars().take(MAX_TYPED).filter(|letter| !separator(letter)).map(read).collect();
    let known = code.bytes().all(|digit| DIGITS.contains(&digit));
    (code.len() == digits && known).then_some(code)
}

/// The code for people to read.
pub(super) fn grouped(code: &str) -> String {
    let groups: Vec<_> = code.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join("-")
}
