//! Bytes and operations over whole disks, from /proc/diskstats.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use protocol::heartbeat::DiskIo;

/// /proc/diskstats counts in these, whatever the disk's sector size.
const SECTOR: u64 = 512;
/// Devices remembered; a machine with more forgets and asks again.
const MAX_DEVICES: usize = 4096;

/// Knows which devices are disks: partitions, loops, RAID and volumes would count the same bytes again.
#[derive(Debug)]
pub(super) struct WholeDisks {
    sys_block: PathBuf,
    known: HashMap<String, bool>,
}

impl Default for WholeDisks {
    fn default() -> Self {
        Self { sys_block: "/sys/block".into(), known: HashMap::new() }
    }
}

impl WholeDisks {
    /// Sums over the disks.
    pub(super) fn sum(&mut self, diskstats: &str) -> DiskIo {
        let mut sum = DiskIo::default();
        for (name, counters) in diskstats.lines().filter_map(parse_line) {
            if self.is_whole_disk(name) {
                sum.read_ops = sum.read_ops.saturating_add(counters.read_ops);
                sum.read_bytes = sum.read_bytes.saturating_add(counters.read_bytes);
                sum.write_ops = sum.write_ops.saturating_add(counters.write_ops);
                sum.write_bytes = sum.write_bytes.saturating_add(counters.write_bytes);
            }
        }
        sum
    }

    fn is_whole_disk(&mut self, name: &str) -> bool {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        if self.known.len() >= MAX_DEVICES {
            self.known.clear();
        }
        let answer = is_physical(&self.sys_block, name);
        self.known.insert(name.to_owned(), answer);
        answer
    }
}

/// /sys/block lists whole disks only and links each to its device; what has no hardware lies under `virtual`.
fn is_physical(sys_block: &Path, name: &str) -> bool {
    let link = std::fs::read_link(sys_block.join(name));
    link.is_ok_and(|target| !target.components().any(|part| part.as_os_str() == "virtual"))
}

/// `major minor name reads merged sectors ms writes merged sectors ms …`
fn parse_line(line: &str) -> Option<(&str, DiskIo)> {
    let mut fields = line.split_ascii_whitespace().skip(2);
    let name = fields.next()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
    let read_ops = number(0)?;
    let sectors_read = number(1)?;
    let write_ops = number(1)?;
    let sectors_written = number(1)?;
    Some((
        name,
        DiskIo {
            read_bytes: sectors_read.saturating_mul(SECTOR),
            write_bytes: sectors_written.saturating_mul(SECTOR),
            read_ops,
            write_ops,
        },
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    const DISKSTATS: &str = "   7       0 loop0 9 9 9 9 9 9 9 9 0 0 0\n 254       0 vda 100 5 2000 30 50 6 1000 40 0 0 0 0\n \
                             254       1 vda1 90 5 1900 30 50 6 1000 40 0 0 0 0\n 253       0 dm-0 90 0 1900 3 50 0 1000 4 0 0 0\n";

    #[test]
    fn partitions_and_virtual_devices_are_not_counted_again() {
        let sys = tempfile::tempdir().unwrap();
        symlink("../devices/pci0000:00/virtio2/block/vda", sys.path().join("vda")).unwrap();
        symlink("../devices/virtual/block/loop0", sys.path().join("loop0")).unwrap();
        symlink("../devices/virtual/block/dm-0", sys.path().join("dm-0")).unwrap();
        let mut disks = WholeDisks { sys_block: sys.path().into(), known: HashMap::new() };
        let expected = DiskIo { read_bytes: 2000 * 512, write_bytes: 1000 * 512, read_ops: 100, write_ops: 50 };
        assert_eq!(disks.sum(DISKSTATS), expected);
        assert_eq!(disks.sum(DISKSTATS), expected, "from memory");
    }

    proptest! {
        #[test]
        fn rubbish_counts_nothing(text in ".{0,200}") {
            let sys = Path::new("/nonexistent");
            let mut disks = WholeDisks { sys_block: sys.into(), known: HashMap::new() };
            prop_assert_eq!(disks.sum(&text), DiskIo::default());
        }
    }
}
