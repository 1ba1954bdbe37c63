//! Every word of the terminal page, in Chinese and English.

/// The language of the page.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 中文
    #[default]
    Zh,
    /// English
    En,
}

impl Language {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    /// One of both.
    #[must_use]
    pub const fn of<'w>(self, zh: &'w str, en: &'w str) -> &'w str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }

    /// The word of a name that the API uses; the name itself when there is none.
    #[must_use]
    pub fn word(self, name: &str) -> &str {
        let found = WORDS.iter().find(|(of, ..)| *of == name);
        found.map_or(name, |(_, zh, en)| self.of(zh, en))
    }

    /// A party of a call: `doctor-1`, `seat-801`.
    #[must_use]
    pub fn party(self, party: &str) -> String {
        let (role, number) = party.rsplit_once('-').unwrap_or((party, ""));
        match role {
            "seat" | "supervisor" => format!("{} {number}", self.word(role)),
            _ => self.word(role).to_owned(),
        }
    }
}

/// Names of the API, 中文, English.
const WORDS: &[(&str, &str, &str)] = &[
    ("waiting_calls", "排队", "Waiting"),
    ("talks", "通话", "Calls"),
    ("seats", "坐席", "Seats"),
    ("call_backs", "待回拨", "To call back"),
    ("alarms", "告警", "Alarms"),
    ("own", "本席", "Own seat"),
    ("arrived", "呼入", "arrived"),
    ("answered", "接听", "answered"),
    ("abandoned", "放弃", "abandoned"),
    ("lost", "丢失", "lost"),
    ("up", "实时", "live"),
    ("down", "连接断开，正在重连", "disconnected, trying again"),
    ("none", "无", "none"),
    ("unknown", "未知号码", "unknown number"),
    ("next", "下一位", "next"),
    ("exceeded", "超过10秒", "over 10 s"),
    ("on_hold", "保持中", "on hold"),
    ("on_shelf", "搁置中", "put aside"),
    ("advice", "医学指导", "medical advice"),
    ("major", "突发事件", "major incident"),
    ("overlong", "受理超时", "long handling"),
    ("overdue", "超时", "overdue"),
    ("marked", "骚扰", "harassment"),
    ("suspected", "疑似骚扰", "suspected"),
    ("repeated", "反复呼入", "again"),
    ("crew", "车组", "crew"),
    ("asks", "呼叫班长", "asks for a supervisor"),
    ("comes", "班长正在接入", "is coming"),
    ("silent", "静默询问", "asked for a key"),
    ("joined", "合并", "joined"),
    (
        "gone",
        "呼叫已结束，操作取消",
        "the call has ended; nothing was done",
    ),
    ("done", "完成", "done"),
    (
        "nothing",
        "现在没有可以这样操作的对象",
        "there is nothing that this can be done to now",
    ),
    ("keys", "按键", "keys"),
    ("more", "更多按键: ?", "more keys: ?"),
    ("confirm", "回车确认，Esc 取消", "Enter: yes, Esc: no"),
    ("caller", "主叫", "caller"),
    ("callee", "被叫", "callee"),
    ("seat", "坐席", "seat"),
    ("supervisor", "班长", "supervisor"),
    ("admin", "管理员", "admin"),
    ("doctor", "医生", "doctor"),
    ("crew", "车组", "crew"),
    ("interpreter", "翻译", "interpreter"),
    ("other", "第三方", "other"),
    ("outbound", "呼出", "outbound"),
    ("internal", "内线", "internal"),
    ("callback", "回拨", "call-back"),
    ("bridge", "车组与来电者", "crew and caller"),
    ("signed_out", "未签入", "signed out"),
    ("not_ready", "示忙", "not ready"),
    ("ready", "空闲", "ready"),
    ("reserved", "已分配", "reserved"),
    ("ringing", "振铃", "ringing"),
    ("talking", "通话", "talking"),
    ("wrap_up", "整理", "wrap-up"),
    ("listening", "监听", "listening"),
    ("unreachable", "话机不通", "unreachable"),
    ("arriving", "呼入", "arriving"),
    ("in_menu", "语音菜单", "in a menu"),
    ("dialling", "拨号", "dialling"),
    ("greeting", "问候", "greeting"),
    ("waiting", "等待", "waiting"),
    ("offered", "振铃", "ringing"),
    ("held", "保持", "on hold"),
    ("shelved", "搁置", "put aside"),
    ("conferencing", "三方", "three-way"),
    ("closing", "结束", "closing"),
    ("on_line", "又打来了", "rang again"),
    ("early_media", "早期媒体", "early media"),
    ("dropped", "摘机即挂", "hung up at once"),
    ("before_dispatch", "派车前挂断", "before dispatch"),
    ("interrupted", "通话中断", "interrupted"),
    ("lost_in_restart", "重启中断", "cut by a restart"),
    ("refused_capacity", "容量拒绝", "refused: capacity"),
    ("not_reached", "未接通", "not reached"),
];
