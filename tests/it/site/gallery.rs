//! Every sample of every page on a free loopback port, under the policy that the pages are really served with: in our
//! look, in an owner's, and from right to left; and all that a person is told of errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use doorward::config::Config;
use doorward::config::accent::Accent;
use doorward::config::pages as config;
use doorward::config::public_url::PublicUrl;
use doorward::pages::{Pages, embedded_templates, samples};
use doorward::web::guard::security_headers::SecurityHeaders;
use poem::endpoint::make_sync;
use poem::listener::TcpAcceptor;
use poem::{Request, Response, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::site::faults;

/// A picture that comes, in place of the samples' own, which lies out there.
const PICTURE: &[u8] = include_bytes!("../../../assets/demo/ada.svg");

/// As the samples name it.
const PICTURE_OUT_THERE: &str = "https://lh3.googleusercontent.com/a/ada=s96-c";

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 90 30\"><rect width=\"90\" height=\"30\" rx=\"6\" \
    fill=\"#0f766e\"/><path fill=\"#fff\" d=\"M10 8h14v4h-5v11h-4V12h-5zM30 8h12v4h-8v2h7v4h-7v1h8v4H30zm27 0h4l6 15h-4l-1-3h-6\
    l-1 3h-4zm2 5-2 4h4z\"/></svg>";

const CUSTOM: &str =
    "main.max-w-sm { border-block-start: 6px solid var(--color-accent) }\nh1 { font-family: Georgia, serif }\n";

/// The samples, hung up. It closes when it is dropped.
pub struct Gallery {
    /// Where it is, without a slash at the end.
    pub url: String,
    /// What hangs in it: `plain/login`, at the address of that path.
    pub pictures: Vec<String>,
    serving: JoinHandle<()>,
    _owner: TempDir,
}

impl Gallery {
    /// Hangs everything up.
    pub async fn open() -> Self {
        let owner = tempfile::tempdir().expect("a folder");
        let rooms = rooms(owner.path());
        let pictures = rooms.values().flat_map(|room| room.names.iter().map(|name| room.at(name))).collect();
        let headers = SecurityHeaders::new(&Config::default());
        let rooms = Arc::new(rooms);
        let endpoint = make_sync(move |request: Request| {
            let mut response = answer(&rooms, request.uri().path());
            headers.add_to(response.headers_mut());
            response
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let acceptor = TcpAcceptor::from_tokio(listener).expect("a listener");
        let serving = tokio::spawn(async move { drop(Server::new_with_acceptor(acceptor).run(endpoint).await) });
        Self { url, pictures, serving, _owner: owner }
    }

    /// What hangs in `room`.
    pub fn room<'a>(&'a self, room: &'a str) -> impl Iterator<Item = &'a str> {
        let is_here = move |picture: &&str| picture.split('/').next() == Some(room);
        self.pictures.iter().map(String::as_str).filter(is_here)
    }

    /// Where `picture` hangs.
    pub fn address(&self, picture: &str) -> String {
        format!("{}/{picture}", self.url)
    }
}

impl Drop for Gallery {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Everything that is not about one look: the names of what hangs in the gallery, in order.
pub fn list() -> Vec<String> {
    let owner = tempfile::tempdir().expect("a folder");
    let rooms = rooms(owner.path());
    rooms.values().flat_map(|room| room.names.iter().map(|name| room.at(name))).collect()
}

/// One look, with the samples that are shown in it.
struct Room {
    name: &'static str,
    pages: Pages,
    html: BTreeMap<String, String>,
    names: Vec<String>,
}

impl Room {
    fn new(name: &'static str, config: &config::Pages, is_shown: impl Fn(&str) -> bool) -> Self {
        let pages = Pages::new(config, &format!("/{name}"));
        let (mut html, mut names) = (BTreeMap::new(), Vec::new());
        for (sample, page) in samples::all(&pages) {
            if !is_shown(&sample) {
                continue;
            }
            let page = page.unwrap_or_else(|error| panic!("{sample}: {error}: {:?}", error.source));
            let comes = page.replace(PICTURE_OUT_THERE, &format!("/{name}/assets/picture.svg"));
            if comes != page && sample == "profile-plain-picture" {
                names.push(format!("{sample}-missing"));
                html.insert(format!("{sample}-missing"), page);
            }
            names.push(sample.clone());
            html.insert(sample, comes);
        }
        Self { name, pages, html, names }
    }

    fn at(&self, sample: &str) -> String {
        format!("{}/{sample}", self.name)
    }
}

/// Ours with all samples; an owner's, and one from right to left, with one sample of each page.
fn rooms(owner: &Path) -> BTreeMap<&'static str, Room> {
    let plain = Room::new("plain", &config::Pages::default(), |_| true);
    let mut seen = BTreeSet::new();
    let page_of = |sample: &str| sample.split('-').next().unwrap_or_default().to_owned();
    let first_of_each: BTreeSet<_> =
        plain.names.iter().filter(|sample| seen.insert(page_of(sample))).cloned().collect();
    let with = |sample: &str, further: &[&str]| first_of_each.contains(sample) || further.contains(&sample);
    let own = Room::new("own", &owners(&owner.join("own")), |sample| {
        with(sample, &["login-notice", "login-other", "profile-plain-picture", "error-not-found"])
    });
    let turned = Room::new("right-to-left", &from_right_to_left(&owner.join("turned")), |sample| {
        with(sample, &["profile-right-to-left", "error-right-to-left", "denied-right-to-left", "login-notice"])
    });
    let pages = Pages::new(&config::Pages::default(), "/errors");
    let site = PublicUrl::parse("http://localhost:3000/errors").expect("an address");
    let told = faults::told_by(&pages, &site);
    let names = told.iter().map(|(name, _)| (*name).to_owned()).collect();
    let html = told.into_iter().map(|(name, html)| (name.to_owned(), html)).collect();
    let errors = Room { name: "errors", pages, html, names };
    [plain, own, turned, errors].into_iter().map(|room| (room.name, room)).collect()
}

/// A name, a logo, a colour and a style sheet.
fn owners(dir: &Path) -> config::Pages {
    fs::create_dir(dir).expect("a folder");
    let logo = dir.join("logo.svg");
    fs::write(&logo, LOGO).expect("a file");
    fs::write(dir.join("custom.css"), CUSTOM).expect("a file");
    config::Pages {
        title: "The Society of Tea Drinkers of Lower Wallop-on-the-Water".to_owned(),
        logo: Some(logo),
        accent: Some(Accent::parse("#0f766e").unwrap_or_else(|wrong| panic!("{}", wrong.what))),
        dir: Some(dir.to_owned()),
        reload: false,
    }
}

/// Our layout with the one word that an owner changes.
fn from_right_to_left(dir: &Path) -> config::Pages {
    fs::create_dir(dir).expect("a folder");
    let (_, layout) = embedded_templates().find(|(name, _)| name == "layout.html").expect("a layout");
    let turned = layout.replace("dir=\"ltr\"", "dir=\"rtl\"");
    assert_ne!(turned, layout, "the layout says nowhere which way it reads");
    fs::write(dir.join("layout.html"), turned).expect("a file");
    config::Pages { title: "بوّاب".to_owned(), dir: Some(dir.to_owned()), ..config::Pages::default() }
}

fn answer(rooms: &BTreeMap<&'static str, Room>, path: &str) -> Response {
    let not_found = || Response::builder().status(http::StatusCode::NOT_FOUND).finish();
    let (name, inside) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let Some(room) = rooms.get(name) else { return not_found() };
    if let Some(html) = room.html.get(inside) {
        return Response::builder().content_type("text/html; charset=utf-8").body(html.clone());
    }
    match inside.strip_prefix("assets/") {
        Some("picture.svg") => Response::builder().content_type("image/svg+xml").body(PICTURE),
        Some(file) => room
            .pages
            .asset(file)
            .map_or_else(not_found, |asset| Response::builder().content_type(asset.mime).body(asset.bytes)),
        None => not_found(),
    }
}
