//! Which mounts are worth measuring, from mountinfo.

use std::collections::HashSet;

/// Most file systems in a sample.
const MAX_MOUNTS: usize = 64;

/// File systems without a device of their own that nevertheless hold data on a disk.
const REAL_WITHOUT_DEVICE: &[&str] = &["btrfs", "zfs", "bcachefs", "virtiofs"];
/// A device, but not one that fills up: images, removable read-only media.
const IMAGES: &[&str] = &["squashfs", "iso9660", "udf", "erofs", "cramfs"];

/// Container engines mount single files of the machine underneath here; its disk is not this machine's.
const SINGLE_FILES: &[&str] = &["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// One mounted device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Mount {
    /// Where it is mounted first.
    pub(super) point: String,
    /// Type.
    pub(super) fs: String,
    /// `st_dev` of the device, where the kernel gives every file of the mount the same one.
    pub(super) device: Option<(u64, u64)>,
}

/// The mounts that hold data on a local disk, one per device. Pseudo file systems have no figures worth having, network
/// file systems may not answer for hours.
pub(super) fn parse(mountinfo: &str) -> Vec<Mount> {
    let mut seen = HashSet::new();
    let mut mounts: Vec<Mount> = Vec::new();
    for (device, mount) in mountinfo.lines().filter_map(parse_line) {
        if !is_measured(&mount, device) {
            continue;
        }
        if seen.insert(device) {
            mounts.push(mount);
        } else if mount.point == "/" {
            // Some machines mount a disk elsewhere before they make it their root.
            let same = mounts.iter_mut().find(|other| other.device == mount.device && other.fs == mount.fs);
            if let Some(other) = same {
                *other = mount;
            }
        }
    }
    mounts.truncate(MAX_MOUNTS);
    mounts
}

fn is_measured(mount: &Mount, (major, _): (u64, u64)) -> bool {
    if IMAGES.contains(&mount.fs.as_str()) || SINGLE_FILES.contains(&mount.point.as_str()) {
        return false;
    }
    // Device numbers with a major of 0 are made up by the kernel. The root counts in any case but memory: in a container it
    // is an overlay.
    major != 0
        || REAL_WITHOUT_DEVICE.contains(&mount.fs.as_str())
        || (mount.point == "/" && matches!(mount.fs.as_str(), "overlay" | "fuse-overlayfs" | "aufs"))
}

/// `id parent major:minor root point options optional… - type source super`
fn parse_line(line: &str) -> Option<((u64, u64), Mount)> {
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ').skip(2);
    let (major, minor) = head.next()?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let point = unescape(head.nth(1)?)?;
    let fs = tail.split(' ').next()?.to_owned();
    // fuseblk is a local disk behind a process, every other fuse may be anything.
    if fs.starts_with("fuse.") {
        return None;
    }
    Some((device, Mount { point, fs, device: (device.0 != 0).then_some(device) }))
}

/// Blank, tab, line feed and backslash are written as three octal digits.
fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, after.first_chunk::<3>()) {
            (b'\\', Some(digits)) => {
                let octal = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(octal, 8).ok()?);
                rest = after.get(3..)?;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VPS: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw,size=1k\n\
24 22 0:21 / /proc rw - proc proc rw\n\
25 22 0:22 / /run rw shared:5 - tmpfs tmpfs rw\n\
26 22 254:16 / /srv/my\\040data rw shared:9 - xfs /dev/vdb rw\n\
27 22 254:16 /sub /var/bind rw - xfs /dev/vdb rw\n\
28 22 7:0 / /snap/core ro - squashfs /dev/loop0 ro\n\
29 22 0:44 / /mnt/nfs rw - nfs4 server:/export rw\n\
30 22 0:45 / /mnt/ssh rw - fuse.sshfs user@host: rw\n\
31 22 0:50 /@ /data rw - btrfs /dev/vdc rw\n\
32 22 0:50 /@home /data/home rw - btrfs /dev/vdc rw\n\
33 22 0:60 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n";

    #[test]
    fn one_entry_per_disk_and_nothing_else() {
        let found: Vec<(String, String)> = parse(VPS).into_iter().map(|mount| (mount.point, mount.fs)).collect();
        let expected = [("/", "ext4"), ("/srv/my data", "xfs"), ("/data", "btrfs")];
        assert_eq!(found, expected.map(|(point, fs)| (point.to_owned(), fs.to_owned())));
    }

    #[test]
    fn the_root_of_a_container_counts() {
        let container = "100 99 0:120 / / rw - overlay overlay rw\n101 100 0:121 / /dev rw - tmpfs tmpfs rw\n\
                         102 100 254:1 /var/x/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n\
                         103 100 254:1 /var/y /data rw - ext4 /dev/vda1 rw\n";
        let found: Vec<String> = parse(container).into_iter().map(|mount| mount.point).collect();
        assert_eq!(found, ["/", "/data"]);
    }

    #[test]
    fn a_disk_is_named_by_its_root_mount() {
        let late_root = "20 1 254:1 / /mnt/early rw - ext4 /dev/vda1 rw\n22 1 254:1 / / rw - ext4 /dev/vda1 rw\n";
        let found = parse(late_root);
        assert_eq!(found.iter().map(|mount| mount.point.as_str()).collect::<Vec<_>>(), ["/"]);
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text in "([0-9]{1,3} 1 [0-9]{1,3}:[0-9]{1,3} / /[a-z\\\\0-9]{0,9} rw - ext4 x rw\n){0,90}") {
            prop_assert!(parse(&text).len() <= MAX_MOUNTS);
        }

        #[test]
        fn rubbish_never_panics(text in ".{0,300}") {
            let _ = parse(&text);
            let _ = unescape(&text);
        }
    }
}
