//! Listings of many: read by key, page by page, on each database.

use std::collections::BTreeSet;

use doorward::clock::SystemClock;
use doorward::config::users::OnDelete;
use doorward::users::{Filter, Users};

use crate::site::databases::{Database, Kind};
use crate::store::{ADA, first_sign_in, on_every_database, opened, ready};

on_every_database!(suite:
    ten_thousand_users_are_paged_without_a_gap_and_found_by_what_is_rare,
    no_page_sorts_or_reads_the_whole_table,
);

/// Ten thousand people who signed in, some of whom are blocked, written past the store.
async fn crowd(database: &Database) {
    let digits = "(select 0 as d union all select 1 union all select 2 union all select 3 union all select 4 union all \
                  select 5 union all select 6 union all select 7 union all select 8 union all select 9)";
    let number = "(a.d * 1000 + b.d * 100 + c.d * 10 + e.d)";
    let from = format!("from {digits} a, {digits} b, {digits} c, {digits} e");
    let (id, email) = if database.kind == Kind::Sqlite {
        (format!("('u' || (10000 + {number}))"), format!("('u' || {number} || '@example.com')"))
    } else {
        (format!("concat('u', 10000 + {number})"), format!("concat('u', {number}, '@example.com')"))
    };
    database
        .run(&[
            &format!("insert into users (id, email) select {id}, {email} {from}"),
            &format!(
                "insert into doorward_identities (issuer, subject, user_id, provider, email, email_folded, \
                 email_verified, created_at, last_login_at, blocked_at) \
                 select 'https://accounts.google.com', {id}, {id}, 'google', {email}, {email}, 1, 1, 1, \
                 case when {number} % 4000 = 3999 then 7 end {from}"
            ),
            &format!(
                "insert into doorward_audit (happened_at, kind, user_id, actor, reason, detail, request_id, address) \
                 select {number}, 'login', {id}, 'person', '', '', '', '' {from}"
            ),
        ])
        .await;
}

mod suite {
    use super::*;

    pub async fn ten_thousand_users_are_paged_without_a_gap_and_found_by_what_is_rare(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        crowd(&database).await;
        let users = Users::new(store, std::sync::Arc::new(SystemClock), OnDelete::Keep);
        let (mut seen, mut after) = (BTreeSet::new(), None);
        loop {
            let (page, has_more) = users.list(&Filter::default(), after.as_ref(), 1999).await.expect("an answer");
            assert!(page.len() <= 1999);
            for user in &page {
                assert!(seen.insert(user.id.clone()), "{} twice", user.id);
            }
            after = page.last().map(|user| user.id.clone());
            if !has_more {
                break;
            }
        }
        assert_eq!(seen.len(), 10_001);
        let blocked = Filter { is_blocked: true, ..Filter::default() };
        let (found, has_more) = users.list(&blocked, None, 100).await.expect("an answer");
        assert_eq!(found.iter().map(|user| user.id.as_str()).collect::<Vec<_>>(), ["u13999", "u17999"]);
        assert!(!has_more);
        let (found, has_more) = users.list(&blocked, None, 1).await.expect("an answer");
        assert!(found.len() == 1 && has_more);
        let nowhere = Filter { domain: Some("nowhere.example".to_owned()), ..Filter::default() };
        assert_eq!(users.list(&nowhere, None, 100).await.expect("an answer").0, []);
    }

    pub async fn no_page_sorts_or_reads_the_whole_table(database: Database) {
        ready(&database).await;
        crowd(&database).await;
        let questions = [
            "select i.user_id, i.email from doorward_identities i where i.user_id > 'u15000' order by i.user_id limit 500",
            "select number, kind from doorward_audit where user_id = 'u15000' order by number desc limit 100",
            "select number, kind from doorward_audit where number < 5000 order by number desc limit 100",
        ];
        for question in questions {
            let explain = if database.kind == Kind::Sqlite { "explain query plan" } else { "explain" };
            if database.kind != Kind::Sqlite {
                database.run(&["analyze table doorward_identities", "analyze table doorward_audit"]).await;
            }
            let plan = database.rows(&format!("{explain} {question}")).await;
            let words: Vec<String> = plan.into_iter().flatten().flatten().collect();
            let text = words.join(" ");
            for bad in ["filesort", "temporary", "TEMP B-TREE", "SCAN"] {
                assert!(!text.contains(bad), "{:?}: {question}: {text}", database.kind);
            }
            assert!(!words.iter().any(|word| word == "ALL"), "{:?}: {question}: {text}", database.kind);
        }
    }
}
