//! `roadstead api METHOD PATH`: one request, its answer on standard output.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::hub::{self, HubClient};
use super::saved::Saved;
use super::terminal;
use crate::cli::{Failure, small_runtime};
use crate::data_dir;

/// Largest body that is sent.
const MAX_INPUT: u64 = 16 << 20;
/// More pages than that are a mistake: at least a hundred thousand entries.
const MAX_PAGES: usize = 1000;

/// What to ask.
///
/// Prints what the hub answers. Exit codes: 0 done, 1 the hub said no (its error is printed) or cannot be reached, 2 wrong
/// usage. In scripts ROADSTEAD_URL and ROADSTEAD_API_KEY can take the place of `roadstead login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roadstead api GET /v1/servers
  roadstead api GET /v1/jobs -f state=failed --paginate
  roadstead api POST /v1/jobs -f server_id=$ID -f kind=exec -j 'args={\"command\":\"uptime\"}'
  roadstead api GET '/v1/jobs/'$JOB'/log?follow=true' -H 'Accept: text/event-stream'
  roadstead api PATCH /v1/projects/$ID --input changes.json")]
pub(in crate::cli) struct Api {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Method,
    /// Path with query, such as /v1/servers?limit=10
    #[arg(value_name = "PATH")]
    path: String,
    /// A field of text: of the query for GET and DELETE, of the JSON object that is sent otherwise
    #[arg(short, long = "field", value_name = "NAME=TEXT", value_parser = pair)]
    fields: Vec<(String, String)>,
    /// A field whose value is JSON: a number, true, an object
    #[arg(short, long = "json", value_name = "NAME=JSON", value_parser = pair)]
    json: Vec<(String, String)>,
    /// The body: a file, - for standard input; JSON unless a Content-Type says otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fields", "json"])]
    input: Option<PathBuf>,
    /// A header, such as 'If-Match: "3"'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Print status and headers first
    #[arg(short, long, conflicts_with = "paginate")]
    include: bool,
    /// Follow next_cursor to the end of a list and print all of it as one
    #[arg(long)]
    paginate: bool,
    /// The hub's address [default: the one that you signed in to last]
    #[arg(long, value_name = "URL", env = "ROADSTEAD_URL")]
    hub: Option<String>,
}

fn method(text: &str) -> Result<Method, String> {
    let method = text.to_ascii_uppercase();
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];
    known.into_iter().find(|known| known.as_str() == method).ok_or_else(|| "GET, POST, PUT, PATCH or DELETE".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("'Name: value'")?;
    let name = name.trim().parse().map_err(|_| "no name of a header")?;
    Ok((name, value.trim().parse().map_err(|_| "no value of a header")?))
}

pub(in crate::cli) fn api(command: &Api) -> Result<(), Failure> {
    small_runtime()?.block_on(async {
        let hub = open(command.hub.as_deref())?;
        let is_success = if command.paginate { all_pages(command, &hub).await? } else { once(command, &hub).await? };
        // The hub's own words are printed already.
        if is_success { Ok(()) } else { Err(Failure { error: anyhow!("the hub said no"), code: 1 }) }
    })
}

/// The hub that is meant, as who is meant.
fn open(named: Option<&str>) -> anyhow::Result<HubClient> {
    let named = named.map(hub::address).transpose()?;
    let saved = Saved::load()?;
    let key = std::env::var("ROADSTEAD_API_KEY").ok().filter(|key| !key.is_empty());
    match (key, &named) {
        (Some(key), Some(address)) => {
            let pin = saved.hubs.get(address).and_then(|hub| hub.pinned_key);
            HubClient::new(address, pin, Some(&key))
        }
        (Some(_), None) => bail!("ROADSTEAD_API_KEY is set, but not for which hub: set ROADSTEAD_URL as well"),
        (None, named) => {
            let (address, hub) = saved.hub(named.as_deref())?;
            HubClient::new(address, hub.pinned_key, Some(&hub.api_key))
        }
    }
}

async fn once(command: &Api, hub: &HubClient) -> anyhow::Result<bool> {
    let response = send(command, hub, None).await?;
    let is_success = response.status().is_success();
    let mut out = std::io::stdout().lock();
    if command.include {
        writeln!(out, "HTTP {}", response.status())?;
        for (name, value) in response.headers() {
            writeln!(out, "{name}: {}", value.to_str().unwrap_or("(bytes)"))?;
        }
        writeln!(out)?;
    }
    print(response, &mut out).await?;
    Ok(is_success)
}

/// Prints an answer as it comes. For people JSON is set in lines, and nothing reaches the terminal that it would obey.
async fn print(mut response: Response, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let is_for_people = std::io::stdout().is_terminal();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if is_for_people && kind.starts_with("application/json") {
        let bytes = hub::bounded(response).await?;
        let text = serde_json::from_slice::<Value>(&bytes).map(|body| format!("{body:#}"));
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned());
        writeln!(out, "{}", terminal::plain(&text))?;
        return Ok(());
    }
    let mut shown = terminal::Plain::default();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| anyhow!("the answer broke off: {}", hub::innermost(&error)))?
    {
        if is_for_people {
            shown.write(&chunk, out)?;
        } else {
            out.write_all(&chunk)?;
        }
        out.flush()?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Value>,
    next_cursor: Option<String>,
}

/// Every entry of a list, as if it came on one page.
async fn all_pages(command: &Api, hub: &HubClient) -> anyhow::Result<bool> {
    let mut entries = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let response = send(command, hub, cursor.as_deref()).await?;
        let mut out = std::io::stdout().lock();
        if !response.status().is_success() {
            print(response, &mut out).await?;
            return Ok(false);
        }
        let page = serde_json::from_slice(&hub::bounded(response).await?);
        let Page { data, next_cursor } = page.context("the answer is no list")?;
        entries.extend(data);
        cursor = next_cursor;
        if cursor.is_none() {
            let whole = serde_json::json!({ "data": entries, "next_cursor": null });
            let is_for_people = std::io::stdout().is_terminal();
            let text = if is_for_people { terminal::plain(&format!("{whole:#}")) } else { whole.to_string() };
            writeln!(out, "{text}")?;
            return Ok(true);
        }
    }
    bail!("the list has more than {MAX_PAGES} pages; narrow it")
}

async fn send(command: &Api, hub: &HubClient, cursor: Option<&str>) -> anyhow::Result<Response> {
    let mut request = hub.request(command.method.clone(), &command.path)?;
    let in_query = matches!(command.method, Method::GET | Method::HEAD | Method::DELETE);
    let mut headers: HeaderMap = command.headers.iter().cloned().collect();
    if !headers.contains_key(ACCEPT) {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
    }
    let body = match &command.input {
        Some(file) => Some(input(file)?),
        None if in_query => None,
        None => Some(object(command)?),
    };
    if in_query {
        let all = command.fields.iter().chain(&command.json).map(|(name, value)| (name.as_str(), value.as_str()));
        request = request.query(&all.chain(cursor.map(|cursor| ("cursor", cursor))).collect::<Vec<_>>());
    }
    if let Some(body) = body {
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request = request.body(body);
    }
    Ok(hub.send(request.headers(headers)).await?)
}

/// The fields as the object that is sent.
fn object(command: &Api) -> anyhow::Result<Vec<u8>> {
    let mut object = Map::new();
    for (name, text) in &command.fields {
        object.insert(name.clone(), Value::String(text.clone()));
    }
    for (name, text) in &command.json {
        let value = serde_json::from_str(text).with_context(|| format!("--json {name}: this is no JSON: {text}"))?;
        object.insert(name.clone(), value);
    }
    Ok(serde_json::to_vec(&object)?)
}

fn input(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    if file == std::path::Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes).context("standard input cannot be read")?;
        if bytes.len() as u64 > MAX_INPUT {
            bail!("standard input is longer than {MAX_INPUT} bytes");
        }
        return Ok(bytes);
    }
    data_dir::read(file, MAX_INPUT)?.ok_or_else(|| anyhow!("there is no file {}", file.display()))
}
