//! One HTTP/1.1 request, redirects included, with a stop-watch at each step.

mod body;
mod exchange;
mod head;
mod target;

use protocol::address::Reach;
use protocol::probe::{Failure, FailureCode, HeaderField, HttpProbe, Method};

use crate::watch::{Watch, fail};
use crate::{Env, assert, limits};
use exchange::{Answer, Hop, exchange};

pub(crate) use target::Target;

/// What stands in place of a secret.
const MASK: &str = "***";
/// Shorter secrets are not masked: every third word would be gone.
const MIN_MASKED: usize = 6;

pub(crate) async fn probe(probe: &HttpProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    let target = Target::parse(&probe.url)
        .map_err(|problem| fail(FailureCode::Unsupported, format!("the URL cannot be used: it {problem}")))?;
    let mut hop = Hop { target, method: probe.method, is_first_origin: true, sends_body: probe.body.is_some() };
    let mut redirects = 0;
    let answer = loop {
        let answer = exchange(probe, &hop, reach, env, watch).await?;
        let Some(location) = answer.redirect.as_ref().filter(|_| probe.follow) else { break answer };
        if redirects == limits::REDIRECTS {
            return Err(fail(
                FailureCode::Protocol,
                format!("it redirects more than {} times; does it redirect in a circle?", limits::REDIRECTS),
            ));
        }
        redirects += 1;
        hop = next(&hop, answer.status, location)?;
    };
    judge(probe, &answer, watch)?;
    watch.judge_latency(probe.expect.max_latency_ms)
}

/// Where a redirect leads, and what is sent there. What somebody put into the request for one origin, often credentials,
/// is for that origin only, and not for one that comes back to it either.
fn next(hop: &Hop, status: u16, location: &[u8]) -> Result<Hop, Failure> {
    let target = hop.target.join(location).map_err(|problem| {
        fail(FailureCode::Protocol, format!("{} redirects to a place that {problem}", hop.target.host()))
    })?;
    if hop.target.is_tls() && !target.is_tls() {
        return Err(fail(
            FailureCode::Protocol,
            format!("{} redirects from https to http ({}); let it stay with https", hop.target.host(), target.host()),
        ));
    }
    let keeps_method = matches!(status, 307 | 308) || matches!(hop.method, Method::Get | Method::Head);
    let method = if keeps_method { hop.method } else { Method::Get };
    let is_first_origin = hop.is_first_origin && target.has_origin_of(&hop.target);
    let sends_body = hop.sends_body && keeps_method;
    if sends_body && !is_first_origin {
        return Err(fail(
            FailureCode::Protocol,
            format!(
                "it redirects to {}, where the body of this request is not sent; name that URL instead",
                target.host()
            ),
        ));
    }
    Ok(Hop { target, method, is_first_origin, sends_body })
}

fn judge(probe: &HttpProbe, answer: &Answer, watch: &mut Watch) -> Result<(), Failure> {
    if answer.is_cut && probe.expect.needs_body() {
        let text = format!("the answer is longer than the {} KiB that are searched", limits::BODY >> 10);
        return Err(fail(FailureCode::TooLarge, text));
    }
    assert::judge(&probe.expect, answer.status, &answer.body).map_err(|failure| {
        let beginning = answer.body.get(..limits::BODY_UNNEEDED).unwrap_or(&answer.body);
        let excerpt = masked(&String::from_utf8_lossy(beginning), &probe.headers);
        watch.seen.excerpt = Some(excerpt).filter(|excerpt| !excerpt.is_empty());
        Failure { text: masked(&failure.text, &probe.headers), ..failure }
    })
}

/// Without the secrets of the request, which servers like to repeat where something is wrong.
fn masked(text: &str, headers: &[HeaderField]) -> String {
    let secrets = headers.iter().filter(|header| header.secret);
    // `Bearer abc` is repeated as `abc` as well.
    let words = secrets.flat_map(|header| [Some(header.value.trim()), header.value.split_whitespace().next_back()]);
    let words = words.flatten().filter(|secret| secret.len() >= MIN_MASKED);
    words.fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str, method: Method, sends_body: bool) -> Hop {
        Hop { target: Target::parse(url).unwrap(), method, is_first_origin: true, sends_body }
    }

    fn went(url: &str, method: Method, status: u16, location: &str) -> Option<(String, Method, bool)> {
        let next = next(&hop(url, method, false), status, location.as_bytes()).ok()?;
        Some((next.target.request_target(), next.method, next.is_first_origin))
    }

    #[test]
    fn redirects_lead_where_they_say_and_own_headers_stay_behind() {
        let get = |location| went("https://a.example/x/y?z", Method::Get, 302, location);
        assert_eq!(get("/new?q"), Some(("/new?q".into(), Method::Get, true)));
        assert_eq!(get("other"), Some(("/x/other".into(), Method::Get, true)));
        assert_eq!(get("https://a.example:443/new"), Some(("/new".into(), Method::Get, true)));
        assert_eq!(get("https://b.example/"), Some(("/".into(), Method::Get, false)), "another host");
        assert_eq!(get("https://a.example:8443/"), Some(("/".into(), Method::Get, false)), "another port");
        assert_eq!(get("//b.example/p"), Some(("/p".into(), Method::Get, false)));
        assert_eq!(
            went("http://a.example/", Method::Get, 301, "https://a.example/"),
            Some(("/".into(), Method::Get, false))
        );
        for bad in ["http://a.example/", "ftp://a.example/", "https://u:p@a.example/", "file:///etc/passwd", "https://"]
        {
            assert_eq!(get(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_method_survives_where_the_status_says_so() {
        let method = |method, status| went("https://a.example/", method, status, "/n").map(|(_, method, _)| method);
        assert_eq!(method(Method::Post, 303), Some(Method::Get));
        assert_eq!(method(Method::Post, 302), Some(Method::Get));
        assert_eq!(method(Method::Post, 307), Some(Method::Post));
        assert_eq!(method(Method::Head, 301), Some(Method::Head));
        let next = next(&hop("https://a.example/", Method::Post, true), 307, b"https://b.example/");
        assert_eq!(next.err().map(|failure| failure.code), Some(FailureCode::Protocol), "a body is for one origin too");
    }

    #[test]
    fn own_headers_do_not_come_back_with_a_redirect_that_comes_back() {
        let away = next(&hop("https://a.example/", Method::Get, false), 302, b"https://b.example/").unwrap();
        let back = next(&away, 302, b"https://a.example/").unwrap();
        assert!(!back.is_first_origin);
    }

    #[test]
    fn secrets_are_masked_in_what_is_shown() {
        let header = |value: &str| HeaderField { name: "x".into(), value: value.into(), secret: true };
        let headers = [header("Bearer abcdefgh"), header("x")];
        assert_eq!(masked("got Bearer abcdefgh, abcdefgh and x", &headers), "got ***, *** and x");
    }
}
