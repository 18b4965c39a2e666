//! Records as text, one form for what was found and what is expected.

use std::net::IpAddr;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordType};
use protocol::probe::RecordKind;

/// Aliases that are followed within one answer.
const MAX_ALIASES: usize = 16;

pub(super) const fn of(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Cname => RecordType::CNAME,
        RecordKind::Mx => RecordType::MX,
        RecordKind::Ns => RecordType::NS,
        RecordKind::Txt => RecordType::TXT,
        RecordKind::Soa => RecordType::SOA,
        RecordKind::Caa => RecordType::CAA,
        RecordKind::Srv => RecordType::SRV,
    }
}

/// The records of `kind` that an answer holds for `name` or what it is an alias of, sorted, each once.
pub(super) fn texts(message: &Message, name: &Name, kind: RecordKind) -> Vec<String> {
    let answers = || message.answers.iter().filter(|record| record.dns_class == DNSClass::IN);
    let mut owner = name.clone();
    if kind != RecordKind::Cname {
        for _ in 0..MAX_ALIASES {
            let alias = answers().find_map(|record| match &record.data {
                RData::CNAME(alias) if record.name == owner => Some(alias.0.clone()),
                _ => None,
            });
            let Some(alias) = alias else { break };
            owner = alias;
        }
    }
    let of_kind = answers().filter(|record| record.name == owner && record.record_type() == of(kind));
    let mut texts: Vec<_> = of_kind.filter_map(text).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn text(record: &Record) -> Option<String> {
    let text = match &record.data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(name) => plain(&name.0),
        RData::NS(name) => plain(&name.0),
        RData::MX(mx) => format!("{} {}", mx.preference, plain(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, plain(&srv.target)),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            plain(&soa.mname),
            plain(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::CAA(caa) => {
            let value = String::from_utf8_lossy(&caa.value);
            format!("{} {} \"{value}\"", caa.flags(), caa.tag.to_ascii_lowercase())
        }
        _ => return None,
    };
    Some(text)
}

/// In lower case, without the dot at the end; the root itself is the dot.
fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').filter(|text| !text.is_empty()).map_or(text.clone(), ToOwned::to_owned)
}

/// What somebody expects, in the form of [`texts`].
pub(super) fn normal(text: &str, kind: RecordKind) -> String {
    let text = text.trim();
    match kind {
        RecordKind::Txt => text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned(),
        RecordKind::Caa => text.to_owned(),
        RecordKind::A | RecordKind::Aaaa => {
            text.parse::<IpAddr>().map_or_else(|_| text.to_owned(), |address| address.to_string())
        }
        RecordKind::Cname | RecordKind::Mx | RecordKind::Ns | RecordKind::Soa | RecordKind::Srv => {
            let words = text.split_whitespace().map(|word| {
                let word = word.to_ascii_lowercase();
                word.strip_suffix('.').filter(|rest| !rest.is_empty()).map_or(word.clone(), ToOwned::to_owned)
            });
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::op::{MessageType, OpCode};
    use hickory_resolver::proto::rr::rdata::{A, CAA, CNAME, MX, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn message(records: Vec<(&str, RData)>) -> Message {
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.answers = records.into_iter().map(|(owner, data)| Record::from_rdata(name(owner), 60, data)).collect();
        message
    }

    #[test]
    fn aliases_are_followed_and_strangers_passed_over() {
        let address = |last| RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
        let found = message(vec![
            ("b.example.", address(2)),
            ("WWW.example.", RData::CNAME(CNAME(name("a.example.")))),
            ("a.example.", RData::CNAME(CNAME(name("b.example.")))),
            ("stranger.example.", address(9)),
            ("b.example.", address(1)),
        ]);
        assert_eq!(texts(&found, &name("www.example."), RecordKind::A), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(texts(&found, &name("www.example."), RecordKind::Cname), ["a.example"]);
        let circle = message(vec![
            ("a.example.", RData::CNAME(CNAME(name("b.example.")))),
            ("b.example.", RData::CNAME(CNAME(name("a.example.")))),
        ]);
        assert!(texts(&circle, &name("a.example."), RecordKind::A).is_empty());
    }

    #[test]
    fn records_and_expectations_have_one_form() {
        let owner = "x.example.";
        let caa = CAA::new_issue(false, Some(name("ca.example")), Vec::new());
        for (kind, data, expected) in [
            (RecordKind::Mx, RData::MX(MX::new(10, name("Mail.Example."))), " 10  mail.example. "),
            (RecordKind::Mx, RData::MX(MX::new(0, name("."))), "0 ."),
            (RecordKind::Txt, RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()])), "v=spf1 -all"),
            (RecordKind::Txt, RData::TXT(TXT::new(vec!["A b".into()])), "\"A b\""),
            (RecordKind::Caa, RData::CAA(caa), "0 issue \"ca.example\""),
        ] {
            let found = texts(&message(vec![(owner, data)]), &name(owner), kind);
            assert_eq!(found, [normal(expected, kind)]);
        }
        assert_eq!(normal("2001:DB8::0:1", RecordKind::Aaaa), "2001:db8::1");
    }
}
