//! Interface counters from /proc/net/dev.

use protocol::heartbeat::Interface;

/// Most interfaces in a sample.
const MAX_INTERFACES: usize = 64;

/// Every interface but the loopback. Ends of container links come last: on a full container host they are what is left
/// out.
pub(super) fn parse(net_dev: &str) -> Vec<Interface> {
    let all: Vec<Interface> = net_dev.lines().filter_map(parse_line).filter(|found| found.name != "lo").collect();
    let (links, mut interfaces): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|interface| interface.name.starts_with("veth"));
    interfaces.extend(links);
    interfaces.truncate(MAX_INTERFACES);
    interfaces
}

/// `name: bytes packets errs drop fifo frame compressed multicast bytes packets errs …`
fn parse_line(line: &str) -> Option<Interface> {
    // An alias holds a colon of its own; no name holds the one before the counters and a blank.
    let (name, counters) = line.rsplit_once(':')?;
    let counters: Vec<u64> =
        counters.split_ascii_whitespace().map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    Some(Interface {
        name: name.trim().to_owned(),
        rx_bytes: *counters.first()?,
        rx_errors: *counters.get(2)?,
        tx_bytes: *counters.get(8)?,
        tx_errors: *counters.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NET_DEV: &str = "Inter-|   Receive                                                |  Transmit\n \
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
    lo: 1234 12 0 0 0 0 0 0 1234 12 0 0 0 0 0 0\nveth12: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n  eth0: 500 5 1 0 0 0 0 0 700 7 2 0 0 0 0 0\n";

    #[test]
    fn loopback_is_left_out_and_real_interfaces_come_first() {
        let interfaces = parse(NET_DEV);
        let names: Vec<&str> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
        assert_eq!(names, ["eth0", "veth12"]);
        let eth0 = &interfaces[0];
        assert_eq!((eth0.rx_bytes, eth0.rx_errors, eth0.tx_bytes, eth0.tx_errors), (500, 1, 700, 2));
    }

    #[test]
    fn a_host_with_hundreds_of_containers_still_shows_its_own_interfaces() {
        let links: String = (0..300).map(|index| format!("veth{index}: {}\n", "1 ".repeat(16))).collect();
        let interfaces = parse(&format!("{links}eth0: {}\n", "1 ".repeat(16)));
        assert_eq!((interfaces.len(), interfaces[0].name.as_str()), (MAX_INTERFACES, "eth0"));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(text in ".{0,300}") {
            let _ = parse(&text);
        }
    }
}
