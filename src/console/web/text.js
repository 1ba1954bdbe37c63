// Every word of the page, in Chinese and English.
const words = {
  zh: {
    waiting: '排队', talking: '通话', seats: '坐席', call_backs: '待回拨', last_record: '最近的呼叫记录', deliveries: '推送',
    none_waiting: '没有人在等。', none_talking: '没有通话。', none_call_back: '没有待回拨。', none_record: '还没有记录。', none_delivery: '还没有推送。',
    counters: (v) => `呼入 ${v.arrived} · 接听 ${v.answered} · 放弃 ${v.abandoned} · 丢失 ${v.lost}`,
    up: '实时', down: '连接断开,正在重连…', ready: '示闲', not_ready: '示忙', hang_up: '挂断', add: '三方', listen: '监听', close: '办结', remove: '移除',
    ask_number: '拨打哪个号码?', ask_role: '对方是谁? (doctor, 110, 119, 122, crew)', ask_reason: '原因', ask_outcome: '回拨结果', ask_seat: '哪个班长坐席听?',
    state: { signed_out: '未登录', not_ready: '示忙', ready: '空闲', reserved: '已分配', ringing: '振铃', talking: '通话', wrap_up: '整理', listening: '监听', unreachable: '连接异常' },
    call: { arriving: '呼入', greeting: '问候', waiting: '等待', offered: '振铃', talking: '通话', conferencing: '三方', closing: '结束' },
    leg: { ringing: '振铃', early_media: '早期媒体', up: '通', held: '保持', ending: '结束' },
    supervisor: '班长', ahead: (n) => n === 0 ? '下一位' : `前面 ${n} 位`, exceeded: '超过10秒', unknown: '未知号码', system: '系统',
    serial: '流水号', number: '号码', received: '呼入', wait: '等待', seat: '坐席', outcome: '结果', place: '位置', owner: '机主', address: '装机地址', incident: '事件', cell: '基站',
    outcomes: { answered: '接听', abandoned: '放弃', lost: '丢失', refused_capacity: '容量拒绝' }, track: '音轨',
    columns: ['目的地', '事件', '版本', '状态', '次数'], delivered: '已确认', pending: '等待', dead: '死信', no_recording: '录音尚未完成',
  },
  en: {
    waiting: 'Waiting', talking: 'Talking', seats: 'Seats', call_backs: 'To call back', last_record: 'Last call record', deliveries: 'Deliveries',
    none_waiting: 'Nobody waits.', none_talking: 'No talk.', none_call_back: 'Nobody to call back.', none_record: 'No record yet.', none_delivery: 'No delivery yet.',
    counters: (v) => `arrived ${v.arrived} · answered ${v.answered} · abandoned ${v.abandoned} · lost ${v.lost}`,
    up: 'live', down: 'disconnected, trying again…', ready: 'Ready', not_ready: 'Not ready', hang_up: 'Hang up', add: 'Add party', listen: 'Listen', close: 'Close', remove: 'Remove',
    ask_number: 'Which number?', ask_role: 'Who is it? (doctor, 110, 119, 122, crew)', ask_reason: 'Reason', ask_outcome: 'What came of it?', ask_seat: 'Which supervisor seat listens?',
    state: { signed_out: 'signed out', not_ready: 'not ready', ready: 'ready', reserved: 'reserved', ringing: 'ringing', talking: 'talking', wrap_up: 'wrap-up', listening: 'listening', unreachable: 'unreachable' },
    call: { arriving: 'arriving', greeting: 'greeting', waiting: 'waiting', offered: 'ringing', talking: 'talking', conferencing: 'three-way', closing: 'closing' },
    leg: { ringing: 'ringing', early_media: 'early media', up: 'up', held: 'held', ending: 'ending' },
    supervisor: 'supervisor', ahead: (n) => n === 0 ? 'next' : `${n} ahead`, exceeded: 'over 10 s', unknown: 'unknown number', system: 'system',
    serial: 'Serial', number: 'Number', received: 'Received', wait: 'Wait', seat: 'Seat', outcome: 'Outcome', place: 'Place', owner: 'Owner', address: 'Address', incident: 'Incident', cell: 'Cell',
    outcomes: { answered: 'answered', abandoned: 'abandoned', lost: 'lost', refused_capacity: 'refused: capacity' }, track: 'track',
    columns: ['Destination', 'Event', 'Rev', 'State', 'Tries'], delivered: 'acknowledged', pending: 'waiting', dead: 'dead letter', no_recording: 'the recording is not complete yet',
  },
};

let language = localStorage.getItem('language') || (navigator.language.startsWith('zh') ? 'zh' : 'en');
export const t = () => words[language];
export const other = () => (language === 'zh' ? 'EN' : '中文');
export function swap() {
  language = language === 'zh' ? 'en' : 'zh';
  localStorage.setItem('language', language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}
