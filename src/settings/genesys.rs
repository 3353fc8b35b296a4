//! `[genesys]`: where the platform is and who we are there, from the file, the environment and the secret.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Credentials, Genesys, Source, region, secrets};
use crate::model::document::Table;

/// The variables of the region: ours, and the vendor's own tools'.
const REGION: [&str; 2] = ["GENESYS_REGION", "GENESYSCLOUD_REGION"];
/// Those of the client id.
const CLIENT_ID: [&str; 2] = ["GENESYS_CLIENT_ID", "GENESYSCLOUD_OAUTHCLIENT_ID"];
/// Those of the client secret.
const CLIENT_SECRET: [&str; 2] = ["GENESYS_CLIENT_SECRET", "GENESYSCLOUD_OAUTHCLIENT_SECRET"];

/// What the table says; each where it is written.
#[derive(Default)]
struct Written {
    /// Where the API is; an error where a region or address was written that is none.
    api_url: Option<Result<String, ()>>,
    login_url: Option<Result<String, ()>>,
    client_id: Option<String>,
    secret_file: Option<(PathBuf, Range<usize>)>,
}

/// Reads it. What is written is checked whoever asks; what is missing only where it is needed.
pub(super) fn read(root: &mut Table<'_, '_>, source: &Source, folder: &Path) -> Option<Option<Genesys>> {
    let place = root.place();
    let written = root.table("genesys", |table| written(table, folder)).unwrap_or_default();
    match source.credentials {
        Credentials::Unneeded => Some(None),
        Credentials::Needed => complete(root, written, source, place.start..place.start).map(Some),
    }
}

fn written(table: &mut Table<'_, '_>, folder: &Path) -> Written {
    if let Some(value) = table.raw("client_secret") {
        secrets::refuse(table, value.span.into(), "client_secret_file");
    }
    let (named, api) = (table.text("region"), table.text("api_url"));
    let named = named.map(|(name, place)| region_url(table, &name, "", place));
    let api = api.map(|(url, place)| address(table, "api_url", &url, place));
    let login = table.text("login_url");
    Written {
        api_url: api.or(named),
        login_url: login.map(|(url, place)| address(table, "login_url", &url, place)),
        client_id: table.string("client_id"),
        secret_file: table.text("client_secret_file").map(|(name, place)| (folder.join(name), place)),
    }
}

/// Adds what the environment holds, and tells all that is missing.
fn complete(
    root: &mut Table<'_, '_>,
    written: Written,
    source: &Source,
    at: Range<usize>,
) -> Option<Genesys> {
    let variable = |names: [&'static str; 2]| {
        let set = |name: &'static str| source.environment.get(name).map(|value| (name, value.clone()));
        names.into_iter().find_map(set)
    };
    let api_url = written.api_url.or_else(|| {
        let (variable, name) = variable(REGION)?;
        Some(region_url(root, &name, &format!(" (of {variable})"), at.clone()))
    });
    if api_url.is_none() {
        let message = "there is no region: neither genesys.region, genesys.api_url nor GENESYS_REGION is set";
        let help = "write region = \"us-east-1\" (or your own) under [genesys]".to_owned();
        root.document().mistake(at.clone(), message, Some(help));
    }
    let client_id = written.client_id.or_else(|| variable(CLIENT_ID).map(|(_, id)| id));
    let client_id = client_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    if client_id.is_none() {
        let message = "there is no client id: neither genesys.client_id nor GENESYS_CLIENT_ID is set";
        let help =
            "make an OAuth client with the grant type Client Credentials and write its id there".to_owned();
        root.document().mistake(at.clone(), message, Some(help));
    }
    let file = written.secret_file.as_ref().map(|(path, _)| path.as_path());
    let secret = secrets::find("client secret", "client-secret", file, &CLIENT_SECRET, &source.environment);
    let secret = secret.map_err(|message| {
        let (place, help) = match &written.secret_file {
            Some((_, place)) => (place.clone(), secrets::FILE_HELP),
            None => (at, "name the file that holds it as genesys.client_secret_file"),
        };
        root.document().mistake(place, message, Some(help.to_owned()));
    });
    let api_url = api_url?.ok()?;
    let login_url = written.login_url.unwrap_or_else(|| Ok(region::login_url(&api_url))).ok()?;
    Some(Genesys { api_url, login_url, client_id: client_id?, client_secret: secret.ok()? })
}

fn region_url(table: &mut Table<'_, '_>, name: &str, from: &str, place: Range<usize>) -> Result<String, ()> {
    region::api_url(name).map_err(|help| {
        table.document().mistake(
            place,
            format!("there is no region '{}'{from}", region::shown(name)),
            Some(help),
        );
    })
}

fn address(table: &mut Table<'_, '_>, key: &str, url: &str, place: Range<usize>) -> Result<String, ()> {
    region::address(url).map_err(|help| {
        let message = format!("'{}' is not an address for {key}", region::shown(url));
        table.document().mistake(place, message, Some(help.to_owned()));
    })
}
