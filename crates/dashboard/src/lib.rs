//! The dashboard's built files, embedded in the binary.
//!
//! [`lookup`] answers from a table that is fixed at build time: a path that is not in it does not exist, so there is
//! nothing to traverse. Bodies are compressed when the web app is built; [`Asset::negotiate`] picks the one that the
//! client takes. Where the web app was not built (`npm run build` in `app/`), [`PLACEHOLDER`] is true and [`index`]
//! is a page that says so; a release must refuse that.

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Where it is served, without a leading slash.
    pub path: &'static str,
    /// The value of `content-type`.
    pub content_type: &'static str,
    /// Whether its name changes with its content, so that it may be kept for ever.
    pub immutable: bool,
    fingerprint: &'static str,
    identity: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The form of an asset that is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Representation {
    /// The bytes to send.
    pub body: &'static [u8],
    /// The value of `content-encoding`, if one is needed.
    pub encoding: Option<&'static str>,
    /// The value of `etag`, quotes included; each encoding has its own.
    pub etag: String,
}

static PLACEHOLDER_PAGE: Asset = Asset {
    path: "index.html",
    content_type: "text/html; charset=utf-8",
    immutable: false,
    fingerprint: "placeholder",
    identity: include_bytes!("placeholder.html"),
    brotli: None,
    gzip: None,
};

/// The file served under `path` (a leading slash is allowed), or `None`.
#[must_use]
pub fn lookup(path: &str) -> Option<&'static Asset> {
    let wanted = path.strip_prefix('/').unwrap_or(path);
    let found = ASSETS.binary_search_by(|asset| asset.path.cmp(wanted)).ok()?;
    ASSETS.get(found)
}

/// The page that every path of the single-page app is answered with.
#[must_use]
pub fn index() -> &'static Asset {
    lookup("index.html").unwrap_or(&PLACEHOLDER_PAGE)
}

/// All embedded files.
pub fn assets() -> impl Iterator<Item = &'static Asset> {
    ASSETS.iter()
}

impl Asset {
    /// The best form for a client that sent this `accept-encoding`.
    #[must_use]
    pub fn negotiate(&self, accept_encoding: Option<&str>) -> Representation {
        let forms = [("br", self.brotli), ("gzip", self.gzip)];
        let chosen = forms
            .into_iter()
            .find_map(|(name, body)| body.filter(|_| accepts(accept_encoding, name)).map(|body| (name, body)));
        match chosen {
            Some((name, body)) => {
                Representation { body, encoding: Some(name), etag: format!("\"{}-{name}\"", self.fingerprint) }
            }
            None => Representation { body: self.identity, encoding: None, etag: format!("\"{}\"", self.fingerprint) },
        }
    }

    /// The value of `cache-control`.
    #[must_use]
    pub fn cache_control(&self) -> &'static str {
        if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" }
    }

    /// Whether answers differ by `accept-encoding`, and so need `vary`.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.brotli.is_some() || self.gzip.is_some()
    }
}

/// Whether the header names the encoding (or `*`) without refusing it by `q=0`.
fn accepts(header: Option<&str>, encoding: &str) -> bool {
    let quality = |wanted: &str| {
        header.unwrap_or_default().split(',').find_map(|part| {
            let mut fields = part.split(';').map(str::trim);
            fields.next().filter(|name| name.eq_ignore_ascii_case(wanted))?;
            Some(
                fields
                    .find_map(|field| field.strip_prefix("q="))
                    .and_then(|q| q.trim().parse::<f32>().ok())
                    .unwrap_or(1.0),
            )
        })
    };
    quality(encoding).or_else(|| quality("*")).is_some_and(|quality| quality > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAGE: Asset = Asset {
        path: "page.html",
        content_type: "text/html",
        immutable: false,
        fingerprint: "f",
        identity: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    #[test]
    fn the_client_chooses_the_encoding() {
        let cases = [
            (None, None),
            (Some(""), None),
            (Some("identity"), None),
            (Some("gzip"), Some("gzip")),
            (Some("gzip, deflate, br;q=0.5"), Some("br")),
            (Some("br;q=0, gzip"), Some("gzip")),
            (Some("GZIP;q=0.1"), Some("gzip")),
            (Some("*"), Some("br")),
            (Some("*;q=0"), None),
            (Some("brotli, gzippy"), None),
            (Some("gzip;q=rubbish"), Some("gzip")),
        ];
        for (header, expected) in cases {
            assert_eq!(PAGE.negotiate(header).encoding, expected, "{header:?}");
        }
    }

    #[test]
    fn each_encoding_has_its_own_etag() {
        let etags = [None, Some("gzip"), Some("br")].map(|header| PAGE.negotiate(header).etag);
        assert_eq!(etags, ["\"f\"", "\"f-gzip\"", "\"f-br\""]);
    }

    #[test]
    fn paths_outside_the_table_do_not_exist() {
        for path in [
            "../Cargo.toml",
            "/../../Cargo.toml",
            "assets/../index.html",
            "//index.html",
            "",
            "/",
            "assets",
            "index.html\0",
            "%2e%2e/index.html",
            ".vite/manifest.json",
        ] {
            assert!(lookup(path).is_none(), "{path:?}");
        }
    }

    #[test]
    fn the_table_is_sorted_so_that_every_entry_is_found() {
        for asset in assets() {
            assert!(std::ptr::eq(lookup(asset.path).unwrap(), asset), "{}", asset.path);
            assert_eq!(asset.immutable, asset.path.starts_with("assets/"), "{}", asset.path);
        }
    }

    #[test]
    fn the_index_is_the_app_or_says_how_to_build_it() {
        let body = String::from_utf8_lossy(index().identity);
        assert_eq!(PLACEHOLDER, assets().count() == 0);
        if PLACEHOLDER {
            assert!(body.contains("npm run build"));
        } else {
            assert!(body.contains("/assets/"));
            assert!(!body.contains("<style"), "the policy admits no inline style");
            assert!(!body.contains("<script>"), "the policy admits no inline script");
        }
    }
}
