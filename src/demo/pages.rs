//! What the pretend provider shows. It must not be taken for anybody's real page: banner, look and words say so.

use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::demo::people::{Files, PEOPLE};

/// Renders the pretend provider's pages.
pub struct Pages(Environment<'static>);

impl Pages {
    /// From the embedded templates.
    pub fn new() -> Self {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for name in Files::iter().filter(|name| name.ends_with(".html")) {
            let file = Files::get(&name).expect("a name that the binary lists itself");
            let source = String::from_utf8(file.data.into_owned()).expect("templates are UTF-8");
            templates.add_template_owned(name, source).expect("templates were parsed by the tests");
        }
        Self(templates)
    }

    /// "Choose who to be", for the sign-in `request` of `site`; whoever has the address `hint` is marked.
    pub fn choose(&self, request: &str, site: &str, hint: Option<&str>) -> String {
        let people: Vec<Value> = PEOPLE
            .iter()
            .map(|person| {
                context! {
                    key => person.key,
                    name => person.name,
                    email => person.email,
                    note => person.note,
                    picture => person.picture(),
                    suggested => hint.is_some_and(|hint| hint.eq_ignore_ascii_case(person.email)),
                }
            })
            .collect();
        self.render("choose.html", context! { request, site, people })
    }

    /// Nothing goes on from here: `what` happened; `home` leads back to the site where that is known to be safe.
    pub fn stopped(&self, heading: &str, what: &str, home: Option<&str>) -> String {
        self.render("stopped.html", context! { heading, what, home })
    }

    fn render(&self, name: &str, page: Value) -> String {
        let template = self.0.get_template(name).expect("the demo's templates are embedded");
        template.render(page).expect("the demo's templates name only what they are given")
    }
}
