//! The series that history keeps, their names, and how precisely.

/// Values of all stored series at one moment, in the order of [`Series::ALL`]. Not a number means: not known.
pub(super) type Row = [f32; Series::COUNT];

/// A row without any value.
pub(super) const EMPTY: Row = [f32::NAN; Series::COUNT];

macro_rules! series {
    ($($variant:ident = $name:literal, $precision:expr;)*) => {
        /// A stored series. The order is the order in stored blocks: new ones are added at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Series {
            $($variant,)*
        }

        impl Series {
            /// Every stored series.
            pub(super) const ALL: [Self; Self::COUNT] = [$(Self::$variant,)*];
            /// How many there are.
            pub(super) const COUNT: usize = [$($name,)*].len();

            /// Its name in the API.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How precisely it is stored.
            pub(super) const fn precision(self) -> Precision {
                match self { $(Self::$variant => $precision,)* }
            }
        }
    };
}

/// How precisely a value is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Precision {
    /// Multiples of a step.
    Step(f32),
    /// So many significant bits.
    Bits(u32),
}

series! {
    CpuPercent = "cpu.percent", Precision::Step(0.1);
    CpuIowait = "cpu.iowait_percent", Precision::Step(0.1);
    CpuSteal = "cpu.steal_percent", Precision::Step(0.1);
    Load1 = "load.1", Precision::Step(0.01);
    Load5 = "load.5", Precision::Step(0.01);
    Load15 = "load.15", Precision::Step(0.01);
    MemoryUsed = "memory.used_bytes", Precision::Bits(11);
    MemoryAvailable = "memory.available_bytes", Precision::Bits(11);
    MemoryCached = "memory.cached_bytes", Precision::Bits(11);
    MemoryTotal = "memory.total_bytes", Precision::Bits(24);
    SwapUsed = "swap.used_bytes", Precision::Bits(11);
    SwapTotal = "swap.total_bytes", Precision::Bits(24);
    DiskRead = "disk.read_bytes_per_s", Precision::Bits(8);
    DiskWrite = "disk.write_bytes_per_s", Precision::Bits(8);
    DiskReadOps = "disk.read_ops_per_s", Precision::Step(0.1);
    DiskWriteOps = "disk.write_ops_per_s", Precision::Step(0.1);
    NetworkRx = "network.rx_bytes_per_s", Precision::Bits(8);
    NetworkTx = "network.tx_bytes_per_s", Precision::Bits(8);
    FilesystemPercent = "filesystem.percent", Precision::Step(0.1);
    FilesystemUsed = "filesystem.used_bytes", Precision::Bits(14);
    Processes = "processes", Precision::Step(1.0);
    AgentRss = "agent.rss_bytes", Precision::Bits(11);
}

/// A series that can be asked for: a stored one, or one made of stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As it is stored.
    Stored(Series),
    /// `memory.percent`: used of total.
    MemoryPercent,
}

impl Shown {
    /// Every series of the API.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Series::ALL.into_iter().map(Self::Stored).chain([Self::MemoryPercent])
    }

    /// The series called `name`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::all().find(|shown| shown.name() == name)
    }

    /// Its name in the API.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stored(series) => series.name(),
            Self::MemoryPercent => "memory.percent",
        }
    }

    /// Its value in a row, as exact as it is kept.
    pub(super) fn value(self, row: &Row) -> Option<f64> {
        let value = match self {
            Self::Stored(series) => f64::from(get(row, series)),
            Self::MemoryPercent => {
                f64::from(get(row, Series::MemoryUsed)) / f64::from(get(row, Series::MemoryTotal)) * 100.0
            }
        };
        value.is_finite().then(|| match self {
            Self::Stored(series) if matches!(series.precision(), Precision::Bits(_)) => value.round(),
            _ => (value * 100.0).round() / 100.0,
        })
    }
}

/// The value of a series in a row.
pub(super) fn get(row: &Row, series: Series) -> f32 {
    row.get(series as usize).copied().unwrap_or(f32::NAN)
}

/// Sets the value of a series in a row.
pub(super) fn set(row: &mut Row, series: Series, value: f64) {
    if let Some(slot) = row.get_mut(series as usize) {
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than a chart shows")]
        let value = value as f32;
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        for shown in Shown::all() {
            assert_eq!(Shown::parse(shown.name()), Some(shown));
        }
        assert_eq!(Shown::all().count(), 23);
        assert_eq!(Shown::parse("cpu"), None);
    }

    #[test]
    fn values_know_gaps() {
        let mut row = EMPTY;
        assert_eq!(Shown::MemoryPercent.value(&row), None);
        set(&mut row, Series::MemoryUsed, 25.0);
        set(&mut row, Series::MemoryTotal, 0.0);
        assert_eq!(Shown::MemoryPercent.value(&row), None, "no division by zero");
        set(&mut row, Series::MemoryTotal, 100.0);
        assert_eq!(Shown::MemoryPercent.value(&row), Some(25.0));
    }
}
