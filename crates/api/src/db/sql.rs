//! Registers every SQL text of the hub, so that a test can prepare each on both engines.

/// A registered text and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct SqlText {
    /// The statement; `{in}` stands for a list of placeholders, `{within}` for what somebody may see.
    pub text: &'static str,
    /// `file:line`.
    pub place: &'static str,
}

/// Every text written with `sql!`.
#[linkme::distributed_slice]
pub static SQL_TEXTS: [SqlText];

/// A SQL text that runs on both engines: `conn.query(sql!("select …"))`. Several literals make one text.
#[macro_export]
macro_rules! sql {
    ($($text:literal),+ $(,)?) => {{
        #[$crate::db::linkme::distributed_slice($crate::db::SQL_TEXTS)]
        #[linkme(crate = $crate::db::linkme)]
        #[expect(unsafe_code, reason = "linkme puts it into a link section of its own")]
        static TEXT: $crate::db::SqlText =
            $crate::db::SqlText { text: concat!($($text),+), place: concat!(file!(), ":", line!()) };
        TEXT.text
    }};
}
