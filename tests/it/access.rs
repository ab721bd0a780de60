//! Who may come in.

use doorward::access::{Access, Decision};
use doorward::config::access::Access as Rules;
use doorward::model::Identity;

fn identity(email: &str, hosted_domain: Option<&str>) -> Identity {
    Identity {
        provider: "google".to_owned(),
        issuer: "https://accounts.google.com".to_owned(),
        subject: "1101".to_owned(),
        email: email.to_owned(),
        email_verified: true,
        name: None,
        picture: None,
        hosted_domain: hosted_domain.map(str::to_owned),
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

#[test]
fn without_rules_everyone_with_a_verified_email_may_come_in() {
    let access = Access::new(Rules::default());
    assert!(access.is_open());
    assert_eq!(access.decide(&identity("ada@example.com", None)), Decision::Allow("open"));
}

#[test]
fn an_unverified_email_is_never_enough() {
    let mut somebody = identity("ada@example.com", Some("example.com"));
    somebody.email_verified = false;
    let rules = [
        Rules::default(),
        Rules { emails: list(&["ada@example.com"]), ..Rules::default() },
        Rules { hosted_domains: list(&["example.com"]), ..Rules::default() },
    ];
    for rules in rules {
        assert_eq!(Access::new(rules).decide(&somebody), Decision::Deny("email_unverified"));
    }
}

/// IDN-05, IDN-09: the whole domain, ASCII case aside, and nothing that looks like it.
#[test]
fn an_email_domain_is_equal_or_it_is_another() {
    let access = Access::new(Rules { email_domains: list(&["corp.com"]), ..Rules::default() });
    for email in ["ada@corp.com", "Ada@CORP.com"] {
        assert_eq!(access.decide(&identity(email, None)), Decision::Allow("email_domains"), "{email}");
    }
    let others = [
        "ada@evilcorp.com",
        "ada@corp.com.evil",
        "ada@sub.corp.com",
        "ada@corp.com.",
        "corp.com@evil.com",
        "ada@corp.co\u{212A}",
        "corp.com",
        "",
    ];
    for email in others {
        assert_eq!(access.decide(&identity(email, None)), Decision::Deny("not_on_the_list"), "{email}");
    }
}

/// IDN-06: an address at the domain proves nothing, the signed claim does.
#[test]
fn a_hosted_domain_is_the_signed_claim_alone() {
    let access = Access::new(Rules { hosted_domains: list(&["corp.com"]), ..Rules::default() });
    let decide = |email, hosted_domain| access.decide(&identity(email, hosted_domain));
    assert_eq!(decide("ada@corp.com", Some("corp.com")), Decision::Allow("hosted_domains"));
    assert_eq!(decide("ada@corp.com", Some("CORP.com")), Decision::Allow("hosted_domains"));
    assert_eq!(decide("ada@corp.com", None), Decision::Deny("not_on_the_list"));
    assert_eq!(decide("ada@corp.com", Some("other.com")), Decision::Deny("not_on_the_list"));
    assert_eq!(decide("ada@corp.com", Some("")), Decision::Deny("not_on_the_list"));
}

#[test]
fn one_match_in_any_list_is_enough() {
    let access = Access::new(Rules {
        hosted_domains: list(&["corp.com"]),
        email_domains: list(&["school.edu"]),
        emails: list(&["grace@navy.mil"]),
        ..Rules::default()
    });
    assert_eq!(access.decide(&identity("Grace@navy.mil", None)), Decision::Allow("emails"));
    assert_eq!(access.decide(&identity("pupil@school.edu", None)), Decision::Allow("email_domains"));
    assert_eq!(access.decide(&identity("x@corp.com", Some("corp.com"))), Decision::Allow("hosted_domains"));
    assert_eq!(access.decide(&identity("grace@army.mil", None)), Decision::Deny("not_on_the_list"));
}

/// Deny beats allow, whichever list allows.
#[test]
fn whoever_is_blocked_stays_out_whatever_lets_them_in() {
    let rules = |blocked: &[&str]| Rules {
        hosted_domains: list(&["corp.com"]),
        email_domains: list(&["school.edu", "corp.com"]),
        emails: list(&["grace@navy.mil"]),
        blocked: list(blocked),
        ..Rules::default()
    };
    let denied = Decision::Deny("on_the_blocked_list");
    let decide = |blocked: &[&str], email, hd| Access::new(rules(blocked)).decide(&identity(email, hd));
    assert_eq!(decide(&["grace@navy.mil"], "Grace@Navy.mil", None), denied);
    assert_eq!(decide(&["school.edu"], "pupil@school.edu", None), denied);
    assert_eq!(decide(&["corp.com"], "x@other.com", Some("Corp.com")), denied, "the hosted domain counts");
    assert_eq!(decide(&["corp.com"], "x@corp.com", None), denied, "and so does the address");
    assert_eq!(decide(&["x@corp.com"], "y@corp.com", Some("corp.com")), Decision::Allow("email_domains"));
    for near in ["sub.school.edu", "ool.edu", "pupil@school.ed", "school.edu.evil"] {
        assert_eq!(decide(&[near], "pupil@school.edu", None), Decision::Allow("email_domains"), "{near}");
    }
    let open = Access::new(Rules { blocked: list(&["evil.example"]), ..Rules::default() });
    assert!(open.is_open());
    assert_eq!(open.decide(&identity("x@evil.example", None)), denied);
    assert_eq!(open.decide(&identity("x@good.example", None)), Decision::Allow("open"));
}

/// The words name the rule, the entry and the account, and go with the decision.
#[test]
fn every_decision_has_words_that_name_the_rule() {
    let access = Access::new(Rules {
        hosted_domains: list(&["corp.com"]),
        email_domains: list(&["school.edu"]),
        emails: list(&["grace@navy.mil"]),
        blocked: list(&["eve@school.edu", "navy.ru"]),
        ..Rules::default()
    });
    let cases = [
        ("grace@navy.mil", None, "grace@navy.mil is listed in access.emails"),
        ("p@school.edu", None, "school.edu, the domain of p@school.edu, is listed in access.email_domains"),
        ("a@b.com", Some("corp.com"), "corp.com, the hosted domain of a@b.com, is listed in access.hosted_domains"),
        ("eve@school.edu", None, "eve@school.edu is listed in access.blocked"),
        ("x@navy.ru", None, "navy.ru, the domain of x@navy.ru, is listed in access.blocked"),
        ("x@b.com", Some("navy.ru"), "navy.ru, the hosted domain of x@b.com, is listed in access.blocked"),
        (
            "x@corp.com",
            None,
            "x@corp.com is not listed in access.emails; corp.com, the domain of x@corp.com, is not listed in \
             access.email_domains; x@corp.com belongs to no hosted domain, and access.hosted_domains asks for one",
        ),
    ];
    for (email, hosted_domain, words) in cases {
        assert_eq!(access.explain(&identity(email, hosted_domain)), words);
    }
    let mut unverified = identity("grace@navy.mil", None);
    unverified.email_verified = false;
    assert!(access.explain(&unverified).contains("does not vouch"));
    assert!(Access::new(Rules::default()).explain(&identity("a@b.com", None)).contains("everyone with a verified"));
}

/// The hint narrows the provider's chooser: where others may come in too, it would hide their accounts.
#[test]
fn the_hint_for_the_chooser_never_hides_an_account_that_may_come_in() {
    let hint = |hosted_domains: &[&str], emails: &[&str], email_domains: &[&str]| {
        let rules = Rules {
            hosted_domains: list(hosted_domains),
            emails: list(emails),
            email_domains: list(email_domains),
            ..Rules::default()
        };
        Access::new(rules).hosted_domain_hint().map(str::to_owned)
    };
    assert_eq!(hint(&[], &[], &[]), None);
    assert_eq!(hint(&["corp.com"], &[], &[]).as_deref(), Some("corp.com"));
    assert_eq!(hint(&["corp.com", "corp.de"], &[], &[]), None);
    assert_eq!(hint(&["corp.com"], &["ada@gmail.com"], &[]), None);
    assert_eq!(hint(&["corp.com"], &[], &["gmail.com"]), None);
}
