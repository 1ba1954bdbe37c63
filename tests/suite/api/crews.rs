//! Crews (车组) in a browser: whose incident a crew calls about, and the bridge between a crew and its caller.

use std::sync::Arc;

use firstring::id::SeatId;
use firstring::switch::{Command, CrewOfView};

use crate::peers_stage::until;
use crate::support::chromium::Chromium;
use crate::support::desk::{Desk, caller};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_names_the_seat_of_a_crews_incident_and_bridges_a_crew_with_its_caller() {
    if !Chromium::is_there() {
        println!("skipped: no chromium on this machine; `tools/need.sh test` installs it");
        return;
    }
    let desk = Desk::new().await;
    let talking = desk.talking;
    desk.view.send_modify(|view| {
        for call in &mut Arc::make_mut(view).calls {
            if call.call == talking {
                call.crew = vec![String::from("139-1111-2222"), String::from("139-3333-4444")];
            } else {
                call.crew_of = Some(CrewOfView {
                    call: talking,
                    seat: Some(SeatId::from("801")),
                });
            }
        }
    });
    let (base, server) = desk.serve().await;
    let mut page = Chromium::start("zh-CN,zh").await;
    let link = desk.app.gatekeeper.one_time_link(caller("seat"));
    page.open(&format!("{base}/login?t={link}")).await;
    let tags = "[...document.querySelectorAll('#waiting .tag')].map((tag) => tag.textContent)";
    page.until(&format!("{tags}.includes('车组 · 坐席 801 的事件')"))
        .await;
    page.until("[...document.querySelectorAll('#talking .tag')].some((tag) => tag.textContent === '已派车组 2')")
        .await;
    page.press("#talking [data-act=bridge]").await;
    page.until("document.querySelectorAll('#ask select option').length === 2")
        .await;
    page.press("#ask-yes").await;
    let wanted = Command::Bridge {
        call: talking,
        number: String::from("13911112222"),
    };
    let taken = || desk.taken.lock().unwrap().iter().any(|(_, c)| *c == wanted);
    until("the command is given", taken).await;
    assert_eq!(page.complaints(), [] as [String; 0]);
    server.abort();
}
