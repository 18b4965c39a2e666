//! Status line and headers of an answer.

use protocol::probe::HttpVersion;

use crate::limits;

/// What is needed of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: HttpVersion,
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// `Location`, where there is exactly one.
    pub(super) location: Option<Vec<u8>>,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By chunks.
    Chunked,
    /// Where the connection ends.
    UntilClose,
}

/// Why bytes are no head, as the rest of a sentence.
pub(super) type HeadError = &'static str;

/// Reads a head from the beginning of `bytes`, and says how long it is; none where it has not ended yet.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; limits::HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    // A monitor looks whether people are served, not whether a header is well-formed that no browser minds.
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(true);
    config.allow_obsolete_multiline_headers_in_responses(true);
    config.ignore_invalid_headers_in_responses(true);
    let length = match config.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Complete(length)) if length <= limits::HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < limits::HEAD => return Ok(None),
        Ok(_) => return Err("has headers of more than 16 KiB"),
        Err(httparse::Error::TooManyHeaders) => return Err("has more than 64 headers"),
        Err(_) => return Err("is not HTTP; is it the right port, and does it want https?"),
    };
    let version = if response.version == Some(0) { HttpVersion::Http10 } else { HttpVersion::Http11 };
    let status = response.code.filter(|code| (100..=999).contains(code)).ok_or("has no status")?;
    let named = |name: &'static str| {
        let fields = response.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        fields.map(|header| header.value)
    };
    let framing = framing(named("transfer-encoding"), named("content-length"))?;
    let mut locations = named("location");
    let location = locations.next().filter(|_| locations.next().is_none()).map(<[u8]>::to_vec);
    Ok(Some((Head { version, status, framing, location }, length)))
}

fn framing<'a>(
    encodings: impl Iterator<Item = &'a [u8]>,
    mut lengths: impl Iterator<Item = &'a [u8]>,
) -> Result<Framing, HeadError> {
    let mut is_chunked = false;
    for encoding in encodings.flat_map(|value| value.split(|byte| *byte == b',')) {
        match encoding.trim_ascii() {
            encoding if encoding.eq_ignore_ascii_case(b"chunked") && !is_chunked => is_chunked = true,
            encoding if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") => {}
            _ => return Err("has a Transfer-Encoding that nobody asked for"),
        }
    }
    if is_chunked {
        return Ok(Framing::Chunked);
    }
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    if lengths.any(|length| length.trim_ascii() != first.trim_ascii()) {
        return Err("has two Content-Lengths that differ");
    }
    let digits = std::str::from_utf8(first.trim_ascii()).ok();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(Framing::Length).ok_or("has a Content-Length that is no number")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Option<Head>, HeadError> {
        parse(text.as_bytes()).map(|found| found.map(|(head, _)| head))
    }

    fn framing_of(headers: &str) -> Result<Framing, HeadError> {
        head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).map(|head| head.unwrap().framing)
    }

    #[test]
    fn heads_are_read() {
        let text = "HTTP/1.0 301 Moved\r\nLocation: /x\r\ncontent-length: 5\r\n\r\nhello";
        let (found, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((found.version, found.status, found.framing), (HttpVersion::Http10, 301, Framing::Length(5)));
        assert_eq!((found.location.as_deref(), &text[length..]), (Some(&b"/x"[..]), "hello"));
        assert_eq!(head_status("HTTP/1.1 200\r\n\r\n"), Ok(Some(200)));
        assert_eq!(
            head_status("HTTP/1.1 200 OK\r\nbad header\r\nx : y\r\n\r\n"),
            Ok(Some(200)),
            "lenient where people are"
        );
        assert_eq!(head_status("HTTP/1.1 200 OK\r\nx:"), Ok(None));
        for garbage in [
            "SSH-2.0-OpenSSH_9.6\r\n",
            "220 mail ESMTP\r\n",
            "\u{16}\u{3}\u{1}",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 000 x\r\n\r\n",
        ] {
            assert!(head(garbage).is_err(), "{garbage}");
        }
    }

    fn head_status(text: &str) -> Result<Option<u16>, HeadError> {
        head(text).map(|head| head.map(|head| head.status))
    }

    #[test]
    fn the_end_of_a_body_is_known_or_the_answer_is_refused() {
        assert_eq!(framing_of(""), Ok(Framing::UntilClose));
        assert_eq!(framing_of("Content-Length: 7\r\nContent-Length: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(framing_of("Transfer-Encoding: Chunked\r\nContent-Length: 7\r\n"), Ok(Framing::Chunked));
        for bad in [
            "Content-Length: 7\r\nContent-Length: 8\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 0x7\r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Content-Length: \r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
        ] {
            assert!(framing_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn heads_beyond_the_limits_are_refused() {
        assert!(framing_of(&format!("x: {}\r\n", "y".repeat(limits::HEAD))).is_err());
        assert!(head(&format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(limits::HEAD))).is_err(), "also before it ends");
        assert!(framing_of(&"a: b\r\n".repeat(limits::HEADERS)).is_ok());
        assert!(framing_of(&"a: b\r\n".repeat(limits::HEADERS + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn anything_behind_a_status_line_is_a_head_or_not(
            lines in prop::collection::vec("[ -~\\r\\t]{0,40}", 0..80),
            end in "(\r\n){0,2}",
        ) {
            let text = format!("HTTP/1.1 200 OK\r\n{}{end}", lines.join("\r\n"));
            if let Ok(Some((_, length))) = parse(text.as_bytes()) {
                prop_assert!(length <= limits::HEAD && length <= text.len());
            }
        }
    }
}
