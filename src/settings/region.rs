//! The platform's regions (GENESYS.md 1).

/// AWS region and domain of each.
const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
];

/// The API address of a region given by AWS name (with hyphens or underscores), domain, or address.
///
/// # Errors
/// A help text with the nearest regions, where there is no such region.
pub(super) fn api_url(region: &str) -> Result<String, String> {
    let region = region.trim();
    if region.contains("://") {
        return address(region).map_err(str::to_owned);
    }
    let plain = region.to_ascii_lowercase();
    let plain = plain.strip_prefix("api.").unwrap_or(&plain);
    let as_aws = plain.replace('_', "-");
    match REGIONS.iter().find(|(aws, domain)| *aws == as_aws || *domain == plain) {
        Some((_, domain)) => Ok(format!("https://api.{domain}")),
        None => {
            let known = REGIONS.iter().flat_map(|(aws, domain)| [*aws, *domain]);
            let near = crate::model::document::nearest(plain, known);
            let all: Vec<&str> = REGIONS.iter().map(|(aws, _)| *aws).collect();
            let near = near.map(|near| format!("did you mean '{near}'? ")).unwrap_or_default();
            Err(format!("{near}known regions: {} (or their domains)", all.join(", ")))
        }
    }
}

/// An address, without the slash at its end.
///
/// # Errors
/// A help text, where it is none.
pub(super) fn address(url: &str) -> Result<String, &'static str> {
    let plain = url.trim_end_matches('/');
    let rest = plain.strip_prefix("http://").or_else(|| plain.strip_prefix("https://"));
    let odd = |c: char| c.is_whitespace() || ['/', '?', '#', '@'].contains(&c);
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(odd) => Ok(plain.to_owned()),
        Some(_) | None => {
            Err("write it as \"https://api.mypurecloud.com\", without a path and without a name and password")
        }
    }
}

/// An address as it may be shown: without a name and a password.
pub(super) fn shown(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme =
                before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}(not shown)@{host}")
        }
        None => url.to_owned(),
    }
}

/// The login address that belongs to an API address: the host's leading `api.` made `login.`.
pub(super) fn login_url(api_url: &str) -> String {
    api_url.replacen("//api.", "//login.", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_known_by_any_of_its_names() {
        for name in [
            "eu-west-2",
            "eu_west_2",
            "euw2.pure.cloud",
            "api.euw2.pure.cloud",
            "https://api.euw2.pure.cloud/",
        ] {
            assert_eq!(api_url(name).as_deref(), Ok("https://api.euw2.pure.cloud"), "{name}");
        }
        assert_eq!(login_url("https://api.mypurecloud.ie"), "https://login.mypurecloud.ie");
        for odd in
            ["http://", "https://api.x.y/z", "http://a b", "ftp://api.x.y", "https://id:secret@api.x.y"]
        {
            assert!(api_url(odd).is_err_and(|help| help.contains("without a path")), "{odd}");
        }
        assert_eq!(shown("https://id:hun@ter/2@api.x.y"), "https://(not shown)@api.x.y");
        assert_eq!(
            (shown("id:hunter2@api.x.y"), shown("http://x")),
            ("(not shown)@api.x.y".into(), "http://x".into())
        );
        assert!(api_url("eu-west-9").is_err_and(|help| help.starts_with("did you mean 'eu-west-")));
    }
}
