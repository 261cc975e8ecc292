//! The text of a file that another program wrote: which encoding it is in, and one kind of line end.

use crate::model::words;

/// What nobody can read as a table, in words.
const NOT_TEXT: &str = "The file is not UTF-8 text. In a spreadsheet, save it as “CSV UTF-8”.";
const SPREADSHEET: &str =
    "The file is a spreadsheet and not a CSV file. Open it in the spreadsheet program and save it as “CSV UTF-8”.";
const BROKEN_UTF_16: &str = "The file begins like UTF-16 text and is none. In a spreadsheet, save it as “CSV UTF-8”.";

/// In which encoding a file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without its mark.
    Utf8,
    /// UTF-16 of either byte order.
    Utf16,
    /// Windows-1252, which no file says of itself.
    Windows1252,
}
words!(Encoding { Utf8 = "utf-8", Utf16 = "utf-16", Windows1252 = "windows-1252" });

impl Encoding {
    /// What is to be said of it to whoever sent the file.
    #[must_use]
    pub fn note(self) -> Option<String> {
        match self {
            Self::Utf8 | Self::Utf16 => None,
            Self::Windows1252 => Some(
                "The file is not UTF-8 and was read as Windows-1252. If a name looks wrong, open the file in the \
                 spreadsheet, save it as “CSV UTF-8”, and import that."
                    .into(),
            ),
        }
    }
}

/// The text of a file with line feeds alone at its line ends, and without a byte-order mark.
///
/// # Errors
/// A sentence that says what to do, where the encoding cannot be told.
pub fn decode(bytes: &[u8]) -> Result<(String, Encoding), String> {
    let (text, encoding) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (utf_8(rest)?, Encoding::Utf8),
        [0xff, 0xfe, rest @ ..] => (utf_16(rest, u16::from_le_bytes)?, Encoding::Utf16),
        [0xfe, 0xff, rest @ ..] => (utf_16(rest, u16::from_be_bytes)?, Encoding::Utf16),
        // Containers of Excel, LibreOffice and Numbers.
        [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => return Err(SPREADSHEET.into()),
        // Without a mark: the names of columns are ASCII.
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            (utf_16(bytes, u16::from_le_bytes)?, Encoding::Utf16)
        }
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            (utf_16(bytes, u16::from_be_bytes)?, Encoding::Utf16)
        }
        _ => match utf_8(bytes) {
            Ok(text) => (text, Encoding::Utf8),
            Err(why) => (windows_1252(bytes).ok_or(why)?, Encoding::Windows1252),
        },
    };
    // The sign by which MS-DOS ends a file.
    Ok((with_line_feeds(text.trim_end_matches('\u{1a}')), encoding))
}

/// The same text with line feeds alone: browsers send the lines of a text with CR LF, and old spreadsheets write CR.
#[must_use]
pub fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn utf_8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| NOT_TEXT.to_owned())
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty()).ok_or_else(|| BROKEN_UTF_16.to_owned())
}

/// Text in Windows-1252, where it makes sense: Latin letters, never three in a row beyond ASCII, and the apostrophe of
/// word processors. What else is there is as well another encoding's letter (`ü` of MS-DOS, `é` of Macintosh,
/// Cyrillic), and a wrong name is worse than a file that is sent again.
fn windows_1252(bytes: &[u8]) -> Option<String> {
    const APOSTROPHE: u8 = 0x92;
    // To a Macintosh of the time of CR it is a letter.
    let macintosh = bytes.contains(&b'\r') && !bytes.contains(&b'\n');
    let (mut text, mut run) = (String::with_capacity(bytes.len()), 0);
    for (at, byte) in bytes.iter().enumerate() {
        run = if byte.is_ascii() { 0 } else { run + 1 };
        let sign = match *byte {
            0..=0x7f => char::from(*byte),
            APOSTROPHE if !macintosh => '’',
            0xd7 | 0xf7 => return None,
            // A mark inside: the file was put together from pieces in several encodings.
            0xff if bytes.get(at + 1) == Some(&0xfe) => return None,
            0xfe if bytes.get(at + 1) == Some(&0xff) => return None,
            0xc0.. => char::from(*byte),
            _ => return None,
        };
        if run > 2 {
            return None;
        }
        text.push(sign);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16_bytes(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_that_spreadsheets_write_is_told() {
        let text = "login_name\nJürgen Kőszegi 😀\n";
        let read = |bytes: &[u8]| decode(bytes).unwrap();
        assert_eq!(read(text.as_bytes()), (text.into(), Encoding::Utf8));
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()), (text.into(), Encoding::Utf8));
        for marked in [text.to_owned(), format!("\u{feff}{text}")] {
            assert_eq!(read(&utf_16_bytes(&marked, u16::to_le_bytes)), (text.into(), Encoding::Utf16));
            assert_eq!(read(&utf_16_bytes(&marked, u16::to_be_bytes)), (text.into(), Encoding::Utf16));
        }
        let ansi = read(b"login_name\r\nJ\xfcrgen O\x92Brien, Zo\xeb\r\n");
        assert_eq!(ansi, ("login_name\nJürgen O’Brien, Zoë\n".into(), Encoding::Windows1252));
        assert!(ansi.1.note().unwrap().contains("CSV UTF-8"));
        assert_eq!(read(b""), (String::new(), Encoding::Utf8));
    }

    #[test]
    fn what_may_be_another_encoding_is_not_guessed() {
        for (bytes, of) in [
            (&b"J\x81rgen\r\n"[..], "MS-DOS"),
            (b"Jos\x8e\n", "Macintosh"),
            (b"Garc\x92a\r", "Macintosh"),
            (b"Wa\xb3\xeasa\n", "Windows-1250"),
            (b"\xc8\xe2\xe0\xed\n", "Windows-1251"),
            (b"x,\xff\xfe\n", "two pieces"),
            (b"\xef\xbb\xbfJ\xfcrgen\n", "not what its mark says"),
            (b"a\xd7b", "no letter"),
        ] {
            let why = decode(bytes).unwrap_err();
            assert!(why.contains("save it as “CSV UTF-8”"), "{of}: {why}");
        }
        for half in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8", b"\xfe\xff\xd8\x00"] {
            assert!(decode(half).unwrap_err().contains("UTF-16"));
        }
        for container in [&b"PK\x03\x04\x14"[..], b"\xd0\xcf\x11\xe0\xa1"] {
            assert!(decode(container).unwrap_err().contains("is a spreadsheet"));
        }
    }

    #[test]
    fn every_line_end_is_one() {
        for end in ["\n", "\r", "\r\n"] {
            assert_eq!(decode(format!("a{end}b{end}\u{1a}").as_bytes()).unwrap().0, "a\nb\n");
        }
    }
}
