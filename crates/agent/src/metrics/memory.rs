//! Memory from /proc/meminfo.

use protocol::heartbeat::Memory;

pub(super) fn parse(meminfo: &str) -> Memory {
    let mut total = 0;
    let mut free = 0;
    let mut available = None;
    let mut cached: u64 = 0;
    let mut buffers = 0;
    let mut swap_total = 0;
    let mut swap_free = 0;
    for line in meminfo.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let target = match name {
            "MemTotal" => &mut total,
            "MemFree" => &mut free,
            "MemAvailable" => available.insert(0),
            "Buffers" => &mut buffers,
            "Cached" | "SReclaimable" => {
                cached = cached.saturating_add(bytes(value));
                continue;
            }
            "SwapTotal" => &mut swap_total,
            "SwapFree" => &mut swap_free,
            _ => continue,
        };
        *target = bytes(value);
    }
    // Kernels of some containers do not say what is available; this is how free(1) used to guess.
    let guess = || free.saturating_add(cached).saturating_add(buffers);
    let available = available.unwrap_or_else(guess).min(total);
    Memory {
        total_bytes: total,
        used_bytes: total - available,
        available_bytes: available,
        cached_bytes: cached,
        swap_total_bytes: swap_total,
        swap_used_bytes: swap_total.saturating_sub(swap_free),
    }
}

fn bytes(value: &str) -> u64 {
    let kibibytes = value.split_ascii_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    kibibytes.saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEBIAN: &str = "MemTotal:        1000 kB\nMemFree:          200 kB\nMemAvailable:     600 kB\n\
                          Buffers:           50 kB\nCached:           300 kB\nSwapCached:         7 kB\n\
                          SwapTotal:        500 kB\nSwapFree:         400 kB\nSReclaimable:      30 kB\n";

    #[test]
    fn a_usual_file() {
        let memory = parse(DEBIAN);
        assert_eq!((memory.total_bytes, memory.available_bytes, memory.used_bytes), (1_024_000, 614_400, 409_600));
        assert_eq!((memory.cached_bytes, memory.swap_used_bytes), (337_920, 102_400));
    }

    #[test]
    fn without_the_available_line() {
        let memory = parse(&DEBIAN.replace("MemAvailable", "Other"));
        assert_eq!(memory.available_bytes, 580 * 1024);
    }

    proptest! {
        #[test]
        fn any_text_adds_up(text in "((MemTotal|MemFree|MemAvailable|Cached|SwapTotal|SwapFree|x): *[0-9]{0,22} kB\n){0,8}") {
            let memory = parse(&text);
            prop_assert_eq!(memory.used_bytes + memory.available_bytes, memory.total_bytes);
            prop_assert!(memory.swap_used_bytes <= memory.swap_total_bytes);
        }
    }
}
